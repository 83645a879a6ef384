"""Tensors: the arrays that go in and out of a network, and their description."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One input or output of a network.

    Attributes:
        item_shape: The shape without the leading batch axis, such as `(3, 224, 224)`.
        dtype: numpy's name, such as `float32`.
    """

    name: str
    item_shape: tuple[int, ...]
    dtype: str

    def item_bytes(self) -> int:
        """Return the bytes of one item of a batch."""
        return int(np.prod(self.item_shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize
