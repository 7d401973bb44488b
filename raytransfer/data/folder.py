"""A folder of your own: `images/` and `masks/` with files of equal names.

    images/a.jpg  images/b.png ...      PNG, TIFF or JPEG; grey or colour
    masks/a.png   masks/b.png  ...      PNG or TIFF (JPEG would change labels); label values 0 .. K

Both below `train/` and `test/`, or, without those, split at random by file: `test_share` of the files test,
the draw fixed by `seed`. Several images of one patient fall on both sides of a random split; then make
`train/` and `test/` yourself. The same image in both is refused.

8-bit values are stored as they are and divided by 255 when read; if any image has 16 bits, all are stored as
float32, 16-bit values divided by 65535; float TIFFs must hold [0, 1]. If any image is in colour, grey ones
are stored as three equal channels. Images become squares of `image_size`, whatever their aspect, labels the
nearest. `class_names` says what the labels 0 .. K are; without it they are called after their numbers, K
being the largest label for which 0 .. K all occur somewhere.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.config import InputError
from raytransfer.data.cases import (
    SPLITS,
    BadFileError,
    Case,
    Layout,
    PrepareSettings,
    list_files,
    pair_files,
    seeded_split,
)
from raytransfer.data.pictures import (
    DEEP,
    LOSSLESS,
    PICTURES,
    picture_mode,
    read_label_mask,
    read_picture,
)
from raytransfer.data.resizing import resize_image, resize_labels
from raytransfer.data.volumes import outside_labels

GREY = ("1", "L", "LA", *DEEP)


def read_folder(source: Path, settings: PrepareSettings) -> Layout:
    """List the cases; see the module for the layout.

    Raises:
        InputError: There are neither `images/` and `masks/` nor both below `train/` and `test/`.
    """
    problems: list[str] = []
    divided = any((source / split).is_dir() for split in SPLITS)
    if not divided and not (source / "images").is_dir():
        raise InputError(f"{source} holds neither images/ and masks/ nor train/ and test/ with both")
    pairs: dict[str, list[tuple[str, Path, Path]]]
    if divided:
        pairs = {split: _pairs(source / split, source, problems) for split in SPLITS}
        _refuse_copies(pairs, source, problems)
    else:
        found = _pairs(source, source, problems)
        split_names = seeded_split([name for name, _, _ in found], settings)
        pairs = {split: [pair for pair in found if pair[0] in split_names[split]] for split in SPLITS}
    modes = {picture_mode(image) for split in SPLITS for _, image, _ in pairs[split]} - {None}
    colour = any(mode not in GREY for mode in modes)
    deep = any(mode in DEEP for mode in modes)
    used = ("class_names",) if divided else ("class_names", "test_share", "seed")
    places = {split: f"{split}/images" if divided else "images" for split in SPLITS}
    return Layout(
        root=source,
        cases={
            split: [_case(*pair, source, colour, deep, settings) for pair in pairs[split]] for split in SPLITS
        },
        places=places,
        class_names=settings.class_names,
        shape=(settings.image_size, settings.image_size),
        channels=3 if colour else 1,
        dtype="float32" if deep else "uint8",
        intensities="8-bit values divided by 255, 16-bit values by 65535, floats as they are",
        labels="nearest",
        used=used,
        unit="images",
        problems=problems,
    )


def _pairs(folder: Path, root: Path, problems: list[str]) -> list[tuple[str, Path, Path]]:
    for name in ("images", "masks"):
        if not (folder / name).is_dir():
            problems.append(f"{(folder / name).relative_to(root)}: no such folder")
            continue
        for path in sorted((folder / name).iterdir()):
            if path.name.startswith(".") or path.suffix.lower() in PICTURES:
                continue
            problems.append(f"{path.relative_to(root)}: not a PNG, TIFF or JPEG file")
    images = list_files(folder / "images", PICTURES, root, problems)
    masks = list_files(folder / "masks", PICTURES, root, problems)
    return pair_files(images, masks, root, problems)


def _refuse_copies(pairs: dict[str, list[tuple[str, Path, Path]]], root: Path, problems: list[str]) -> None:
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    train = {digest(image): image for _, image, _ in pairs["train"]}
    for _, image, _ in pairs["test"]:
        twin = train.get(digest(image))
        if twin is not None:
            problems.append(
                f"{image.relative_to(root)}: in both splits, the same image as {twin.relative_to(root)}"
            )


def _read_image(path: Path) -> NDArray[Any]:
    """Return a picture as uint8 (h, w, C), or float32 in [0, 1] where it has more than 8 bits."""
    image = read_picture(path)
    if getattr(image, "n_frames", 1) > 1:
        raise BadFileError(f"holds {image.n_frames} pages, not one picture")  # type: ignore[attr-defined]
    if image.mode not in DEEP:
        values = np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
        return values if values.ndim == 3 else values[..., None]
    values = np.asarray(image).astype(np.float64)
    if image.mode != "F":
        values = values / 65535
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise BadFileError("has values outside [0, 1] (floats) or of more than 16 bits")
    return values.astype(np.float32)[..., None]


def _read_mask(path: Path, *, class_names: tuple[str, ...] | None) -> NDArray[np.uint8]:
    if path.suffix.lower() not in LOSSLESS:
        raise BadFileError("a mask as JPEG, which changes label values; use PNG or TIFF")
    labels = read_label_mask(path)
    if class_names is not None:
        outside = [v for v in np.unique(labels).tolist() if v >= len(class_names)]
        if outside:
            raise BadFileError(outside_labels(outside, range(len(class_names))))
    return labels


def _case(
    name: str, image: Path, mask: Path, root: Path, colour: bool, deep: bool, settings: PrepareSettings
) -> Case:
    size = settings.image_size

    def finish(values: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        if deep and values.dtype == np.uint8:
            values = values.astype(np.float32) / 255
        stored: NDArray[Any] = resize_image(values, size, size)
        if colour and stored.shape[-1] == 1:
            stored = np.repeat(stored, 3, axis=-1)
        return stored[None], resize_labels(labels, size, size)[None]

    return Case(
        patient=str(image.relative_to(root)),
        image=image,
        mask=mask,
        items=1,
        read_image=_read_image,
        read_mask=partial(_read_mask, class_names=settings.class_names),
        finish=finish,
    )
