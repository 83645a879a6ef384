"""Keeps the pictures that a table is made from apart from those that accuracy is measured on."""

from __future__ import annotations

from collections.abc import Collection

from asyncbench.accuracy.calibration.table import ImageHash, listed
from asyncbench.errors import BadInputError


def find_overlap(calibration: Collection[ImageHash], test: Collection[ImageHash]) -> tuple[ImageHash, ...]:
    """Return the test pictures whose bytes were calibrated on, under whatever name; equal ones count each."""
    seen = {image.sha256 for image in calibration}
    return tuple(image for image in test if image.sha256 in seen)


def refuse_overlap(
    calibration: Collection[ImageHash], test: Collection[ImageHash], *, forced: bool = False
) -> tuple[ImageHash, ...]:
    """Refuse to measure accuracy on pictures that were calibrated on: the figure would flatter.

    Returns:
        The test pictures in both, empty unless `forced`: they belong into the record.

    Raises:
        BadInputError: There are such pictures; the error names them.
    """
    shared = find_overlap(calibration, test)
    if shared and not forced:
        raise BadInputError(
            f"{len(shared)} of {len(test)} images of the test set were calibrated on: "
            f"{listed([image.name for image in shared])}",
            remedy="calibrate on other images, or use --allow-overlap and say so beside the figure",
            overlapping_images=len(shared),
        )
    return shared
