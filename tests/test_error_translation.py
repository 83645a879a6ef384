"""Whatever is raised becomes one line that says what happened and what to do."""

import builtins
import errno
import sys
from functools import reduce

import pytest

from asyncbench.error_translation import innermost, leaves_unfit, own_error_of, own_or_system_error
from asyncbench.errors import (
    BadInputError,
    DeviceLostError,
    DoesNotFitError,
    ExitCode,
    InternalError,
    LaneError,
    LimitError,
)

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup
else:
    ExceptionGroup = builtins.ExceptionGroup


def nested(error, depth=3):
    return reduce(lambda inner, _: ExceptionGroup("a nursery", [inner]), range(depth), error)


def raised(error):
    """Return the error as one that was raised: with a traceback."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_our_own_error_comes_out_of_its_groups_as_it_is():
    own = LaneError("lane 3: NaN")

    assert own_error_of(own) is own
    assert own_error_of(nested(own)) is own


def test_our_own_error_is_preferred_to_one_that_came_with_it():
    own = BadInputError("no such file")

    assert own_error_of(ExceptionGroup("both", [KeyError("x"), nested(own)])) is own


def test_a_file_that_is_not_there_is_bad_input_and_named(tmp_path):
    try:
        (tmp_path / "nope.json").read_bytes()
    except OSError as missing:
        error = own_error_of(nested(missing))

    assert isinstance(error, BadInputError)
    assert str(error) == f"{tmp_path}/nope.json: No such file or directory: check the path"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "make room"), (errno.EROFS, "ASYNCBENCH_CACHE"), (errno.EISDIR, "name another")],
)
def test_other_troubles_with_a_file_say_what_to_do(number, remedy):
    error = own_error_of(OSError(number, "trouble", "/cache/models"))

    assert error.exit_code is ExitCode.BAD_INPUT
    assert "/cache/models: trouble" in error.message
    assert remedy in error.remedy


def test_memory_that_was_refused_is_a_result_and_not_a_mistake():
    error = own_error_of(nested(MemoryError("Unable to allocate 261. KiB")))

    assert isinstance(error, DoesNotFitError)
    assert "Unable to allocate 261. KiB" in error.message
    assert not leaves_unfit(error)


@pytest.mark.parametrize(
    "text",
    ["std::bad_alloc", "BFCArena: Failed to allocate memory for requested buffer", "x.so: failed to map segment from"],
)
@pytest.mark.parametrize("kind", [RuntimeError, ImportError, Exception])
def test_memory_that_a_library_was_refused_is_a_result_whatever_the_library_calls_it(kind, text):
    assert isinstance(own_error_of(nested(kind(text))), DoesNotFitError)


def test_too_many_open_files_names_the_limit():
    error = own_error_of(OSError(errno.EMFILE, "Too many open files", "/proc/meminfo"))

    assert isinstance(error, LimitError)
    assert error.message.startswith("too many open files (ulimit -n is ")


@pytest.mark.parametrize(
    "text", ["can't start new thread", "thread constructor failed: Resource temporarily unavailable"]
)
def test_a_thread_that_was_refused_is_a_limit_and_not_a_mistake(text):
    error = own_error_of(nested(RuntimeError(text)))

    assert isinstance(error, LimitError)
    assert error.message.startswith("one more thread was refused: ")


def test_anything_else_is_a_mistake_of_ours_with_its_kind_its_text_and_its_place():
    try:
        own_error_of(None)  # type: ignore[arg-type] # a real mistake, in a line of ours
    except AttributeError as mistake:
        error = own_error_of(nested(mistake))

    assert isinstance(error, InternalError)
    assert error.exit_code is ExitCode.INTERNAL
    assert error.message.startswith("an internal error: AttributeError: ")
    assert "(asyncbench/error_translation.py:" in error.message
    assert "report" in error.remedy


def test_a_mistake_outside_of_our_files_has_no_place():
    assert own_error_of(raised(KeyError("x"))).message == "an internal error: KeyError: 'x'"


def test_a_mistake_is_told_from_what_the_system_refused():
    assert own_or_system_error(nested(KeyError("x"))) is None
    assert own_or_system_error(nested(MemoryError())) is not None


@pytest.mark.parametrize("kind", [ValueError, MemoryError, RuntimeError])
def test_a_message_of_several_lines_becomes_one(kind):
    assert "one two" in own_error_of(kind("one\ntwo")).message


@pytest.mark.parametrize(
    ("error", "unfit"), [(InternalError("x"), True), (DeviceLostError("x"), True), (LaneError("x"), False)]
)
def test_a_process_whose_state_is_in_doubt_is_replaced(error, unfit):
    assert leaves_unfit(error) is unfit


def test_the_innermost_error_is_the_first_inside_all_groups():
    first = KeyError("first")

    assert innermost(ExceptionGroup("two", [nested(first), ValueError("second")])) is first
