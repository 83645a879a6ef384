"""Images that were calibrated on are kept out of the test, or counted there."""

from __future__ import annotations

import pytest

from asyncbench.accuracy.calibration.table import ImageHash, refuse_overlap
from asyncbench.errors import BadInputError


def image(name: str, digit: str) -> ImageHash:
    return ImageHash(name=name, sha256=digit * 64)


def test_test_images_that_were_calibrated_on_are_refused_by_name_whatever_they_are_called():
    calibration = [image("mine.jpg", "1"), image("other.jpg", "2")]
    test = [image("val_1.jpg", "1"), image("other.jpg", "3"), image("val_3.jpg", "4")]

    with pytest.raises(BadInputError, match=r"1 of 3 images of the test set were .*: val_1.jpg: .*--allow-overlap"):
        refuse_overlap(calibration, test)


def test_a_forced_overlap_is_returned_for_the_record():
    shared = refuse_overlap([image("mine.jpg", "1")], [image("val_1.jpg", "1")], forced=True)

    assert shared == (image("val_1.jpg", "1"),)


def test_equal_test_images_count_each_and_equal_calibration_images_do_not():
    calibration = [image("mine.jpg", "1"), image("again.jpg", "1")]
    test = [image("a.jpg", "1"), image("b.jpg", "1"), image("c.jpg", "2"), image("d.jpg", "1")]

    shared = refuse_overlap(calibration, test, forced=True)

    assert [one.name for one in shared] == ["a.jpg", "b.jpg", "d.jpg"]


def test_disjoint_images_pass():
    assert refuse_overlap([image("a.jpg", "1")], [image("a.jpg", "2")]) == ()


def test_of_many_shared_images_the_first_are_named_and_the_rest_counted():
    images = [ImageHash(name=f"{index}.jpg", sha256=f"{index:064x}") for index in range(7)]

    with pytest.raises(BadInputError, match=r"0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 2 more"):
        refuse_overlap(images, images)
