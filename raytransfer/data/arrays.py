"""Datasets held as arrays, the form in which Ray's object store shares them between processes."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images with label maps; an item is a whole image, or a window of one.

    Attributes:
        images: (N, H, W, C) with C = 1 (grey) or 3; uint8 in [0, 255] or float32 in [0, 1].
        masks: uint8 (N, H, W), labels from 0, the background.
        windows: int (M, 3): image, top and left of each item; None where items are whole images.
        window_size: Side of the windows, pixels; None where items are whole images.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    masks: NDArray[np.uint8]
    windows: NDArray[np.int64] | None = None
    window_size: int | None = None

    @property
    def item_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an item's image."""
        height, width, channels = self.images.shape[1:]
        side = self.window_size
        return (height, width, channels) if side is None else (side, side, channels)

    def __len__(self) -> int:
        return len(self.images) if self.windows is None else len(self.windows)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return an item's image, float32 (h, w, C) in [0, 1], and mask (h, w)."""
        if self.windows is None:
            image, mask = self.images[index], self.masks[index]
        else:
            which, top, left = self.windows[index]
            part = (slice(top, top + self.window_size), slice(left, left + self.window_size))
            image, mask = self.images[which][part], self.masks[which][part]
        return _as_float(image), mask


def _as_float(image: NDArray[Any]) -> NDArray[np.float32]:
    if image.dtype == np.uint8:
        return image.astype(np.float32) / np.float32(255)
    return image.astype(np.float32, copy=False)


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images of one size with one label each.

    Attributes:
        images: (N, H, W, C) with C = 1 (grey) or 3; uint8 in [0, 255] or float32 in [0, 1].
        labels: int64 (N,), from 0.
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def item_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float32], np.int64]:
        """Return an image, float32 (H, W, C) in [0, 1], and its label."""
        return _as_float(self.images[index]), self.labels[index]


@dataclass(frozen=True)
class Images:
    """The images of a split as a sequence, the middle square of `size` pixels of larger ones.

    Attributes:
        split: The split.
        size: Side of the squares, pixels.
    """

    split: Split | LabelledImages
    size: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> NDArray[np.float32]:
        """Return an image, float32 (size, size, C) in [0, 1]."""
        image, _ = self.split[index]
        top, left = ((side - self.size) // 2 for side in image.shape[:2])
        return image[top : top + self.size, left : left + self.size]


@dataclass(frozen=True)
class LabelMaps:
    """The label maps that belong to `Images`: the same middle squares, in the same order.

    Attributes:
        split: The split.
        size: Side of the squares, pixels.
    """

    split: Split
    size: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return a label map, uint8 (size, size)."""
        _, mask = self.split[index]
        top, left = ((side - self.size) // 2 for side in mask.shape)
        return mask[top : top + self.size, left : left + self.size]


@dataclass(frozen=True, kw_only=True)
class SegmentationData:
    """A target dataset of segmentation, split for training and testing.

    Attributes:
        task: The kind of target task, a name in `TASKS`.
        name: Dataset name.
        class_names: One name per label; label 0 is the background.
        train: Training items, of `image_size` or larger: a larger one gives a random square of it.
        test: Test items of `image_size`.
        image_size: Side of the squares that models see, pixels.
        color_jitter: Whether training images are jittered in colour.
    """

    task: ClassVar[str] = "segmentation"
    name: str
    class_names: tuple[str, ...]
    train: Split
    test: Split
    image_size: int
    color_jitter: bool = False

    @property
    def train_images(self) -> Images:
        """The training images as models see them, without labels: what checkpoints are scored on."""
        return Images(self.train, self.image_size)

    @property
    def train_labels(self) -> LabelMaps:
        """The label maps of `train_images`, for the indicators that need labels."""
        return LabelMaps(self.train, self.image_size)


@dataclass(frozen=True, kw_only=True)
class ClassificationTarget:
    """A target dataset of classification, split for training and testing.

    Attributes:
        task: The kind of target task, a name in `TASKS`.
        name: Dataset name.
        class_names: One name per label.
        train: Training images, of `image_size` or larger: a larger one gives a random square of it.
        test: Test images of `image_size`.
        image_size: Side of the squares that models see, pixels.
        color_jitter: Whether training images are jittered in colour.
    """

    task: ClassVar[str] = "classification"
    name: str
    class_names: tuple[str, ...]
    train: LabelledImages
    test: LabelledImages
    image_size: int
    color_jitter: bool = False

    @property
    def train_images(self) -> Images:
        """The training images as models see them, without labels: what checkpoints are scored on."""
        return Images(self.train, self.image_size)

    @property
    def train_labels(self) -> NDArray[np.int64]:
        """The labels of `train_images` (N,), for the indicators that need labels."""
        return self.train.labels


TargetData = SegmentationData | ClassificationTarget
"""A target dataset of any task; what it is for stands in its `task`."""
