from __future__ import annotations

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.models.image_folder import find_images
from asyncbench.models.preparation import prepare, read_image
from asyncbench.models.recipe import Layout, Recipe

_SIDES = st.integers(min_value=1, max_value=700)


def _gradient(height, width):
    return np.arange(height * width * 3, dtype=np.uint32).reshape(height, width, 3).astype(np.uint8)


@given(height=_SIDES, width=_SIDES)
def test_any_image_becomes_what_the_network_takes(height, width):
    prepared = prepare(_gradient(height, width), find_model("mobilenet").recipe)

    assert prepared.shape == (3, 224, 224)
    assert prepared.dtype == np.float32
    assert prepared.flags.c_contiguous
    assert -1 <= prepared.min() <= prepared.max() <= 1


def test_pixels_become_rgb_minus_mean_over_divisor():
    blue, green, red = 10, 20, 30
    image = np.full((4, 4, 3), (blue, green, red), dtype=np.uint8)

    prepared = prepare(image, Recipe(height=2, width=2, mean=(1.0, 2.0, 3.0), divisor=2.0))

    assert prepared[:, 0, 0].tolist() == [(30 - 1) / 2, (20 - 2) / 2, (10 - 3) / 2]


def test_the_channels_are_last_where_the_recipe_says_so():
    image = _gradient(6, 8)

    first = prepare(image, Recipe(height=3, width=4))
    last = prepare(image, Recipe(height=3, width=4, layout=Layout.NHWC))

    assert np.array_equal(first, last.transpose(2, 0, 1))


def test_a_crop_takes_the_centre_and_keeps_the_aspect_ratio():
    image = np.zeros((256, 512, 3), dtype=np.uint8)
    image[16:240, 144:368] = 255

    prepared = prepare(image, Recipe(height=224, width=224, short_side=256))

    assert prepared.min() == 255


def test_a_squash_takes_the_whole_image():
    image = np.zeros((100, 300, 3), dtype=np.uint8)
    image[:, :150] = 200

    prepared = prepare(image, Recipe(height=300, width=300))

    assert (prepared[:, :, :149] == 200).all()
    assert (prepared[:, :, 151:] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_decoded_as_it_is_stored_whatever_its_exif_orientation(tmp_path, orientation):
    stored = tmp_path / "stored.jpg"
    cv2.imwrite(str(stored), np.random.default_rng(0).integers(256, size=(10, 30, 3), dtype=np.uint8))
    tagged = tmp_path / "tagged.jpg"
    tagged.write_bytes(_with_orientation(stored.read_bytes(), orientation))

    assert np.array_equal(read_image(tagged), read_image(stored))


def _png_header(width, height):
    return (
        b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    )


def _bmp_header(width, height):
    return b"BM" + bytes(16) + width.to_bytes(4, "little", signed=True) + height.to_bytes(4, "little", signed=True)


def _jpeg_of(width, height):
    """A small JPEG whose frame header says another size."""
    jpeg = bytearray(cv2.imencode(".jpg", np.zeros((8, 8, 3), dtype=np.uint8))[1].tobytes())
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(jpeg)


@pytest.mark.parametrize(
    "content",
    [_png_header(30_000, 30_000), _bmp_header(30_000, -30_000), _jpeg_of(30_000, 30_000)],
    ids=["png", "bmp", "jpeg"],
)
def test_a_small_file_that_says_it_has_gigabytes_of_pixels_is_refused_before_it_is_decoded(tmp_path, content):
    path = tmp_path / "bomb.png"
    path.write_bytes(content + bytes(100))

    with pytest.raises(BadInputError, match=r"bomb\.png says that it has 900,000,000 pixels, 268,435,456 are the most"):
        read_image(path)


def test_a_file_that_is_too_large_for_an_image_is_not_read(tmp_path):
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(BadInputError, match=r"cannot decode the image .*sparse\.jpg \(1099511627776 B\)"):
        read_image(path)


def test_a_grey_image_has_three_channels(tmp_path):
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.zeros((5, 6), dtype=np.uint8))

    assert read_image(path).shape == (5, 6, 3)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff\xe0"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)

    with pytest.raises(BadInputError, match=r"cannot decode the image .*broken\.jpg"):
        read_image(path)


SAMPLING_FACTORS = ("411", "420", "422", "440", "444")
ENCODINGS = {
    **{
        name: [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}")]
        for name in SAMPLING_FACTORS
    },
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
}


def _damage(jpeg, how):
    middle = len(jpeg) // 2
    if how == "zeroed":
        return jpeg[:middle] + bytes(len(jpeg) - middle - 2) + jpeg[-2:]
    if how == "overwritten":
        return jpeg[:middle] + b"\x55" * 500 + jpeg[middle + 500 :]
    return jpeg[:middle] + b"\xff\xd9"


@pytest.mark.parametrize("how", ["zeroed", "overwritten", "cut off, with an end"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_jpeg_that_libjpeg_only_warns_about_is_refused(tmp_path, encoding, how):
    noise = np.random.default_rng(0).integers(256, size=(100, 120, 3), dtype=np.uint8)
    path = tmp_path / "damaged.jpg"
    jpeg = cv2.imencode(".jpg", noise, ENCODINGS[encoding])[1].tobytes()
    damaged = _damage(jpeg, how)
    path.write_bytes(jpeg)
    assert read_image(path).shape == (100, 120, 3)
    assert cv2.imdecode(np.frombuffer(damaged, dtype=np.uint8), cv2.IMREAD_COLOR) is not None

    path.write_bytes(damaged)

    with pytest.raises(BadInputError, match=r"cannot decode the image .*damaged\.jpg \(Corrupt JPEG data"):
        read_image(path)


@pytest.mark.parametrize("colours", ["GRAY", "CMYK"])
def test_a_jpeg_of_other_colours_is_read_too(tmp_path, colours):
    pixels = np.zeros((10, 12, {"GRAY": 1, "CMYK": 4}[colours]), dtype=np.uint8)
    path = tmp_path / "other.jpg"
    path.write_bytes(simplejpeg.encode_jpeg(pixels, colorspace=colours))

    assert read_image(path).shape == (10, 12, 3)


@pytest.mark.parametrize("name", ["coco", "imagenet"])
def test_the_shared_images_are_whole(shared_folder, name):
    for path in find_images(shared_folder / "images" / name):
        assert read_image(path).size > 0


@pytest.mark.parametrize(("height", "width"), [(1, 65_000), (65_000, 1)])
def test_an_image_that_scaling_would_make_gigabytes_of_is_refused(height, width):
    image = np.zeros((height, width, 3), dtype=np.uint8)

    with pytest.raises(BadInputError, match=f"{width} x {height} pixels is too long for a short side of 256"):
        prepare(image, find_model("mobilenet").recipe)


def test_a_long_image_may_be_squashed():
    assert prepare(np.zeros((1, 65_000, 3), dtype=np.uint8), find_model("ssdmobilenet").recipe).shape[0] == 3


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"cannot read the image .*none\.jpg \(No such file"):
        read_image(tmp_path / "none.jpg")


def test_a_recipe_tells_what_it_does():
    assert str(find_model("mobilenet").recipe) == (
        "short side 256, centre crop 224x224, (RGB - (127.5, 127.5, 127.5)) / 127.5, NCHW"
    )


def _with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Put an EXIF block with one entry, the orientation, behind the start marker of a JPEG."""
    entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big")
    tiff = b"MM\x00\x2a\x00\x00\x00\x08" + b"\x00\x01" + entry + orientation.to_bytes(2, "big") + b"\x00\x00" + bytes(4)
    block = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + jpeg[2:]
