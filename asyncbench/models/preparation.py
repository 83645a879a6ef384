"""Images, from a file to a network's input, on OpenCV."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg  # type: ignore[import-untyped]  # its stubs are not marked as such

from asyncbench.errors import BadInputError
from asyncbench.models.recipe import Layout, Recipe

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

_MAX_SCALED_PIXELS = 2**26
"""Of an image before the crop, 200 MB: a side 1,024 times the other at a short side of 256. A guess at what is odd."""
_MAX_FILE_BYTES = 1 << 30
_MAX_PIXELS = 2**28
"""800 MB once decoded, more than any camera has. A small file can say that it holds many more."""
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE = struct.Struct(">16x2I")  # its first chunk begins with width and height
_BMP_SIZE = struct.Struct("<18x2i")  # the height is negative where the rows begin at the top
_AS_STORED = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_JPEG_START = b"\xff\xd8"
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file")  # jerror.h of libjpeg, but for what it can do without
_HARMLESS = "bad ICC marker"


def read_image(path: Path) -> UInt8Array:
    """Return an image as `(height, width, 3)` uint8 BGR, as it is stored: not turned by its EXIF orientation.

    So do COCO's and ILSVRC2012's own tools: boxes are marked, and published weights were trained and evaluated, on the
    stored pixels. Of a JPEG whose data are damaged OpenCV returns what it could make of them; it is refused.

    Raises:
        BadInputError: The file cannot be read or decoded, or is damaged.
    """
    remedy = "replace the file or take it out of the folder"
    try:
        # Not imread: it explains a missing file on stderr, in the middle of our table.
        size_bytes = path.stat().st_size
        data = path.read_bytes() if size_bytes <= _MAX_FILE_BYTES else b""
    except OSError as error:
        raise BadInputError(f"cannot read the image {path} ({error.strerror})", remedy=remedy) from error
    if (pixels := _declared_pixels(data)) > _MAX_PIXELS:
        raise BadInputError(
            f"the image {path} says that it has {pixels:,} pixels, {_MAX_PIXELS:,} are the most", remedy=remedy
        )
    encoded = np.frombuffer(data, dtype=np.uint8)
    try:
        image = cv2.imdecode(encoded, _AS_STORED) if encoded.size else None
    except cv2.error as error:  # more pixels than OpenCV allows
        raise BadInputError(f"cannot decode the image {path} ({error.err})", remedy=remedy) from error
    if image is None:
        raise BadInputError(f"cannot decode the image {path} ({size_bytes} B)", remedy=remedy)
    if damage := _jpeg_damage(encoded):
        raise BadInputError(f"cannot decode the image {path} ({damage})", remedy=remedy)
    return image.astype(np.uint8, copy=False)


def prepare(image_bgr: UInt8Array, recipe: Recipe) -> Float32Array:
    """Return the network's input for one image.

    Args:
        image_bgr: `(height, width, 3)` uint8, as `read_image` returns it.

    Returns:
        `(3, height, width)` float32 in the order RGB, or `(height, width, 3)` where the recipe says NHWC.

    Raises:
        BadInputError: One side is so much longer than the other that scaling would take gigabytes.
    """
    pixels = cv2.cvtColor(_resize(image_bgr, recipe), cv2.COLOR_BGR2RGB).astype(np.float32)
    pixels -= np.array(recipe.mean, dtype=np.float32)
    pixels /= np.float32(recipe.divisor)
    if recipe.layout is Layout.NHWC:
        return pixels
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _declared_pixels(data: bytes) -> int:
    """Return how many pixels a file says that it has; 0 where that is not known, and the format allows no more."""
    if data.startswith(_PNG_START) and len(data) >= _PNG_SIZE.size:
        width, height = _PNG_SIZE.unpack_from(data)
    elif data.startswith(b"BM") and len(data) >= _BMP_SIZE.size:
        width, height = _BMP_SIZE.unpack_from(data)
    elif data.startswith(_JPEG_START):
        try:
            height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
        except (ValueError, KeyError):  # it is OpenCV's to refuse
            return 0
    else:
        return 0
    return abs(int(width) * int(height))


def _jpeg_damage(encoded: UInt8Array) -> str | None:
    """Return what libjpeg says of damaged data, None for a good JPEG and for other formats.

    OpenCV keeps libjpeg's warnings to stderr. An eighth of the size says as much in less than half of the time.
    """
    if encoded[:2].tobytes() != _JPEG_START:
        return None
    try:
        simplejpeg.decode_jpeg(encoded, "GRAY", fastdct=True, fastupsample=True, min_height=1, min_width=1, strict=True)
    except ValueError as error:  # also for colours and subsamplings that it does not know, and OpenCV does
        message = str(error)
        return message if message.startswith(_DAMAGE) and _HARMLESS not in message else None
    return None


def _resize(image: UInt8Array, recipe: Recipe) -> UInt8Array:
    if recipe.short_side is None:
        return _scale(image, height=recipe.height, width=recipe.width)
    height, width = image.shape[:2]
    ratio = recipe.short_side / min(height, width)
    scaled_height, scaled_width = round(height * ratio), round(width * ratio)
    if scaled_height * scaled_width > _MAX_SCALED_PIXELS:
        raise BadInputError(
            f"an image of {width} x {height} pixels is too long for a short side of {recipe.short_side}",
            remedy="take it out of the folder",
        )
    scaled = _scale(image, height=scaled_height, width=scaled_width)
    top = (scaled.shape[0] - recipe.height) // 2
    left = (scaled.shape[1] - recipe.width) // 2
    return scaled[top : top + recipe.height, left : left + recipe.width]


def _scale(image: UInt8Array, *, height: int, width: int) -> UInt8Array:
    # Bilinear without antialiasing, as MLMark and TensorFlow's detection API do. On ../shared/images INTER_AREA finds
    # as many right classes (ResNet-50 10 of 10, MobileNet 9 of 10) and fewer objects (SSD).
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
