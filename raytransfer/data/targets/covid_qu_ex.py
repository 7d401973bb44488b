"""COVID-QU-Ex, infection segmentation: chest X-rays with COVID-19 infection masks (Tahir et al., 2021).

As the owners distribute it (https://www.kaggle.com/datasets/anasmohammedtahir/covidqu), the folder `Infection
Segmentation Data` (or one above it) with `{Train,Val,Test}/{COVID-19,Non-COVID,Normal}/{images,lung
masks,infection masks}/*.png`. Only the COVID-19 folders are used: they hold 1864 + 466 + 583 of the 5826
X-rays, which are the 2330 training (Train and Val) and 583 test images of the thesis; the other two classes
have no infection to segment. Lung masks are not read.

The .npy form of the reference is read too: `COVID-19/{train_and_val,test}/{imgs,inf_masks}.npy`, also below
`Inf_segm/data_arrays/` (blanks in place of underscores are accepted, as its code has it), arrays N x h x w,
images of integers in 0 .. 255.

8-bit values are stored as they are and divided by 255 when read. A mask holds zeros and one other value, the
infection; labels are resized to the nearest. The owners do not say which images are of one patient, so what
must not be in both splits is a file name.

`reference=True`: images resized plain bilinear, masks bilinear as floats and truncated, so that only pixels
whose neighbours are all infection stay (regions lose up to a pixel). Its float images are rounded to 8 bits
here.
"""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.data.formats.pictures import read_binary_mask, read_grey, require_binary
from raytransfer.data.formats.resizing import resize_image, resize_labels, resize_labels_truncated
from raytransfer.data.targets.cases import (
    BadFileError,
    Case,
    Layout,
    PrepareSettings,
    list_files,
    pair_files,
)

CLASS_NAMES = ("background", "COVID-19 infection")
DISTRIBUTED = "Infection Segmentation Data"
FOLDERS = {"train": ("Train", "Val"), "test": ("Test",)}
ARRAY_FOLDERS = {"train": ("train_and_val", "train and val"), "test": ("test",)}
OFFICIAL = {"train": {"items": 2330}, "test": {"items": 583}}


def read_covid_qu_ex(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases; see the module for the two layouts."""
    problems: list[str] = []
    arrays = _array_root(source)
    if arrays is not None:
        cases = {split: _array_cases(arrays, split, source, settings, problems) for split in FOLDERS}
        places = {
            split: str((arrays / names[0]).relative_to(source)) for split, names in ARRAY_FOLDERS.items()
        }
    else:
        root = _picture_root(source)
        cases = {split: _picture_cases(root, split, source, settings, problems) for split in FOLDERS}
        places = {
            split: " and ".join(f"{n}/COVID-19/images" for n in names) for split, names in FOLDERS.items()
        }
    return Layout(
        root=source,
        cases=cases,
        places=places,
        class_names=CLASS_NAMES,
        shape=(settings.image_size, settings.image_size),
        channels=1,
        dtype="uint8",
        intensities="8-bit values divided by 255",
        labels="bilinear between values, truncated (reference)" if settings.reference else "nearest",
        used=("reference",),
        unit=None if arrays is not None else "images",
        official=OFFICIAL,
        problems=problems,
    )


def _picture_root(source: Path) -> Path:
    for above in (source, source / "COVID-QU-Ex Dataset", source / "COVID-QU-Ex"):
        for root in (above, above / DISTRIBUTED, above / DISTRIBUTED / DISTRIBUTED):
            if any((root / name).is_dir() for names in FOLDERS.values() for name in names):
                return root
    return source


def _array_root(source: Path) -> Path | None:
    for above in (source, source / "Inf_segm"):
        for middle in (above, above / "data_arrays", above / "data arrays"):
            for root in (middle, middle / "COVID-19"):
                if any((root / name).is_dir() for name in ARRAY_FOLDERS["train"]):
                    return root
    return None


def _finish(settings: PrepareSettings) -> Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], Any]]:
    size, reference = settings.image_size, settings.reference

    def finish(images: NDArray[Any], masks: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        if images.ndim == 2:
            images, masks = images[None], masks[None]
        to_labels = resize_labels_truncated if reference else resize_labels
        stored = [resize_image(image, size, size, antialias=not reference) for image in images]
        labels = [to_labels((mask > 0).astype(np.uint8), size, size) for mask in masks]
        return np.stack(stored)[..., None], np.stack(labels)

    return finish


def _picture_cases(
    root: Path, split: str, source: Path, settings: PrepareSettings, problems: list[str]
) -> list[Case]:
    cases = []
    for name in FOLDERS[split]:
        folder = root / name / "COVID-19"
        images = list_files(folder / "images", (".png",), source, problems)
        masks = list_files(folder / "infection masks", (".png",), source, problems)
        for stem, image, mask in pair_files(images, masks, source, problems):
            cases.append(
                Case(
                    group=stem, image=image, mask=mask, items=1, read_image=read_grey,
                    read_mask=read_binary_mask, finish=_finish(settings),
                )
            )  # fmt: skip
    return cases


def _array_cases(
    root: Path, split: str, source: Path, settings: PrepareSettings, problems: list[str]
) -> list[Case]:
    for name in ARRAY_FOLDERS[split]:
        image, mask = (root / name / file for file in ("imgs.npy", "inf_masks.npy"))
        if image.is_file() and mask.is_file():
            break
        for kind, file, other in (("image", image, mask), ("mask", mask, image)):
            if other.is_file():
                problems.append(f"{file.relative_to(source)}: missing {kind} file")
    else:
        return []
    try:
        items = len(np.load(image, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError):
        items = 0  # reading the case will say why
    return [
        Case(
            group=f"{split} array", image=image, mask=mask, items=items,
            read_image=_read_image_array, read_mask=lambda path: require_binary(_read_array(path)),
            finish=_finish(settings),
        )
    ]  # fmt: skip


def _read_array(path: Path) -> NDArray[Any]:
    try:
        values = np.array(np.load(path, mmap_mode="r", allow_pickle=False))  # no more than the file holds
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadFileError("truncated or damaged .npy file") from error
    if values.ndim != 3 or 0 in values.shape:
        raise BadFileError(f"its shape is {' x '.join(map(str, values.shape))}, not N x h x w")
    return values


def _read_image_array(path: Path) -> NDArray[np.uint8]:
    values = _read_array(path)
    if values.dtype.kind not in "ui" or values.min() < 0 or values.max() > 255:
        raise BadFileError(f"holds {values.dtype} values that are not integers in 0 .. 255")
    return values.astype(np.uint8)
