"""Subsets: their text, what they choose, and the hash that names the choice."""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.accuracy.datasets.dataset import Dataset, DatasetKind, Item, selection_sha256
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.accuracy.datasets.subset import All, EveryNth, FirstPerClass, NamesIn, choose, parse_subset
from asyncbench.errors import BadInputError

COUNTS = st.integers(min_value=1, max_value=10**8)
SUBSETS = st.one_of(
    st.just(All()),
    COUNTS.map(lambda count: FirstPerClass(count=count)),
    COUNTS.map(lambda step: EveryNth(step=step)),
    st.from_regex(r"[A-Za-z0-9_./-]+", fullmatch=True).map(lambda text: NamesIn(path=Path(text))),
)


def labelled(labels, *, class_count: int | None = 10):
    items = tuple(
        Item(name=f"{index:05d}.jpg", path=Path(f"{index:05d}.jpg"), classes=(label,))
        for index, label in enumerate(labels)
    )
    return Dataset(kind=DatasetKind.LABEL_LIST, folder=Path(), items=items, class_count=class_count)


DATASETS = st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=60).map(labelled)


@given(SUBSETS)
def test_the_canonical_text_means_the_same(subset):
    assert parse_subset(str(subset)) == subset


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  First  5 per CLASS ", "first 5 per class"),
        ("every 1th", "every 1st"),
        ("every 2nd", "every 2nd"),
        ("every 12nd", "every 12th"),
        ("every 111st", "every 111th"),
        ("every 23th", "every 23rd"),
        (" @lists/Some Names.txt", "@lists/Some Names.txt"),
        ("ALL", "all"),
    ],
)
def test_other_ways_to_write_it_have_the_same_canonical_text(text, canonical):
    assert str(parse_subset(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "@", "first", "first 0 per class", "every 0th", "every 10", "every -1th", "5", "first 5"]
)
def test_anything_else_is_refused_with_the_forms(text):
    with pytest.raises(BadInputError, match="first 5 per class"):
        parse_subset(text)


@given(DATASETS, SUBSETS.filter(lambda subset: not isinstance(subset, NamesIn)))
def test_a_subset_keeps_the_order_and_is_named(dataset, subset):
    chosen = choose(dataset, subset)

    places = [dataset.items.index(item) for item in chosen.items]
    assert places == sorted(set(places))
    assert chosen.items
    assert chosen.subset == str(subset)


@given(DATASETS, st.integers(min_value=1, max_value=8))
def test_first_per_class_takes_the_first_of_each_class_and_no_more(dataset, count):
    chosen = choose(dataset, FirstPerClass(count=count))

    there, taken = (Counter(item.classes[0] for item in one.items) for one in (dataset, chosen))
    assert taken == {label: min(count, number) for label, number in there.items()}
    for label in taken:
        of_class = [item for item in dataset.items if item.classes == (label,)]
        assert [item for item in chosen.items if item.classes == (label,)] == of_class[:count]


@given(DATASETS, st.integers(min_value=1, max_value=70))
def test_every_nth_takes_the_first_and_goes_on_in_equal_steps(dataset, step):
    chosen = choose(dataset, EveryNth(step=step))

    assert [dataset.items.index(item) for item in chosen.items] == list(range(0, len(dataset.items), step))


def test_images_without_classes_have_no_first_per_class():
    dataset = labelled([1], class_count=None)

    with pytest.raises(BadInputError, match="have no class each"):
        choose(dataset, FirstPerClass(count=1))


def test_a_list_chooses_by_name_in_the_order_of_the_dataset(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("# mine\n00002.jpg\n\n 00000.jpg \n")

    chosen = choose(labelled([1, 2, 3]), NamesIn(path=path))

    assert [item.name for item in chosen.items] == ["00000.jpg", "00002.jpg"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.jpg\nb.jpg\nc.jpg\nd.jpg\n", r"names a\.jpg, b\.jpg, c\.jpg and 1 more, not among the 3 usable"),
        ("00000.jpg\n00000.jpg\n", r"names 00000\.jpg twice"),
        ("# nothing\n", "names no image"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_by_name(tmp_path, text, complaint):
    path = tmp_path / "names.txt"
    path.write_text(text)

    with pytest.raises(BadInputError, match=complaint):
        choose(labelled([1, 2, 3]), NamesIn(path=path))


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"cannot read the list .*gone\.txt"):
        choose(labelled([1]), NamesIn(path=tmp_path / "gone.txt"))


def test_the_hash_does_not_depend_on_the_place_of_the_folder(write_images):
    here, there = write_images("a.jpg", "b.jpg", folder="here"), write_images("a.jpg", "b.jpg", folder="there")

    assert selection_sha256(open_dataset(here)) == selection_sha256(open_dataset(there))


def test_the_hash_depends_on_names_sizes_order_and_labels(write_images):
    dataset = open_dataset(write_images("a.jpg", "b.jpg"))
    first, second = dataset.items
    others = [
        replace(dataset, items=(second, first)),
        replace(dataset, items=(first,)),
        replace(dataset, items=(replace(first, classes=(1,)), second)),
        replace(dataset, items=(replace(first, image_id=1), second)),
        replace(dataset, items=(replace(first, marked_sha256="0" * 64), second)),
        replace(dataset, items=(replace(first, name="c.jpg"), second)),
    ]
    hashes = {selection_sha256(one) for one in [dataset, *others]}

    first.path.write_bytes(first.path.read_bytes() + b" ")

    assert len(hashes) == 7
    assert selection_sha256(dataset) not in hashes


INSTANCES = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 24}],
    "annotations": [
        {"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 6, "image_id": 1, "category_id": 2, "bbox": [5, 6, 7, 8], "iscrowd": 0},
    ],
    "categories": [{"id": 1}, {"id": 2}],
}


def coco_hash(folder, instances):
    (folder / "instances.json").write_text(json.dumps(instances))
    return selection_sha256(open_dataset(folder))


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("annotations", "bbox", [61, 62, 3, 4]),
        ("annotations", "category_id", 2),
        ("annotations", "iscrowd", 1),
        ("images", "height", 40),
        ("images", "width", 48),
    ],
)
def test_the_hash_depends_on_what_is_marked_in_an_image(write_images, table, key, value):
    folder = write_images("a.jpg")
    other = copy.deepcopy(INSTANCES)
    other[table][0][key] = value

    assert coco_hash(folder, other) != coco_hash(folder, INSTANCES)


def test_the_hash_does_not_depend_on_the_order_or_the_numbers_of_objects_nor_on_other_images(write_images):
    folder = write_images("a.jpg")
    other = copy.deepcopy(INSTANCES)
    other["annotations"].reverse()
    other["annotations"][0]["id"] = 99
    other["images"].append({"id": 2, "file_name": "gone.jpg", "height": 1, "width": 1})

    assert coco_hash(folder, other) == coco_hash(folder, INSTANCES)
