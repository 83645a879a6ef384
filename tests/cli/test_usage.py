"""What typer refuses is one line that names the option and the remedy, in words of ours."""

import pytest

from asyncbench.cli.main import USAGE_ERROR, app
from asyncbench.cli.usage import read_option, usage_complaint
from asyncbench.errors import BadInputError
from asyncbench.sweep.loading import read_flags
from asyncbench.units import parse_duration_ns, parse_size_bytes


def complaint_about(*arguments):
    with pytest.raises(USAGE_ERROR) as caught:
        app(list(arguments), standalone_mode=False)
    return usage_complaint(caught.value.format_message())


@pytest.mark.parametrize("option", ["--iterations", "--seed", "--depth", "--intra-op-threads"])
@pytest.mark.parametrize("text", ["", " ", "1e3", "1.5", "ten", "1,000", "\u0665"])
def test_a_number_that_is_none_is_named_by_its_option(option, text):
    assert complaint_about("sweep", option, text) == (
        f"{option}: what is given is not a whole number: write one in digits, such as 4"
    )


def test_a_share_that_is_no_number_is_named_by_its_option():
    assert complaint_about("calibrate", "mobilenet", "--images", ".", "--percentile", "most") == (
        "--percentile: what is given is not a number: write one in digits, such as 99.99"
    )


def test_a_word_that_is_no_choice_is_answered_with_the_choices():
    assert complaint_about("schema", "foo") == "name: 'foo' is not known: choose 'config', 'record'"


def test_an_unknown_command_leads_to_the_list():
    assert complaint_about("swep").startswith("No such command 'swep'")
    assert complaint_about("foo") == "No such command 'foo': `asyncbench --help` lists them"


@pytest.mark.parametrize("option", ["--model", "--images", "--dataset", "--truth", "--subset", "--calibration"])
def test_an_empty_name_is_answered_with_what_to_write(option):
    key = {"--model": "model_file"}.get(option, option.removeprefix("--"))

    with pytest.raises(BadInputError, match=f'{option} is "": name one, or leave it out'):
        read_flags({key: ""})


@pytest.mark.parametrize("option", ["--seed", "--iterations"])
def test_a_number_that_no_reader_of_the_records_could_hold_is_refused(option):
    with pytest.raises(BadInputError, match=f"{option} is 9223372036854775808"):
        read_flags({option.removeprefix("--"): 2**63})


@pytest.mark.parametrize(("option", "parse"), [("--max-size", parse_size_bytes), ("--unused-for", parse_duration_ns)])
def test_a_size_or_duration_without_a_unit_is_named_by_its_option(option, parse):
    with pytest.raises(BadInputError, match=f"^{option}: '5' is not a ") as caught:
        read_option(option, parse, "5")

    assert "with its unit" in caught.value.remedy


@pytest.mark.parametrize(
    "command", ["sweep", "accuracy", "calibrate", "doctor", "stress", "schema", "models", "engines"]
)
def test_help_has_nothing_that_is_meant_for_developers(command, capsys):
    for part in ([command], *([[command, inner] for inner in INNER.get(command, ())])):
        app([*part, "--help"], standalone_mode=False)
        said = capsys.readouterr().out

        assert said.startswith("Usage: ")
        assert not [word for word in ("Raises:", "Error:", "Args:", "Returns:") if word in said]


INNER = {"engines": ("list", "inspect", "prune"), "models": ("pull",)}
