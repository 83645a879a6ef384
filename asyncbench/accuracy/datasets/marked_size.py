"""Check that images have the sizes in COCO's instances: boxes marked on images of other sizes mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncbench.accuracy.datasets.dataset import Item, LeftOut
from asyncbench.errors import BadInputError
from asyncbench.models.preparation import read_image


def size_difference(marked: tuple[int, int] | None, decoded: tuple[int, int]) -> str | None:
    """Return why boxes that were marked on one size do not fit an image of another, or None where they do.

    A copy that was scaled evenly, its sides rounded to pixels, fits: boxes are compared as shares of the sides. An
    image that lies on its side does not, however close to a square.

    Args:
        marked: Height and width, as all sizes here; None where nothing is known.
    """
    if marked is None or decoded == marked:
        return None
    (marked_height, marked_width), (height, width) = marked, decoded
    is_scaled = (height - 1) * marked_width < (width + 1) * marked_height and (width - 1) * marked_height < (
        height + 1
    ) * marked_width
    if is_scaled and (height, width) != (marked_width, marked_height):
        return None
    return f"it is {width} x {height} pixels, the instances say {marked_width} x {marked_height}"


def refuse_other_sizes(items: Sequence[Item], truth: Path) -> None:
    """Refuse images of which not one has the size that the instances say. Blocking: decodes up to the first that has.

    Raises:
        BadInputError: All that can be decoded have other sizes.
    """
    differing = []
    for item in items:
        try:
            height, width, _ = read_image(item.path).shape
        except BadInputError:  # it is left out by name when its turn comes
            continue
        difference = size_difference(item.marked_size, (height, width))
        if difference is None:
            return
        differing.append(LeftOut(name=item.name, reason=difference))
    if differing:
        raise BadInputError(
            f"no image has the size that {truth} says; of {len(differing)} decoded the first is {differing[0]}",
            remedy="correct height, width and boxes there; where they are those of images that viewers turn by an "
            "EXIF tag, turn the pixels: as in COCO, boxes are of the pixels as they are stored",
        )
