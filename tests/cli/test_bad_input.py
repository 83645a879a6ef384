"""Bad input: one line that says what, where and the remedy; exit code 2; nothing written."""

import json
import os
import subprocess

import pytest
from onnx import TensorProto, helper

from asyncbench.errors import BadInputError
from asyncbench.sweep.loading import read_flags

pytestmark = pytest.mark.slow


def write_model(path, *, batch="N", external=None):
    """Write a network that adds one to `(batch, 4)` float32."""
    value = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    if external:
        value = TensorProto(name="one", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
        value.external_data.add(key="location", value=external)
    shape = [] if batch is None else [batch, 4]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [value],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def refused(tool, *arguments):
    """Run a sweep that must be refused; return its one line."""
    done = tool.run("sweep", *arguments, check_code=2)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("opening ")]
    assert len(lines) == 1, done.stderr
    assert done.stdout == ""
    assert not list(tool.folder.glob("**/*.jsonl"))
    return lines[0]


@pytest.mark.parametrize("option", ["--concurrency", "--batch"])
def test_an_axis_that_is_none_is_named_with_its_option(tool, option):
    line = refused(tool, option, "8..1")

    assert line.startswith(f"asyncbench: {option}: ")


@pytest.mark.parametrize("axis", ["8..1", "1..", "..8", "0", "x", "", "1..8:x1", "1..8:+0", "-3", "1.5", "\u0664"])
@pytest.mark.parametrize("key", ["concurrency", "batch"])
def test_every_text_that_is_no_axis_is_refused_under_its_option(key, axis):
    with pytest.raises(BadInputError, match=f"^--{key}: ") as caught:
        read_flags({key: axis})

    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"batchsize": 4}', "batchsize"),
        ('{"batch": "x"}', "batch"),
        ('{"iterations": "many"}', "iterations"),
        ('{"batch": 4,}', "line 1"),
        ("[]", "empty"),
        ('[{"target": "tensorrt", "workload": "nosuch", "params": {}}]', "nosuch"),
    ],
)
def test_a_config_is_refused_by_file_and_key(tool, text, said):
    path = tool.folder / "bad.json"
    path.write_text(text)

    line = refused(tool, "--config", path)

    assert "bad.json" in line
    assert said in line


def test_a_config_that_is_not_there_is_named(tool):
    assert "nosuch.json" in refused(tool, "--config", "nosuch.json")


def test_an_unknown_model_is_answered_with_the_names(tool):
    done = tool.run("sweep", "mobilnet", check_code=2)

    (line,) = done.stderr.splitlines()
    assert line.startswith("asyncbench: 'mobilnet' is neither a built-in network nor a file: did you mean mobilenet? ")
    assert "resnet50, ssdmobilenet" in line


def test_an_unknown_option_is_one_line(tool):
    assert "--concurency" in refused(tool, "--concurency", "4")


def test_a_file_that_is_no_network_is_refused(tool):
    (tool.folder / "noise.onnx").write_bytes(os.urandom(2000))

    assert "noise.onnx" in refused(tool, "--model", "noise.onnx", "--input", "random")


def test_a_network_without_a_batch_axis_is_refused(tool):
    write_model(tool.folder / "scalar.onnx", batch=None)

    assert "batch" in refused(tool, "--model", "scalar.onnx", "--input", "random")


def test_a_network_of_one_batch_is_refused_at_others_with_the_one(tool):
    write_model(tool.folder / "fixed.onnx", batch=4)

    assert "--batch 4" in refused(tool, "--model", "fixed.onnx", "--input", "random", "--batch", "1,2")


@pytest.mark.parametrize("command", [["sweep"], ["sweep", "--dry-run"], ["sweep", "--batch", "1", "--input", "zeros"]])
def test_a_pipe_as_a_model_is_not_waited_for(tool, command):
    os.mkfifo(tool.folder / "pipe.onnx")

    done = tool.run(*command, "--model", "pipe.onnx", check_code=2)

    assert "pipe.onnx: it is a pipe, not a file" in done.stderr


@pytest.mark.parametrize("path", ["", "\udcff.onnx"])
def test_a_path_of_a_model_that_cannot_be_is_named_by_its_option(tool, path):
    assert refused(tool, "--model", path).startswith("asyncbench: --model is ")


def test_more_threads_than_any_machine_has_are_refused(tool):
    assert "--intra-op-threads is 100000" in refused(tool, "--intra-op-threads", "100000")


def test_missing_external_data_is_named(tool):
    write_model(tool.folder / "external.onnx", external="weights.bin")

    assert "weights.bin" in refused(tool, "--model", "external.onnx", "--input", "random")


def test_images_that_were_asked_for_are_refused_of_a_network_that_takes_none_with_the_remedy(tool):
    write_model(tool.folder / "vector.onnx")

    assert "--input random" in refused(tool, "--model", "vector.onnx", "--input", "images", "--batch", "1")


def test_a_precision_that_the_backend_lacks_is_refused(tool):
    assert "fp16" in refused(tool, "--backend", "onnxruntime", "--precision", "fp16")


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--depth", "4"], "--depth"),
        (["--engine", "static"], "--engine"),
        (["--gpu-time", "--transfers"], "--transfers, --gpu-time"),
        (["--intra-op-threads", "2"], "--intra-op-threads"),
    ],
)
def test_a_flag_that_the_backend_does_not_know_is_refused(tool, flags, named):
    line = refused(tool, "--backend", "simulated", *flags)

    assert line.startswith(f"asyncbench: {named}: only the ")
    assert "the sweep runs on simulated: leave it out, or choose --backend " in line


def test_a_key_that_the_backend_does_not_know_is_one_line_and_the_sweep_runs(tool):
    config = tool.write_config(concurrency=1, batch=1, precision="fp32,fp16", depth=4)

    swept = tool.run("sweep", "--config", config, "--output", "out.jsonl")
    dry = tool.run("sweep", "--config", config, "--dry-run")

    line = "keys of the configuration file without effect on simulated: tensorrt.depth"
    moved = f'{config}: depth is now tensorrt.depth: write "tensorrt": {{"depth": ...}}'
    assert swept.stderr.splitlines().count(moved) == 1
    assert swept.stderr.splitlines().count(line) == 1
    assert dry.stderr.splitlines().count(line) == 1
    assert len(tool.cells()) == 2


def test_an_output_below_a_file_is_refused(tool):
    (tool.folder / "plain").write_text("")

    assert "plain" in refused(tool, "--backend", "simulated", "--output", "plain/out")


def test_an_existing_results_file_is_never_overwritten(tool):
    config = tool.write_config(concurrency=1, batch=1)
    tool.run("sweep", "--config", config, "--output", "out.jsonl")
    before = (tool.folder / "out.jsonl").read_bytes()

    done = tool.run("sweep", "--config", config, "--output", "out.jsonl", check_code=2)

    assert "--resume" in done.stderr
    assert (tool.folder / "out.jsonl").read_bytes() == before


def test_a_torn_last_line_is_refused_without_resume_and_dropped_with_it(tool):
    config = tool.write_config(concurrency="1,2", batch=1)
    tool.run("sweep", "--config", config, "--output", "out.jsonl")
    whole = (tool.folder / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tool.folder / "out.jsonl").write_bytes(b"".join(whole[:2]) + whole[2][:50])

    refusal = tool.run("sweep", "--config", config, "--output", "out.jsonl", check_code=2)
    tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume")

    assert "torn" in refusal.stderr
    assert [cell["index"] for cell in tool.cells()] == [0, 1]


def test_a_file_of_another_schema_is_refused_by_version(tool):
    config = tool.write_config(concurrency=1, batch=1)
    tool.run("sweep", "--config", config, "--output", "out.jsonl")
    lines = [json.loads(line) | {"schema_version": 99} for line in (tool.folder / "out.jsonl").read_text().splitlines()]
    (tool.folder / "out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    done = tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume", check_code=2)

    assert "99" in done.stderr


def test_resuming_another_sweep_names_what_differs(tool):
    tool.run("sweep", "--config", tool.write_config(concurrency=1, batch=1), "--output", "out.jsonl")
    other = tool.write_config("other.json", concurrency=2, batch=1)

    done = tool.run("sweep", "--config", other, "--output", "out.jsonl", "--resume", check_code=2)

    assert "concurrency" in done.stderr


def test_a_full_disk_ends_the_sweep_with_whole_lines_and_one_line_on_stderr(tool):
    config = tool.write_config(concurrency="1..8", batch=1)
    limited = tool.command("sweep", "--config", config, "--output", "out.jsonl")

    # A limit on the size of files acts on every write like a disk that is full; 8 KiB hold the header and some cells.
    # Python must write no bytecode meanwhile: it keeps what was cut off, and takes it for whole the next time.
    done = subprocess.run(
        ["prlimit", "--fsize=8192", *limited],
        cwd=tool.folder,
        env=tool.environment | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "out.jsonl" in done.stderr.splitlines()[-1]
    kinds = [json.loads(line)["kind"] for line in (tool.folder / "out.jsonl").read_text().splitlines()]
    assert kinds[0] == "header"
    assert set(kinds[1:]) == {"cell"}


@pytest.mark.parametrize(
    ("option", "make", "reason", "others"),
    [
        ("--calibration", os.mkfifo, "it is a pipe, not a file", ("--precision", "int8")),
        ("--calibration", os.mkfifo, "it is a pipe, not a file", ("--precision", "int8", "--dry-run")),
        ("--truth", lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file", ("--dataset", ".")),
        ("--subset", lambda path: path.mkdir(), "it is a folder", ("--dataset", ".")),
    ],
)
def test_a_file_that_an_option_names_and_that_is_none_is_refused_before_anything_is_started(
    tool, option, make, reason, others
):
    make(tool.folder / "thing")

    done = tool.run("sweep", *others, option, "@thing" if option == "--subset" else "thing", check_code=2)

    assert done.stderr.startswith(f"asyncbench: {option} thing: {reason}: name a ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not list(tool.folder.glob("**/*.jsonl"))


@pytest.mark.parametrize("content", [bytes(1 << 20), b"[]"], ids=["zeros", "another file"])
def test_a_calibration_that_holds_something_else_is_refused_in_one_line(tool, content):
    (tool.folder / "thing").write_bytes(content)

    line = refused(tool, "--precision", "int8", "--calibration", "thing", "--concurrency", "1", "--batch", "1")

    assert "thing is cut off or no JSON table" in line
    assert len(line) < 300
