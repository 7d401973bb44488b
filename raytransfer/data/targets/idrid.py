"""IDRiD: retinal photographs with masks of microaneurysms (Porwal et al., 2018).

As the owners distribute it
(https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid), part "A.
Segmentation": `1. Original Images/{a. Training Set,b. Testing Set}/IDRiD_NN.jpg` (54 and 27 photographs of
2848 x 4288) and `2. All Segmentation Groundtruths/{...}/1. Microaneurysms/IDRiD_NN_MA.tif`.

96 of 4288 columns are cut from the left and right, and the rest is resized to 5 x 10 squares of `image_size`
(1120 x 2240 at 224), which changes the aspect from 1.44 to 2, as the thesis does. Values stay 8 bits and are
divided by 255 when read; labels are resized to the nearest. Training items are windows of twice `image_size`
at a stride of half of it that cover the image (448 and 112: 7 x 17 = 119 per image, 6426 in all), of which
the augmentation takes a random square at a random angle; test items are the 5 x 10 squares of every image
(1350): all rows.

`reference=True`: images resized plain bilinear; masks bilinear in 8 bits with any non-zero value counting, so
lesions are dilated; tests only rows 0 to 895 (the quadrants of 448 windows at a stride of 448, of which 1120
rows hold two); windows of a mean below 0.01, training and test, are dropped. Its float images are rounded to
8 bits here.
"""

from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from raytransfer.data.formats.pictures import read_binary_mask, read_colour
from raytransfer.data.formats.resizing import resize_image, resize_labels
from raytransfer.data.targets.cases import Case, Layout, PrepareSettings, list_files, pair_files

CLASS_NAMES = ("background", "microaneurysms")
IMAGES, MASKS, LESION = "1. Original Images", "2. All Segmentation Groundtruths", "1. Microaneurysms"
FOLDERS = {"train": "a. Training Set", "test": "b. Testing Set"}
OFFICIAL = {"train": {"images": 54, "items": 6426}, "test": {"images": 27, "items": 1350}}

SIZE = (2848, 4288)
"""Rows and columns of a photograph."""

CUT = 96
"""Columns cut from each side of a photograph of that size."""

ROWS, COLUMNS = 5, 10
"""Squares of `image_size` in a resized photograph."""

DARK = 0.01
"""The reference drops windows of a lower mean intensity."""


def read_idrid(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases; see the module for the layout."""
    root = next((r for r in (source / "A. Segmentation",) if r.is_dir()), source)
    problems: list[str] = []
    cases: dict[str, list[Case]] = {}
    for split, name in FOLDERS.items():
        images = list_files(root / IMAGES / name, (".jpg", ".jpeg"), source, problems)
        masks = list_files(root / MASKS / name / LESION, (".tif", ".tiff"), source, problems)
        masks = {stem.removesuffix("_MA"): path for stem, path in masks.items()}
        cases[split] = [
            Case(
                group=stem, image=image, mask=mask, items=1, read_image=read_colour,
                read_mask=read_binary_mask, finish=partial(_finish, settings),
            )
            for stem, image, mask in pair_files(images, masks, source, problems)
        ]  # fmt: skip
    size = settings.image_size
    official = {split: {"images": c["images"]} for split, c in OFFICIAL.items()}
    return Layout(
        root=source,
        cases=cases,
        places={split: str((root / IMAGES / name).relative_to(source)) for split, name in FOLDERS.items()},
        class_names=CLASS_NAMES,
        shape=(ROWS * size, COLUMNS * size),
        channels=3,
        dtype="uint8",
        intensities="8-bit values divided by 255",
        labels="bilinear in 8 bits, non-zero counts (reference)" if settings.reference else "nearest",
        used=("reference",),
        unit="images",
        official=official if settings.reference else OFFICIAL,
        problems=problems,
        windows={"train": partial(_training_windows, settings), "test": partial(_test_windows, settings)},
        window_size={"train": 2 * size, "test": size},
        color_jitter=True,
    )


def _finish(
    settings: PrepareSettings, image: NDArray[Any], mask: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    rows, columns = ROWS * settings.image_size, COLUMNS * settings.image_size
    cut = round(CUT * image.shape[1] / SIZE[1])
    kept = slice(cut, image.shape[1] - cut)
    image, mask = np.ascontiguousarray(image[:, kept]), np.ascontiguousarray(mask[:, kept])
    stored = resize_image(image, rows, columns, antialias=not settings.reference)
    if settings.reference:
        labels = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_LINEAR) > 0
        return stored[None], labels.astype(np.uint8)[None]
    return stored[None], resize_labels((mask > 0).astype(np.uint8), rows, columns)[None]


def _grid(image: NDArray[Any], size: int, stride: int) -> list[tuple[int, int]]:
    rows, columns = image.shape[:2]
    return [
        (top, left)
        for top in range(0, rows - size + 1, stride)
        for left in range(0, columns - size + 1, stride)
    ]


def _without_dark(windows: list[tuple[int, int]], image: NDArray[Any], size: int) -> list[tuple[int, int]]:
    return [(t, le) for t, le in windows if image[t : t + size, le : le + size].mean() / 255 >= DARK]


def _training_windows(settings: PrepareSettings, image: NDArray[Any]) -> list[tuple[int, int]]:
    size = settings.image_size
    windows = _grid(image, 2 * size, size // 2)
    return _without_dark(windows, image, 2 * size) if settings.reference else windows


def _test_windows(settings: PrepareSettings, image: NDArray[Any]) -> list[tuple[int, int]]:
    size = settings.image_size
    if not settings.reference:
        return _grid(image, size, size)
    crops = _without_dark(_grid(image, 2 * size, 2 * size), image, 2 * size)
    return [(top + down, left + right) for top, left in crops for down in (0, size) for right in (0, size)]
