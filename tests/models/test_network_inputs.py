from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.models.image_folder import find_images, sample_image_folder
from asyncbench.models.inputs import check_inputs, generic_recipe, make_inputs
from asyncbench.models.preparation import prepare, read_image
from asyncbench.models.recipe import Layout
from asyncbench.sweep.cell import InputKind
from asyncbench.tensors import TensorSpec

_DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")


def _spec(*item_shape, dtype="float32", name="x"):
    return TensorSpec(name=name, item_shape=item_shape, dtype=dtype)


def _make(*specs, kind, batch=2, seed=0, recipe=None, image_paths=()):
    return make_inputs(specs, kind=kind, batch=batch, seed=seed, recipe=recipe, image_paths=image_paths)


@given(
    shapes=st.lists(st.lists(st.integers(1, 5), max_size=3), min_size=1, max_size=3),
    dtype=st.sampled_from(_DTYPES),
    kind=st.sampled_from([InputKind.RANDOM, InputKind.ZEROS]),
    batch=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_noise_and_zeros_have_the_shape_and_type_of_the_input_and_repeat_with_the_seed(
    shapes, dtype, kind, batch, seed
):
    specs = [_spec(*shape, dtype=dtype, name=f"x{index}") for index, shape in enumerate(shapes)]

    first, second = (_make(*specs, kind=kind, batch=batch, seed=seed) for _ in range(2))

    for spec in specs:
        assert first[spec.name].shape == (batch, *spec.item_shape)
        assert first[spec.name].dtype == spec.dtype
        assert np.array_equal(first[spec.name], second[spec.name])


@given(
    dtype=st.sampled_from(_DTYPES),
    kind=st.sampled_from([InputKind.RANDOM, InputKind.ZEROS]),
    small=st.integers(1, 200),
    more=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
def test_an_item_is_the_same_in_every_batch(dtype, kind, small, more, seed):
    spec = _spec(3, dtype=dtype)

    few, many = (_make(spec, kind=kind, batch=batch, seed=seed)["x"] for batch in (small, small + more))

    assert np.array_equal(few, many[:small])


def test_noise_is_what_it_was_when_it_was_drawn_at_once():
    random = np.random.Generator(np.random.PCG64((7, 0)))

    assert np.array_equal(
        _make(_spec(5), kind=InputKind.RANDOM, batch=150, seed=7)["x"], random.standard_normal((150, 5), np.float32)
    )


def test_images_of_another_size_than_the_network_takes_are_refused_before_anything_is_made(tmp_path):
    recipe = find_model("mobilenet").recipe

    with pytest.raises(BadInputError, match=r"of \(64,\) float32 does not take images of \(3, 224, 224\)"):
        check_inputs([_spec(64)], kind=InputKind.IMAGES, recipe=recipe, image_paths=[])


def test_an_image_that_only_a_large_batch_would_meet_is_refused_before_anything_is_made(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    paths = [*find_images(sample_image_folder()), tmp_path / "broken.png"]

    with pytest.raises(BadInputError, match=r"broken\.png"):
        check_inputs([_spec(3, 8, 8)], kind=InputKind.IMAGES, recipe=None, image_paths=paths)


def test_zeros_are_zero():
    assert not _make(_spec(3, 4, 4), kind=InputKind.ZEROS)["x"].any()


def test_float_noise_is_standard_normal():
    noise = _make(_spec(100, 100), kind=InputKind.RANDOM)["x"]

    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


def test_8_bit_noise_takes_the_full_range_and_indices_stay_small():
    noise = _make(_spec(50, 50, dtype="uint8"), kind=InputKind.RANDOM)["x"]
    indices = _make(_spec(50, 50, dtype="int64"), kind=InputKind.RANDOM)["x"]

    assert (noise.min(), noise.max()) == (0, 255)
    assert set(np.unique(indices)) == {0, 1}


def test_seeds_and_inputs_differ_in_their_noise():
    specs = (_spec(8, name="a"), _spec(8, name="b"))

    first, second = (_make(*specs, kind=InputKind.RANDOM, seed=seed) for seed in (1, 2))

    assert not np.array_equal(first["a"], first["b"])
    assert not np.array_equal(first["a"], second["a"])


def test_images_repeat_in_order_until_the_batch_is_full():
    images = find_images(sample_image_folder())[:2]
    recipe = find_model("mobilenet").recipe

    filled = _make(_spec(3, 224, 224), kind=InputKind.IMAGES, batch=5, recipe=recipe, image_paths=images)["x"]

    expected = [prepare(read_image(images[index]), recipe) for index in (0, 1, 0, 1, 0)]
    assert np.array_equal(filled, np.stack(expected))


@pytest.mark.parametrize(
    ("item_shape", "dtype", "low", "high"),
    [((3, 32, 48), "float32", 0.0, 1.0), ((32, 48, 3), "float16", 0.0, 1.0), ((32, 48, 3), "uint8", 0, 255)],
)
def test_an_unknown_network_with_an_image_as_input_is_fed_with_images(item_shape, dtype, low, high):
    images = find_images(sample_image_folder())

    fed = _make(_spec(*item_shape, dtype=dtype), kind=InputKind.IMAGES, batch=1, image_paths=images)["x"]

    assert fed.shape == (1, *item_shape)
    assert fed.dtype == dtype
    assert low <= fed.min() < fed.max() <= high
    assert fed.max() > high / 2


def test_the_layout_of_an_unknown_network_is_read_from_its_shape():
    assert generic_recipe(_spec(3, 20, 30)).layout is Layout.NCHW
    assert generic_recipe(_spec(20, 30, 3)).layout is Layout.NHWC
    assert (generic_recipe(_spec(20, 30, 3)).height, generic_recipe(_spec(20, 30, 3)).width) == (20, 30)


@pytest.mark.parametrize("spec", [_spec(128), _spec(1, 28, 28), _spec(3, 8, 8, dtype="int64"), _spec(3, 4, 8, 8)])
def test_images_are_refused_where_the_input_is_none(spec):
    with pytest.raises(BadInputError, match="not an image of 3 channels") as caught:
        _make(spec, kind=InputKind.IMAGES, image_paths=find_images(sample_image_folder()))

    assert "--input random" in caught.value.remedy


def test_images_are_refused_where_there_are_several_inputs():
    with pytest.raises(BadInputError, match=r"has 2 \(a, b\)") as caught:
        _make(_spec(3, 8, 8, name="a"), _spec(3, 8, 8, name="b"), kind=InputKind.IMAGES)

    assert "--input random" in caught.value.remedy
