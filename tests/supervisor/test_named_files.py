"""Files and folders that options name: what cannot be one is refused before it is opened by anybody."""

from __future__ import annotations

import os

import pytest

from asyncbench.errors import BadInputError
from asyncbench.supervisor.named_files import check_named_files
from asyncbench.sweep.config import SweepConfig

NO_FILES = {
    "a pipe": (os.mkfifo, "it is a pipe, not a file"),
    "a folder": (lambda path: path.mkdir(), "it is a folder"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
}


def config_of(option, folder):
    path = str(folder / "thing")
    if option == "--calibration":
        return SweepConfig(calibration=path, precision=["int8"])
    return SweepConfig(dataset=str(folder), **({"truth": path} if option == "--truth" else {"subset": f"@{path}"}))


@pytest.mark.parametrize("option", ["--calibration", "--truth", "--subset"])
@pytest.mark.parametrize(("make", "reason"), NO_FILES.values(), ids=NO_FILES)
def test_what_is_no_file_is_refused_with_its_option(tmp_path, option, make, reason):
    make(tmp_path / "thing")

    with pytest.raises(BadInputError, match=f"^{option} .*thing: {reason}: name a "):
        check_named_files(config_of(option, tmp_path))


@pytest.mark.parametrize("option", ["--calibration", "--truth", "--subset"])
def test_a_file_will_do_whatever_it_holds(tmp_path, option):
    (tmp_path / "thing").write_bytes(b"\xff")

    check_named_files(config_of(option, tmp_path))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "there is no such folder"),
        ("file", "it is no folder"),
        ("a" * 300, "File name too long"),
        ("a\0b", "there is no such folder"),
    ],
)
def test_a_data_set_that_is_no_folder_is_refused(tmp_path, name, reason):
    (tmp_path / "file").touch()

    with pytest.raises(BadInputError, match=f"^--dataset .*: {reason}: name a folder of labelled images"):
        check_named_files(SweepConfig(dataset=str(tmp_path / name)))


def test_a_sweep_that_names_no_file_has_none_to_be_looked_at():
    check_named_files(SweepConfig())
