"""Datasets held as arrays, the form in which Ray's object store shares them between processes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ClassificationData:
    """Labelled source images, split for training and validation.

    Attributes:
        name: Dataset name.
        class_names: One name per label.
        train_images: uint8 (N, H, W, 3), value range [0, 255].
        train_labels: int64 (N,), values 0 .. C - 1.
        val_images: As `train_images`, from regions disjoint from the training images'.
        val_labels: As `train_labels`.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    val_images: NDArray[np.uint8]
    val_labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SegmentationData:
    """Grey target images with label maps, split for training and testing.

    Attributes:
        name: Dataset name.
        class_names: One name per label; label 0 is the background.
        train_images: float32 (N, H, W), value range [0, 1].
        train_masks: uint8 (N, H, W), values 0 .. C - 1.
        test_images: As `train_images`.
        test_masks: As `train_masks`.
    """

    name: str
    class_names: tuple[str, ...]
    train_images: NDArray[np.float32]
    train_masks: NDArray[np.uint8]
    test_images: NDArray[np.float32]
    test_masks: NDArray[np.uint8]
