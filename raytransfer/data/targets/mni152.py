"""Target data with nothing to download: the MNI152 brain template inside nilearn's wheel.

Real MRI (the average of 152 registered T1 scans) with real tissue probability maps, at 1 mm. It is one
brain: good for showing that everything works, not for any clinical claim.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from raytransfer.data.arrays import SegmentationData, Split
from raytransfer.data.settings import TargetSettings

CLASS_NAMES = ("background", "grey matter", "white matter")

TRAIN_BLOCK, GAP, TEST_BLOCK = 20, 5, 10
"""Millimetres along each axis: 20 for training, 5 unused, 10 for testing, 5 unused, and again."""

MIN_TISSUE = 0.05
"""A slice is used where at least this share of its padded square is grey or white matter."""


def _volumes() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    from nilearn import datasets  # an optional dependency

    load = (datasets.load_mni152_template, datasets.load_mni152_gm_template, datasets.load_mni152_wm_template)
    brain, grey, white = (np.asarray(function(resolution=1).dataobj, np.float32) for function in load)
    return brain, grey, white


def _square(image: NDArray[np.float32], side: int, size: int) -> NDArray[np.float32]:
    """Pad a slice to a square of `side` pixels, head up, and average it down to `size`."""
    image = np.rot90(image)
    pad = [((side - n) // 2, side - n - (side - n) // 2) for n in image.shape]
    interpolation = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    return np.asarray(
        cv2.resize(np.pad(image, pad), (size, size), interpolation=interpolation), dtype=np.float32
    )


def split_of(position: int) -> str | None:
    """Return "train", "test" or None (the gap) for a slice `position` millimetres from the first one used."""
    offset = position % (TRAIN_BLOCK + GAP + TEST_BLOCK + GAP)
    if offset < TRAIN_BLOCK:
        return "train"
    return "test" if TRAIN_BLOCK + GAP <= offset < TRAIN_BLOCK + GAP + TEST_BLOCK else None


class Slice(NamedTuple):
    """A slice of the template: the axis it is cut across, its split, image and mask, each (size, size)."""

    axis: int
    split: str
    image: NDArray[np.float32]
    mask: NDArray[np.uint8]


def slices(config: TargetSettings) -> Iterator[Slice]:
    """Yield the slices of the template along all three axes that are in a split; see `load_mni152`."""
    brain, grey, white = _volumes()
    side = max(brain.shape)
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        tissue = (grey + white > 0.5).sum(axis=others) / side**2
        used = np.flatnonzero(tissue >= MIN_TISSUE)
        first, last = int(used[0]), int(used[-1])
        for index in range(first, last + 1, config.slice_step):
            split = split_of(index - first)
            if split is None:
                continue
            image, g, w = (
                _square(np.take(v, index, axis), side, config.image_size) for v in (brain, grey, white)
            )
            mask = np.argmax(np.stack([1 - g - w, g, w]), axis=0).astype(np.uint8)
            yield Slice(axis, split, np.clip(image, 0.0, 1.0), mask)


def load_mni152(config: TargetSettings) -> SegmentationData:
    """Slice the template along all three axes.

    Slices are padded to one square, so pixels have the same size on every axis, and averaged down. A
    pixel's label is the most probable of background (1 - grey - white), grey and white matter after the
    same averaging. Along each axis, training and test slices come from separate blocks with a gap of
    5 mm between; slices of different axes do cross.

    Returns:
        Images in [0, 1] (the template's own scale: 1 is its largest intensity) and labels 0, 1, 2.
    """
    images: dict[str, list[NDArray[np.float32]]] = {"train": [], "test": []}
    masks: dict[str, list[NDArray[np.uint8]]] = {"train": [], "test": []}
    for each in slices(config):
        images[each.split].append(each.image)
        masks[each.split].append(each.mask)
    return SegmentationData(
        name="mni152",
        class_names=CLASS_NAMES,
        train=Split(images=np.stack(images["train"])[..., None], masks=np.stack(masks["train"])),
        test=Split(images=np.stack(images["test"])[..., None], masks=np.stack(masks["test"])),
        image_size=config.image_size,
    )
