"""Images that the names in a list mean: folders and slashes may be another machine's, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.models.image_names import NameMatch, match_names, shown_name

FOLDER = Path("coco/val2017")
SOURCE = Path("instances.json")


def match(listed, *images, folder=FOLDER):
    return match_names(listed, {name: folder / name for name in images}, source=SOURCE)


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "./a.jpg",
        "val2017/a.jpg",
        "val2017//a.jpg",
        "coco/val2017/a.jpg",
        r"val2017\a.jpg",
        r".\val2017\a.jpg",
        "images/a.jpg",
        r"images\a.jpg",
        r"C:\data\a.jpg",
        "/data/coco/a.jpg",
    ],
)
def test_an_image_is_found_under_any_folder_that_it_is_listed_with(name):
    assert match([name, "images/b.jpg"], "a.jpg", "b.jpg").listed == {"a.jpg": name, "b.jpg": "images/b.jpg"}


def test_one_of_several_names_is_taken_where_the_image_s_path_ends_in_it():
    found = match(["train2017/a.jpg", "val2017/a.jpg", "test2017/a.jpg"], "a.jpg")

    assert found == NameMatch(listed={"a.jpg": "val2017/a.jpg"}, contested={})


def test_the_bare_name_goes_before_names_with_other_folders():
    assert match(["other/a.jpg", "a.jpg"], "a.jpg").listed == {"a.jpg": "a.jpg"}


def test_nothing_is_guessed_where_several_names_in_other_folders_may_mean_an_image():
    found = match(["x/a.jpg", r"y\a.jpg", "x/b.jpg"], "a.jpg", "b.jpg")

    assert found == NameMatch(listed={"b.jpg": "x/b.jpg"}, contested={"a.jpg": ("x/a.jpg", r"y\a.jpg")})


def test_nothing_is_guessed_where_a_name_may_mean_several_images():
    assert match(["a.jpg"], "n01/a.jpg", "n02/a.jpg").listed == {}
    assert match(["val/n02/a.jpg"], "n01/a.jpg", "n02/a.jpg").listed == {}
    assert match([r"n02\a.jpg"], "n01/a.jpg", "n02/a.jpg").listed == {"n02/a.jpg": r"n02\a.jpg"}


def test_two_spellings_of_one_image_are_refused():
    with pytest.raises(BadInputError, match=r"lists a\.jpg 2 times, as a\.jpg and as \./a\.jpg: keep one entry"):
        match(["a.jpg", "./a.jpg"], "a.jpg")


def test_upper_and_lower_case_are_different_names():
    assert match(["A.JPG", "a.JPG"], "a.jpg").listed == {}


def test_an_image_whose_own_name_has_a_backslash_is_found_by_it():
    assert match([r"x\a.jpg"], r"x\a.jpg").listed == {r"x\a.jpg": r"x\a.jpg"}


def test_the_folder_may_be_written_in_any_way(tmp_path, monkeypatch):
    (tmp_path / "val2017").mkdir()
    monkeypatch.chdir(tmp_path / "val2017")

    for folder in (Path(), Path("../val2017"), tmp_path / "val2017"):
        assert match(["val2017/a.jpg", "other/a.jpg"], "a.jpg", folder=folder).listed == {"a.jpg": "val2017/a.jpg"}


def test_a_name_longer_than_any_path_is_refused_in_one_short_line():
    with pytest.raises(BadInputError, match=r"instances\.json has a name of 5000 characters, aaa") as caught:
        match(["a" * 5000], "a.jpg")

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["", "/", ".", "\\", "..", "a\0b", "a\nb"])
def test_what_is_no_name_means_nothing(name):
    assert match([name], "a.jpg") == NameMatch(listed={}, contested={})


NAMES = st.lists(st.sampled_from("ab./\\"), min_size=1, max_size=6).map("".join)


@given(st.sets(NAMES), st.sets(NAMES.filter(lambda name: "/" not in name and name not in {".", ".."})))
def test_each_image_has_at_most_one_name_and_each_name_one_image_and_bare_names_always_match(listed, images):
    try:
        found = match(sorted(listed), *sorted(images)).listed
    except BadInputError:
        return  # two spellings of one

    assert found.keys() <= images
    assert set(found.values()) <= listed
    assert len(set(found.values())) == len(found)
    assert all(found[name] == name for name in listed & images)


def test_a_name_with_a_line_break_stays_on_one_line_in_a_message():
    assert shown_name("a\nb\x1b[31m.jpg") == r"'a\nb\x1b[31m.jpg'"
    assert shown_name("für 1.jpg") == "für 1.jpg"
