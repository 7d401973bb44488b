"""ImageNet, or any other tree of class folders: root/train/<class>/*, root/val/<class>/*."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from raytransfer.data.formats.pictures import TOO_LARGE, too_large
from raytransfer.data.settings import SourceSettings
from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import FEW, InputError

SPLITS = ("train", "val")


def read_image(path: str) -> NDArray[np.uint8]:
    """Read an image file as RGB (H, W, 3), value range [0, 255]; orientation tags are not applied.

    Files whose header Pillow does not understand go to OpenCV. A file that ends too early is an error, and so
    is one with more pixels than Pillow takes for harmless.

    Raises:
        InputError: The file cannot be read; the message names it.
    """
    try:
        try:
            with Image.open(path) as image:
                return np.asarray(image.convert("RGB"))
        except UnidentifiedImageError:
            flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            decoded = cv2.imdecode(np.fromfile(path, np.uint8), flags)
            if decoded is None:
                raise
            return decoded[..., ::-1].astype(np.uint8)
    except TOO_LARGE as error:
        raise InputError(f"image {path} {too_large(error)}, or remove it") from error
    except (OSError, SyntaxError, ValueError, cv2.error) as error:  # what Pillow raises on damaged files
        raise InputError(f"image {path} cannot be read: {error}") from error


@dataclass(frozen=True, kw_only=True)
class FileImages:
    """Images in files, decoded when asked for.

    The names are one array, not a million strings, so that processes share them without copying.

    Attributes:
        folder: What the names are relative to; an absolute path, as any process may read it.
        names: Bytes (N,), file system encoding.
        labels: int64 (N,), values 0 .. C - 1.
    """

    folder: str
    names: NDArray[np.bytes_]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        assert os.path.isabs(self.folder), self.folder  # noqa: S101 (an invariant)

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> str:
        """Return an image's file."""
        return os.path.join(self.folder, os.fsdecode(bytes(self.names[index])))

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return an image (H, W, 3), of the file's size; raises as `read_image`."""
        return read_image(self.path(index))


def imagenet_classes(config: SourceSettings) -> tuple[str, ...]:
    """Return the names of the class folders, sorted, without looking into them.

    Raises:
        InputError: `config.root` or a split is missing, or their class folders differ.
    """
    if not config.root:
        raise InputError("source.root must be the folder that holds train/ and val/, got ''")
    found: list[set[str]] = []
    for split in SPLITS:
        folder = Path(config.root).expanduser() / split
        if not folder.is_dir():
            raise InputError(f"source.root={config.root!r} has no folder {split}/")
        found.append({entry.name for entry in os.scandir(folder) if entry.is_dir()})
        if not found[-1]:
            raise InputError(f"{folder} has no class folders")
    train, val = found
    differences = [
        f"only in {split}/: {', '.join(sorted(names)[:FEW])}{', ...' if len(names) > FEW else ''}"
        for split, names in (("train", train - val), ("val", val - train))
        if names
    ]
    if differences:
        raise InputError(f"class folders of source.root={config.root!r} differ: {'; '.join(differences)}")
    return tuple(sorted(train))


def load_imagenet(config: SourceSettings) -> ClassificationData:
    """List the image files; none is opened. Every process that trains must see them under the same path.

    Labels are the places of the sorted folder names, as in torchvision's ImageFolder. ImageNet's validation
    images come without class folders: sort them into the folders of train/ first.

    Raises:
        InputError: As `imagenet_classes`, or a class folder is without images.
    """
    classes = imagenet_classes(config)
    train, val = _list_splits(config, classes)
    return ClassificationData(
        name="imagenet", class_names=classes, train=train, val=val, image_size=config.image_size
    )


def imagenet_fingerprint(config: SourceSettings) -> str:
    """Return a SHA-256 of the names of all image files, and of the size of each class's first one.

    Neither opens a million files nor asks for their sizes: images that were changed in place under their
    old names go unnoticed unless the first of a class changed its size.

    Raises:
        InputError: As `load_imagenet`.
    """
    classes = imagenet_classes(config)
    digest = hashlib.sha256("\0".join(classes).encode())
    for split in _list_splits(config, classes):
        firsts = np.flatnonzero(
            np.diff(split.labels, prepend=-1)
        ).tolist()  # files are in the order of their classes
        sizes = np.asarray([os.path.getsize(split.path(index)) for index in firsts], dtype=np.int64)
        for part in (split.names, split.labels, sizes):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


def _list_splits(config: SourceSettings, classes: tuple[str, ...]) -> list[FileImages]:
    root = Path(config.root).expanduser().resolve()
    return [_list_images(root / split, classes) for split in SPLITS]


def _list_images(folder: Path, classes: tuple[str, ...]) -> FileImages:
    numbers = {name: label for label, name in enumerate(classes)}
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset  # with torch

    files = make_dataset(folder, numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    labels = np.asarray([label for _, label in files], dtype=np.int64)
    empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if len(empty):
        more = f" and {len(empty) - 1} other class folders" if len(empty) > 1 else ""
        raise InputError(f"no images in {folder / classes[empty[0]]}{more}")
    names = np.asarray([os.fsencode(os.path.relpath(path, folder)) for path, _ in files], dtype=np.bytes_)
    return FileImages(folder=str(folder), names=names, labels=labels)
