"""Labelled source images, wherever they are: in memory or in files."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class ImageSource(Protocol):
    """Labelled images that are read one at a time, in any process."""

    def __len__(self) -> int: ...

    @property
    def labels(self) -> NDArray[np.int64]:
        """Labels (N,), values 0 .. C - 1."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return an image (H, W, 3), value range [0, 255], of any size."""


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Images in memory, all of one size.

    Attributes:
        images: uint8 (N, H, W, 3), value range [0, 255].
        labels: int64 (N,), values 0 .. C - 1.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return an image (H, W, 3)."""
        return self.images[index]


@dataclass(frozen=True, kw_only=True)
class ClassificationData:
    """A source dataset, split for training and validation.

    Attributes:
        name: Dataset name.
        class_names: One name per label.
        train: Training images.
        val: Validation images.
        image_size: Side of the squares that encoders see, pixels.
    """

    name: str
    class_names: tuple[str, ...]
    train: ImageSource
    val: ImageSource
    image_size: int
