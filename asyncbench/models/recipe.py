"""The recipe of a network: the preparation of an image before the network sees it."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.text_enum import TextEnum


class Layout(TextEnum):
    """The order of the axes of an image in a batch."""

    NCHW = "NCHW"
    NHWC = "NHWC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """From 8-bit pixels to a network's input, `(pixel - mean) / divisor`, always RGB.

    Attributes:
        short_side: The short side is scaled to this many pixels, the aspect ratio kept, and the centre
            `height` x `width` cut out. None: the whole image is squashed to `height` x `width`.
        mean: Red, green, blue, in 0..255.
        divisor: What the difference is divided by.
    """

    height: int
    width: int
    short_side: int | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    divisor: float = 1.0
    layout: Layout = Layout.NCHW

    def __str__(self) -> str:
        size = f"{self.height}x{self.width}"
        resize = f"squash to {size}" if self.short_side is None else f"short side {self.short_side}, centre crop {size}"
        mean = ", ".join(f"{value:g}" for value in self.mean)
        return f"{resize}, (RGB - ({mean})) / {self.divisor:g}, {self.layout}"
