"""Opening of folders: the kind of dataset, and what is left out of it or refused, by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from asyncbench.accuracy.datasets.dataset import DatasetKind, LeftOut
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.errors import BadInputError

VAL = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 5)]
# As in the devkit: its numbers do not follow the order of the synsets.
SYNSETS = {1: "n03", 2: "n01", 3: "n02"}


def classes(dataset):
    return {item.name: item.classes for item in dataset.items}


def write_devkit(folder, labels, synsets=SYNSETS):
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("".join(f"{label}\n" for label in labels))
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")]
    rows = [(np.uint16(number), wnid, "some words") for number, wnid in synsets.items()]
    rows.append((np.uint16(1001), "n00", "an ancestor"))
    scipy.io.savemat(folder / "meta.mat", {"synsets": np.array(rows, dtype=kind)})


def coco(images, annotations=(), categories=(1, 3)):
    return {
        "images": [{"id": number, "file_name": name} for number, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": [0, 0, 1, 1]}
            for number, image, category in annotations
        ],
        "categories": [{"id": number} for number in categories],
    }


class TestLabelLists:
    @pytest.mark.parametrize("place", ["val.txt", "val_map.txt", "../images.txt"])
    def test_are_found_in_the_usual_places(self, write_images, place):
        folder = write_images(*VAL)
        (folder / place).write_text("".join(f"{name} {label}\n" for label, name in enumerate(VAL)))

        dataset = open_dataset(folder)

        assert dataset.kind is DatasetKind.LABEL_LIST
        assert classes(dataset) == {name: (label,) for label, name in enumerate(VAL)}
        assert dataset.left_out == ()

    @pytest.mark.parametrize("between", [" ", "\t", "  ", " \t "])
    def test_have_spaces_or_tabs_between_name_and_label(self, write_images, between):
        folder = write_images("a.jpg", "b  c.jpg")
        (folder / "val.txt").write_text(f"a.jpg{between}1\nb  c.jpg{between}2\n")

        assert classes(open_dataset(folder)) == {"a.jpg": (1,), "b  c.jpg": (2,)}

    def test_may_stand_beside_a_folder_val(self, write_images):
        folder = write_images(*VAL, folder="ilsvrc/val")
        (folder.parent / "val.txt").write_text(f"{VAL[0]} 7\n")

        assert classes(open_dataset(folder.parent)) == {VAL[0]: (7,)}

    def test_images_without_a_label_and_labels_without_an_image_are_left_out_by_name(self, write_images):
        folder = write_images("a.jpg", "b.jpg")
        (folder / "val.txt").write_text("b.jpg 1\nc.jpg 2\n")

        dataset = open_dataset(folder)

        assert dataset.left_out == (
            LeftOut(name="a.jpg", reason="it has no label"),
            LeftOut(name="c.jpg", reason="its label has no file"),
        )
        assert dataset.left_out_counts() == {"it has no label": 1, "its label has no file": 1}

    def test_an_image_that_is_listed_twice_is_refused_by_name(self, write_images):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text("a.jpg 1\na.jpg 1\n")

        with pytest.raises(BadInputError, match=r"val\.txt lists a\.jpg twice"):
            open_dataset(folder)

    def test_a_label_out_of_range_is_refused_by_name(self, write_images):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text("a.jpg 1000\nb.jpg 0\n")

        with pytest.raises(BadInputError, match=r"the label 1000 of a\.jpg is not in 0\.\.999: correct it"):
            open_dataset(folder)

    def test_labels_that_count_from_one_are_recognized(self, write_images):
        folder = write_images("a.jpg", "b.jpg")
        (folder / "val.txt").write_text("a.jpg 1\nb.jpg 1000\n")

        with pytest.raises(BadInputError, match="count from 1"):
            open_dataset(folder)

    @pytest.mark.parametrize("line", ["a.jpg", "a.jpg x", "a.jpg -1", "a.jpg 1.5"])
    def test_another_form_is_refused_with_its_line(self, write_images, line):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text(f"b.jpg 1\n{line}\n")

        with pytest.raises(BadInputError, match=f"line 2: {line!r}"):
            open_dataset(folder)

    def test_a_blank_line_counts_in_the_number_of_the_line_that_is_refused(self, write_images):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text("\n\ncat.png x\n")

        with pytest.raises(BadInputError, match=r"line 3: 'cat\.png x'"):
            open_dataset(folder)

    def test_blank_lines_do_no_harm(self, write_images):
        folder = write_images("a.jpg", "b.jpg")
        (folder / "val.txt").write_text("\na.jpg 1\n\nb.jpg 2\n\n")

        assert classes(open_dataset(folder)) == {"a.jpg": (1,), "b.jpg": (2,)}

    def test_a_label_of_thousands_of_digits_is_refused_with_its_line(self, write_images):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text(f"a.jpg {'1' * 5000}\n")

        with pytest.raises(BadInputError, match=r"line 1: 'a\.jpg 1") as caught:
            open_dataset(folder)

        assert len(caught.value.message) < 1000

    def test_labels_of_other_images_leave_nothing_and_say_so(self, write_images):
        folder = write_images("a.jpg")
        (folder / "val.txt").write_text("b.jpg 1\n")

        with pytest.raises(BadInputError, match=r"2 were left out, such as a\.jpg: it has no label"):
            open_dataset(folder)


class TestDevkit:
    def test_numbers_become_places_among_the_sorted_synsets(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1, 2, 3, 1])

        dataset = open_dataset(folder, class_count=3)

        assert dataset.kind is DatasetKind.DEVKIT
        assert [item.classes for item in dataset.items] == [(2,), (0,), (1,), (2,)]

    def test_lines_belong_to_the_number_in_the_name_also_where_images_are_missing(self, write_images):
        folder = write_images(VAL[2], "other.jpg")
        write_devkit(folder, [1, 2, 3])

        dataset = open_dataset(folder, class_count=3)

        assert classes(dataset) == {VAL[2]: (1,)}
        assert [one.name for one in dataset.left_out] == ["other.jpg", VAL[0], VAL[1]]

    def test_the_ground_truth_alone_is_refused_because_its_order_is_another(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1, 2, 3, 1])
        (folder / "meta.mat").unlink()

        with pytest.raises(BadInputError, match=r"devkit's order.*put the devkit's meta\.mat beside it"):
            open_dataset(folder, class_count=3)

    def test_a_number_of_no_class_is_refused_with_its_line(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1, 2, 1001, 1])

        with pytest.raises(BadInputError, match=r"txt:3: '1001' is not a class in 1\.\.3"):
            open_dataset(folder, class_count=3)

    def test_a_number_of_thousands_of_digits_is_refused_with_its_line(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1, "1" * 5000])

        with pytest.raises(BadInputError, match=r"txt:2: '1{40}' is not a class in 1\.\.3"):
            open_dataset(folder, class_count=3)

    @pytest.mark.parametrize(
        ("labels", "line"), [(["1", "", "2", "3"], 2), (["", "1", "2"], 1), (["1", " \t", "2"], 2)]
    )
    def test_a_blank_line_within_is_refused_because_later_labels_would_move(self, write_images, labels, line):
        folder = write_images(*VAL)
        write_devkit(folder, labels)

        with pytest.raises(BadInputError, match=rf"txt:{line}: a blank line is not a class"):
            open_dataset(folder, class_count=3)

    def test_blank_lines_at_the_end_do_no_harm(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1, 2, 3, 1, "", " "])

        assert [item.classes for item in open_dataset(folder, class_count=3).items] == [(2,), (0,), (1,), (2,)]

    def test_the_same_image_in_two_formats_is_refused(self, write_images):
        folder = write_images("ILSVRC2012_val_00000001.JPEG", "ILSVRC2012_val_00000001.png")
        write_devkit(folder, [1])

        with pytest.raises(BadInputError, match="are the same image"):
            open_dataset(folder, class_count=3)

    @pytest.mark.parametrize("synsets", [{1: "n01", 2: "n02"}, {1: "n01", 2: "n01", 3: "n02"}])
    def test_synsets_that_are_not_all_there_are_refused(self, write_images, synsets):
        folder = write_images(*VAL)
        write_devkit(folder, [1], synsets)

        with pytest.raises(BadInputError, match="does not number 3 synsets"):
            open_dataset(folder, class_count=3)

    def test_a_file_that_is_no_meta_mat_is_refused(self, write_images):
        folder = write_images(*VAL)
        write_devkit(folder, [1])
        (folder / "meta.mat").write_bytes(b"nothing of the kind")

        with pytest.raises(BadInputError, match="is not the devkit's list of synsets"):
            open_dataset(folder, class_count=3)


class TestClassFolders:
    def test_labels_are_places_among_the_sorted_folders(self, write_images):
        folder = write_images("n02/b.jpg", "n01/z.jpg", "n01/a.jpg")
        (folder / "n03").mkdir()

        dataset = open_dataset(folder, class_count=3)

        assert dataset.kind is DatasetKind.CLASS_FOLDERS
        assert classes(dataset) == {"n01/a.jpg": (0,), "n01/z.jpg": (0,), "n02/b.jpg": (1,)}

    def test_a_part_of_the_classes_is_refused_because_places_would_be_wrong(self, write_images):
        folder = write_images("n02/b.jpg", "n01/z.jpg")

        with pytest.raises(BadInputError, match="has 2 folders, and a label is a place among all 1000"):
            open_dataset(folder)

    def test_a_class_with_other_files_only_has_no_images_and_the_others_count(self, write_images):
        folder = write_images("n02/b.jpg", "n01/z.jpg")
        (folder / "n03").mkdir()
        (folder / "n03" / ".DS_Store").touch()

        assert classes(open_dataset(folder, class_count=3)) == {"n01/z.jpg": (0,), "n02/b.jpg": (1,)}

    def test_classes_that_are_all_empty_are_refused(self, tmp_path):
        (tmp_path / "n01").mkdir()
        (tmp_path / "n01" / ".DS_Store").touch()

        with pytest.raises(BadInputError, match="no image in the class folders of"):
            open_dataset(tmp_path, class_count=1)


class TestAcceptedClasses:
    def test_are_read_with_the_image_s_own_class_first(self, write_images):
        folder = write_images("cat.jpg")
        (folder / "labels.json").write_text(json.dumps([{"file": "cat.jpg", "accept_classes": [282, 281]}]))

        dataset = open_dataset(folder)

        assert (dataset.kind, classes(dataset)) == (DatasetKind.ACCEPTED_CLASSES, {"cat.jpg": (282, 281)})

    @pytest.mark.parametrize(
        "entry", [{"file": "a"}, {"file": "a", "accept_classes": []}, {"file": "a", "accept_classes": ["1"]}, 1]
    )
    def test_another_form_is_refused(self, write_images, entry):
        folder = write_images("a.jpg")
        (folder / "labels.json").write_text(json.dumps([entry]))

        with pytest.raises(BadInputError, match=r"labels\.json has no labels in a form that is known"):
            open_dataset(folder)

    @pytest.mark.parametrize("text", ["[" * 100_000, f'[{{"file": "a", "accept_classes": [{"1" * 5000}]}}]'])
    def test_what_python_s_reader_gives_up_on_is_refused(self, write_images, text):
        folder = write_images("a.jpg")
        (folder / "labels.json").write_text(text)

        with pytest.raises(BadInputError, match=r"labels\.json has no labels in a form that is known") as caught:
            open_dataset(folder)

        assert len(caught.value.message) < 1000

    def test_a_label_of_thousands_of_digits_is_refused_in_one_short_line(self, write_images):
        folder = write_images("a.jpg")
        (folder / "labels.json").write_text(f'[{{"file": "a.jpg", "accept_classes": [{"1" * 4000}]}}]')

        with pytest.raises(BadInputError, match=r"the label 1{20} of a\.jpg is not in"):
            open_dataset(folder)

    def test_the_shared_images_are_all_labelled(self, shared_images):
        dataset = open_dataset(shared_images / "imagenet")

        assert (dataset.kind, len(dataset.items)) == (DatasetKind.ACCEPTED_CLASSES, 10)
        assert dataset.left_out == ()


class TestCoco:
    def test_the_usual_layout_is_found_from_either_folder(self, write_images):
        folder = write_images("000001.jpg", "000002.jpg", folder="coco/val2017")
        truth = folder.parent / "annotations" / "instances_val2017.json"
        truth.parent.mkdir()
        truth.write_text(json.dumps(coco([(2, "000002.jpg"), (1, "000001.jpg")], [(9, 1, 3)])))

        for place in (folder, folder.parent):
            dataset = open_dataset(place)

            assert (dataset.kind, dataset.truth, dataset.folder) == (DatasetKind.COCO, truth, folder)
            assert [(item.name, item.image_id) for item in dataset.items] == [("000001.jpg", 1), ("000002.jpg", 2)]

    def test_what_has_no_counterpart_is_left_out_by_name(self, write_images):
        folder = write_images("a.jpg", "b.jpg")
        (folder / "instances.json").write_text(json.dumps(coco([(1, "a.jpg"), (2, "c.jpg")], [(9, 77, 1)])))

        dataset = open_dataset(folder)

        assert {one.name: one.reason for one in dataset.left_out} == {
            "b.jpg": "the instances do not list it",
            "c.jpg": "its label has no file",
            "annotation 9": "its image is not listed",
        }

    @pytest.mark.parametrize(
        ("truth", "complaint"),
        [
            (coco([(1, "a.jpg"), (2, "a.jpg")]), r"lists a\.jpg 2 times"),
            (coco([(1, "a.jpg"), (1, "b.jpg")]), "lists image id 1 2 times"),
            (coco([(1, "a.jpg")], [(9, 1, 2)]), "annotation 9 is of the unknown category 2"),
            ({"images": []}, "has no instances in COCO's form"),
        ],
    )
    def test_contradictions_are_refused_by_name(self, write_images, truth, complaint):
        folder = write_images("a.jpg", "b.jpg")
        (folder / "instances.json").write_text(json.dumps(truth))

        with pytest.raises(BadInputError, match=complaint):
            open_dataset(folder)

    @pytest.mark.parametrize(
        "text",
        [
            '{"images": ' + "[" * 100_000,
            '{"images": [{"id": 1e999, "file_name": "a.jpg"}], "annotations": [], "categories": []}',
            f'{{"images": [{{"id": {"1" * 5000}, "file_name": "a.jpg"}}], "annotations": [], "categories": []}}',
        ],
        ids=["deep", "infinite", "long"],
    )
    def test_what_python_s_reader_gives_up_on_is_refused(self, write_images, text):
        folder = write_images("a.jpg")
        (folder / "instances.json").write_text(text)

        with pytest.raises(BadInputError, match=r"instances\.json has no instances in COCO's form") as caught:
            open_dataset(folder)

        assert len(caught.value.message) < 1000

    @pytest.mark.parametrize(
        ("categories", "marked", "complaint"),
        [
            ({0: "person"}, 0, r"the category 0 \(person\) has none of COCO's numbers"),
            ({12: None}, 12, "the category 12 has none of COCO's numbers"),
            ({5000: "lamp"}, 5000, r"the category 5000 \(lamp\) has none of COCO's numbers"),
            ({16: "dog"}, 16, r"the category 16 \(dog\) is 18 in COCO"),
            ({1: "Traffic_Light"}, 1, r"the category 1 \(Traffic_Light\) is 10 in COCO"),
            (
                {1: "helmet", 2: "vest"},
                1,
                "the category 1 is helmet, in COCO it is person, and no name is one of COCO's",
            ),
        ],
    )
    def test_categories_that_are_not_coco_s_are_refused_since_nothing_would_ever_be_found(
        self, write_images, categories, marked, complaint
    ):
        folder = write_images("a.jpg")
        truth = coco([(1, "a.jpg")], [(9, 1, marked)])
        truth["categories"] = [{"id": number, "name": name} for number, name in categories.items()]
        (folder / "instances.json").write_text(json.dumps(truth))

        with pytest.raises(BadInputError, match=complaint):
            open_dataset(folder)

    def test_categories_without_names_or_with_another_spelling_of_some_are_coco_s(self, write_images):
        folder = write_images("a.jpg")
        truth = coco([(1, "a.jpg")], [(1, 1, 1), (2, 1, 5), (3, 1, 18)])
        # A number that nothing is marked with does no harm.
        named = [{"id": 1, "name": "Person"}, {"id": 5, "name": "aeroplane"}, {"id": 0, "name": "background"}]
        truth["categories"] = [*named, {"id": 18}]
        (folder / "instances.json").write_text(json.dumps(truth))

        assert [item.name for item in open_dataset(folder).items] == ["a.jpg"]

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ('{"images": []}', r"\(the key 'categories' is missing\)"),
            ('{"images": [],\n}', r"\(line 2, column 1 is not JSON: "),
            ('{"images": 7}', r"\(a value is not of the kind that belongs there\)"),
        ],
    )
    def test_what_is_wrong_with_the_form_is_said_in_words(self, write_images, text, complaint):
        folder = write_images("a.jpg")
        (folder / "instances.json").write_text(text)

        with pytest.raises(BadInputError, match=complaint):
            open_dataset(folder)

    def test_the_shared_images_are_all_listed(self, shared_images):
        dataset = open_dataset(shared_images / "coco")

        assert (dataset.kind, len(dataset.items), dataset.left_out) == (DatasetKind.COCO, 20, ())
        assert dataset.items[0].image_id == 30


class TestImages:
    def test_a_folder_of_which_nothing_is_known_will_do(self, write_images):
        folder = write_images("b.jpg", "a.png")

        dataset = open_dataset(folder)

        assert (dataset.kind, classes(dataset)) == (DatasetKind.IMAGES, {"a.png": (), "b.jpg": ()})

    def test_the_truth_is_not_looked_at_where_only_images_are_asked_for(self, write_images):
        folder = write_images("a.jpg")
        (folder / "labels.json").write_text("nonsense")

        assert open_dataset(folder, kind=DatasetKind.IMAGES).kind is DatasetKind.IMAGES


def test_another_kind_than_the_one_asked_for_is_refused(write_images):
    folder = write_images("a.jpg")

    with pytest.raises(BadInputError, match="is images, not coco"):
        open_dataset(folder, kind=DatasetKind.COCO)


def test_two_files_of_labels_are_refused_unless_one_is_named(write_images):
    folder = write_images("a.jpg")
    (folder / "val.txt").write_text("a.jpg 1\n")
    (folder / "labels.json").write_text("[]")

    with pytest.raises(BadInputError, match=r"labels\.json, .*val\.txt"):
        open_dataset(folder)
    assert classes(open_dataset(folder, truth=folder / "val.txt")) == {"a.jpg": (1,)}


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_images_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()

    with pytest.raises(BadInputError, match=name) as caught:
        open_dataset(tmp_path / name)

    assert "--input" not in caught.value.remedy  # calibrate and accuracy have none


def test_missing_and_empty_labels_are_refused(write_images):
    folder = write_images("a.jpg")
    (folder / "empty.txt").write_text("\n")

    with pytest.raises(BadInputError, match=r"cannot read the labels .*gone\.txt"):
        open_dataset(folder, truth=folder / "gone.txt")
    with pytest.raises(BadInputError, match=r"empty\.txt is empty"):
        open_dataset(folder, truth=folder / "empty.txt")
