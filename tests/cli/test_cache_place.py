"""Where models and engines are kept, also for a user that the machine does not know."""

import os
import stat
import tempfile

import pytest

from asyncbench import places
from asyncbench.errors import BadInputError


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user without HOME and without an entry in the list of users: pathlib asks there for the user's number."""
    for name in ("HOME", "ASYNCBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123_456)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"asyncbench-{os.geteuid()}"


def test_a_user_without_a_home_has_a_temporary_folder_that_is_its_own(nobody):
    assert places.cache_folder() == nobody
    assert stat.S_IMODE(nobody.stat().st_mode) == 0o700


def test_it_is_the_same_folder_the_next_time(nobody):
    assert places.cache_folder() == places.cache_folder()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(nobody, mode):
    nobody.mkdir()
    nobody.chmod(mode)

    with pytest.raises(BadInputError, match="only you can write to: set ASYNCBENCH_CACHE"):
        places.cache_folder()


def test_a_link_that_somebody_has_put_there_is_refused(nobody, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    nobody.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadInputError, match="only you can write to"):
        places.cache_folder()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder somebody else's")
def test_a_folder_of_somebody_else_is_refused(nobody):
    nobody.mkdir(mode=0o700)
    os.chown(nobody, 12345, 12345)

    with pytest.raises(BadInputError, match="only you can write to"):
        places.cache_folder()


@pytest.mark.parametrize("name", ["ASYNCBENCH_CACHE", "XDG_CACHE_HOME"])
def test_a_folder_that_is_named_needs_no_home(nobody, monkeypatch, name, tmp_path):
    monkeypatch.setenv(name, str(tmp_path / "named"))

    assert tmp_path / "named" in (places.cache_folder(), places.cache_folder().parent)
    assert not nobody.exists()


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_to_names_the_variable_that_moves_it(tool):
    (tool.folder / "file").write_text("")
    tool.environment["ASYNCBENCH_CACHE"] = str(tool.folder / "file" / "below")

    done = tool.run("sweep", "--backend", "onnxruntime", "--concurrency", 1, "--batch", 1, check_code=2)

    assert "set ASYNCBENCH_CACHE" in done.stderr.splitlines()[-1]
