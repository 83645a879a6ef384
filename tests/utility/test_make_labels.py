"""make-labels, on names that are there twice and on files that are there already."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "utility" / "make-labels"
NAMES = "tabby\n\ncrane\nbeagle\ncrane\n"

pytestmark = pytest.mark.slow  # each starts a Python


@pytest.fixture
def make_labels(tmp_path):
    """Return a function that runs the script on a folder with one image, and the path of its labels.json."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.png").touch()
    (tmp_path / "names.txt").write_text(NAMES)

    def run(csv: str, *options: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "labels.csv").write_text(csv)
        names = ("--names", tmp_path / "names.txt")
        command = [sys.executable, SCRIPT, folder, tmp_path / "labels.csv", *names, *options]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)

    return run, folder / "labels.json"


def classes(path):
    (entry,) = json.loads(path.read_text())
    return entry["accept_classes"]


def test_a_name_of_several_classes_is_refused_with_their_numbers(make_labels):
    run, out = make_labels

    result = run("a.png,crane\n")

    assert result.returncode == 2
    assert "line 1: 'crane' is the name of classes 2, 4: write the number" in result.stderr
    assert not out.exists()


def test_the_numbers_and_the_other_names_of_such_a_list_are_taken(make_labels):
    run, out = make_labels

    result = run("a.png,4;beagle\n")

    assert result.returncode == 0, result.stderr
    assert classes(out) == [4, 3]


def test_no_name_is_no_class_although_the_list_has_a_blank_line(make_labels):
    run, _ = make_labels

    result = run("a.png,0;;3\n")

    assert result.returncode == 2
    assert "line 1: '' is not a class" in result.stderr


def test_labels_that_are_there_are_only_replaced_by_force(make_labels):
    run, out = make_labels
    run("a.png,0\n")

    refused = run("a.png,3\n")
    kept = classes(out)
    forced = run("a.png,3\n", "--force")

    assert (refused.returncode, kept) == (2, [0])
    assert "labels.json is there already" in refused.stderr
    assert "--force" in refused.stderr
    assert (forced.returncode, classes(out)) == (0, [3])


def test_a_number_of_thousands_of_digits_is_refused_in_one_line(make_labels):
    run, _ = make_labels

    result = run(f"a.png,{'1' * 5000}\n")

    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert f"line 1: '{'1' * 40}' is not a class" in result.stderr


def test_marks_of_windows_before_the_list_and_before_the_names_are_no_part_of_them(make_labels, tmp_path):
    run, out = make_labels
    (tmp_path / "names.txt").write_bytes(codecs.BOM_UTF16_LE + "tabby\r\ncrane\r\n".encode("utf-16-le"))

    result = run("\ufefffile,classes\na.png,tabby\n")

    assert result.returncode == 0, result.stderr
    assert classes(out) == [0]


def test_names_that_are_no_file_are_refused_and_not_waited_for(make_labels, tmp_path):
    run, out = make_labels
    (tmp_path / "names.txt").unlink()
    (tmp_path / "names.txt").symlink_to("/dev/zero")

    result = run("a.png,0\n")

    assert result.returncode == 2
    assert "cannot read the names" in result.stderr
    assert "it is a device" in result.stderr
    assert not out.exists()
