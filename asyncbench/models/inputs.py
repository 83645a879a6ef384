"""Inputs of a network: images, seeded noise or zeros."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asyncbench.errors import BadInputError
from asyncbench.models.image_folder import find_images, sample_image_folder
from asyncbench.models.recipe import Layout, Recipe
from asyncbench.sweep.cell import InputKind
from asyncbench.tensors import AnyArray, TensorSpec

__all__ = ["find_images", "generic_recipe", "make_inputs", "sample_image_folder", "why_no_images"]

_FEED_NOISE = "use --input random"
_CHANNELS = 3
_DRAWN_AT_ONCE = 64


def make_inputs(
    specs: Sequence[TensorSpec],
    *,
    kind: InputKind,
    batch: int,
    seed: int,
    recipe: Recipe | None,
    image_paths: Sequence[Path],
) -> dict[str, AnyArray]:
    """Return the inputs of one inference, each `(batch, *item_shape)` of its own type. Blocking: decodes images.

    Images repeat in order until the batch is full. Noise is standard normal for floats and the full range for 8-bit
    integers; wider integers, which are indices and masks, and booleans are 0 or 1.

    Args:
        seed: Of the noise; equal seeds give equal inputs.
        recipe: What the network does to images; None to derive one from the shape of its input.
        image_paths: The images; not looked at for other kinds.

    Raises:
        BadInputError: Images were asked for and this network takes none, or an image cannot be read.
    """
    if kind is InputKind.IMAGES:
        spec = _only_input(specs)
        return {spec.name: _images(spec, recipe or generic_recipe(spec), batch=batch, paths=image_paths)}
    if kind is InputKind.ZEROS:
        # Not np.zeros, whose memory is only taken when it is written to: what is held shall be seen as taken.
        return {spec.name: np.full((batch, *spec.item_shape), 0, dtype=spec.dtype) for spec in specs}
    return {spec.name: _noise(spec, batch=batch, seed=(seed, index)) for index, spec in enumerate(specs)}


def check_inputs(
    specs: Sequence[TensorSpec], *, kind: InputKind, recipe: Recipe | None, image_paths: Sequence[Path]
) -> None:
    """Check that inputs can be made, whatever the batch. Blocking: decodes each image once, and keeps none.

    Raises:
        BadInputError: See `make_inputs`; or the network takes images of another size.
    """
    if kind is not InputKind.IMAGES:
        return
    spec = _only_input(specs)
    recipe = recipe or generic_recipe(spec)
    shape = (recipe.height, recipe.width)
    taken = (*shape, _CHANNELS) if recipe.layout is Layout.NHWC else (_CHANNELS, *shape)
    if spec.item_shape != taken:
        raise BadInputError(
            f"input {spec.name!r} of {spec.item_shape} {spec.dtype} does not take images of {taken}",
            remedy=f"take the file of that network, name no network, or {_FEED_NOISE}",
        )
    for path in image_paths:
        _prepared(path, recipe)


def generic_recipe(spec: TensorSpec) -> Recipe:
    """Return how to feed an unknown network: squashed, RGB, in 0..1; raw in 0..255 where it takes uint8.

    Raises:
        BadInputError: The input is not one image of three channels.
    """
    layout = _layout(spec)
    height, width = spec.item_shape[1:] if layout is Layout.NCHW else spec.item_shape[:2]
    return Recipe(height=height, width=width, divisor=1.0 if spec.dtype == "uint8" else 255.0, layout=layout)


def why_no_images(specs: Sequence[TensorSpec]) -> str | None:
    """Return why a network with these inputs cannot be fed with images, or None where it can."""
    try:
        _layout(_only_input(specs))
    except BadInputError as error:
        return error.message
    return None


def _layout(spec: TensorSpec) -> Layout:
    takes_pixels = len(spec.item_shape) == _CHANNELS and (spec.dtype == "uint8" or spec.dtype.startswith("float"))
    if takes_pixels and spec.item_shape[0] == _CHANNELS:
        return Layout.NCHW
    if takes_pixels and spec.item_shape[2] == _CHANNELS:
        return Layout.NHWC
    raise BadInputError(
        f"input {spec.name!r} of {spec.item_shape} {spec.dtype} is not an image of 3 channels", remedy=_FEED_NOISE
    )


def _only_input(specs: Sequence[TensorSpec]) -> TensorSpec:
    if len(specs) != 1:
        names = ", ".join(spec.name for spec in specs)
        raise BadInputError(f"images feed one input, this network has {len(specs)} ({names})", remedy=_FEED_NOISE)
    return specs[0]


def _images(spec: TensorSpec, recipe: Recipe, *, batch: int, paths: Sequence[Path]) -> AnyArray:
    items = np.empty((batch, *spec.item_shape), dtype=spec.dtype)
    for index in range(batch):
        first = index % len(paths)
        items[index] = items[first] if first < index else _prepared(paths[first], recipe)
    return items


def _prepared(path: Path, recipe: Recipe) -> AnyArray:
    # Not above: it takes the decoders, and a sweep that is fed with noise needs none.
    from asyncbench.models.preparation import prepare, read_image  # noqa: PLC0415

    return prepare(read_image(path), recipe)


def _noise(spec: TensorSpec, *, batch: int, seed: tuple[int, int]) -> AnyArray:
    shape = (batch, *spec.item_shape)
    dtype = np.dtype(spec.dtype)
    random = np.random.Generator(np.random.PCG64(seed))
    if dtype.kind == "f" or dtype.itemsize > 1 or dtype.kind == "b":
        items = np.empty(shape, dtype)
        # A few at a time: what is drawn is wider than what is kept.
        for first in range(0, batch, _DRAWN_AT_ONCE):
            part = items[first : first + _DRAWN_AT_ONCE]
            is_float = dtype.kind == "f"
            part[...] = (
                random.standard_normal(part.shape, np.float32) if is_float else random.integers(2, size=part.shape)
            )
        return items
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, size=shape, dtype=dtype, endpoint=True)
