"""What a command says where the machine does not let it be loaded."""

import errno
import resource
import subprocess
import sys

import pytest

from asyncbench.process_start import why_not_started

# Too little for the libraries, enough for Python itself.
FEW_BYTES = 40_000 << 10


@pytest.mark.parametrize("error", [MemoryError(), ImportError("x.so: failed to map segment from shared object")])
def test_a_program_that_gets_no_memory_names_the_limit(error):
    assert "raise ulimit -v" in why_not_started(error)


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), ImportError("x.so: Too many open files")]
)
def test_a_program_that_cannot_open_its_files_names_the_limit(error):
    assert "raise ulimit -n" in why_not_started(error)


def test_a_library_that_is_missing_is_a_fault_of_the_installation_and_keeps_its_traceback():
    assert why_not_started(ModuleNotFoundError("No module named 'trio'")) is None


@pytest.mark.slow
def test_an_address_space_that_is_too_small_for_the_libraries_ends_in_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "asyncbench", "doctor"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (FEW_BYTES, FEW_BYTES)),
    )

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "ulimit -v" in done.stderr
