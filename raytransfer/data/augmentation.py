"""Random changes to training images, by albumentations, each pipeline with its own seed."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import asks the network for newer versions

import albumentations as A
import cv2

from raytransfer.config import DownstreamConfig, unknown_name
from raytransfer.data.arrays import SegmentationData

SCHEMES = ("simple",)


def pretraining_augmentation(scheme: str, *, image_size: int, seed: int) -> A.Compose:
    """Return the augmentation of a pretraining scheme, for uint8 images (H, W, 3).

    "simple": a crop of 0.8 to 1 of the area at an aspect of 3/4 to 4/3, resized, and a horizontal flip with
    probability 0.5 (thesis, table 2.2).

    Raises:
        InputError: There is no such scheme.
    """
    if scheme not in SCHEMES:
        raise unknown_name("pretraining scheme", scheme, SCHEMES)
    return A.Compose(
        [
            A.RandomResizedCrop(size=(image_size, image_size), scale=(0.8, 1.0), ratio=(3 / 4, 4 / 3)),
            A.HorizontalFlip(p=0.5),
        ],
        seed=seed,
    )


def downstream_augmentation(config: DownstreamConfig, data: SegmentationData, *, seed: int) -> A.Compose:
    """Return the augmentation of downstream training, for a float image (H, W) and its mask.

    A rotation by a uniform angle (image bilinear, mask nearest, zeros outside) and a vertical flip.
    """
    return A.Compose(
        [
            A.Rotate(
                limit=(-config.rotation, config.rotation), p=1.0, border_mode=cv2.BORDER_CONSTANT,
                interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_NEAREST, fill=0, fill_mask=0,
            ),
            A.VerticalFlip(p=config.flip),
        ],
        seed=seed,
    )  # fmt: skip
