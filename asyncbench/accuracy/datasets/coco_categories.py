"""COCO's categories: networks put out COCO's numbers, so instances must number their objects so, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from asyncbench.errors import BadInputError
from asyncbench.models.image_names import shown_name

# 90 numbers, of which 80 are used; an empty place is one that COCO left out.
_NAMES = """\
person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,
bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,
skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,
cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,
potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,
refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush""".replace("\n", "").split(",")
COCO_CATEGORIES: Mapping[int, str] = {number: name for number, name in enumerate(_NAMES, start=1) if name}
_NUMBERS = {name: number for number, name in COCO_CATEGORIES.items()}


def refuse_other_categories(categories: Mapping[int, str | None], marked: Collection[int], source: Path) -> None:
    """Refuse instances that number objects otherwise than COCO: every detection would count as a wrong one.

    A name of their own for some of COCO's numbers (`aeroplane`) is no contradiction; none of COCO's names is one.

    Args:
        categories: The names by number, None where there is no name.
        marked: The numbers that annotations use, all of them in `categories`.

    Raises:
        BadInputError: A number is none of COCO's, means something else there, or no name is COCO's.
    """
    remedy = "give the categories COCO's numbers (person is 1, toothbrush is 90)"
    for number in sorted(marked):
        name = categories[number]
        shown = f"the category {number}" + (f" ({shown_name(name)})" if name is not None else "")
        if number not in COCO_CATEGORIES:
            raise BadInputError(f"{source}: {shown} has none of COCO's numbers, which networks put out", remedy=remedy)
        meant = _NUMBERS.get(_plain(name)) if name is not None else None
        if meant not in {None, number}:
            raise BadInputError(f"{source}: {shown} is {meant} in COCO, whose numbers networks put out", remedy=remedy)
    names = {number: _plain(name) for number in marked if (name := categories[number]) is not None}
    if names and not any(name in _NUMBERS for name in names.values()):
        number, name = min(names.items())
        what = f"the category {number} is {shown_name(name)}, in COCO it is {COCO_CATEGORIES[number]}"
        raise BadInputError(f"{source}: {what}, and no name is one of COCO's", remedy=remedy)


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
