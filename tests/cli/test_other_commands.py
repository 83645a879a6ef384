"""The commands that measure nothing."""

import json

from asyncbench import __version__


def test_version_is_printed(tool):
    assert tool.run("--version").stdout.strip() == f"asyncbench {__version__}"


def test_without_a_command_the_help_lists_them(tool):
    done = tool.run()

    assert all(name in done.stdout for name in ("sweep", "models", "doctor", "schema", "engines"))


def test_help_of_sweep_lists_the_exit_codes(tool):
    assert "130 interrupted" in " ".join(tool.run("sweep", "--help").stdout.split())


def test_models_lists_the_built_in_networks(tool):
    names = [line.split()[0] for line in tool.run("models").stdout.splitlines()[::2]]

    assert names == ["mobilenet", "resnet50", "ssdmobilenet"]


def test_the_schemas_are_those_in_the_documentation(tool, docs):
    for name in ("config", "record"):
        printed = json.loads(tool.run("schema", name).stdout)

        assert printed == json.loads((docs / f"{name}.schema.json").read_text())


def test_doctor_says_what_runs_and_what_to_do_about_what_does_not(tool):
    done = tool.run("doctor")

    assert "yes  onnxruntime backend:" in done.stdout
    assert "yes  simulated backend:" in done.stdout
    assert "native pump:" in done.stdout
    assert "tensorrt backend:" in done.stdout
