"""Pictures in PNG, JPEG and TIFF files, by Pillow."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from raytransfer.data.cases import BadFileError

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
LOSSLESS = (".png", ".tif", ".tiff")

DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
"""Pillow's modes with more than 8 bits per value."""

UNREADABLE = (
    OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


def read_picture(path: Path) -> Image.Image:
    """Return a picture, all of it decoded.

    Raises:
        BadFileError: The file is truncated, damaged or no picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except UNREADABLE as error:
        kind = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "tiff": "TIFF", "png": "PNG"}.get(
            path.suffix.lower().lstrip("."), "picture"
        )
        reason = "cannot be identified" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise BadFileError(f"truncated or damaged {kind} file ({' '.join(reason.split())})") from error


def picture_mode(path: Path) -> str | None:
    """Return Pillow's mode of a picture from its header alone, None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.mode
    except UNREADABLE:
        return None


def _eight_bit(path: Path) -> Image.Image:
    image = read_picture(path)
    if image.mode in DEEP:
        raise BadFileError(f"has more than 8 bits per value (mode {image.mode})")
    return image


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Return an 8-bit picture as grey values (h, w); colour becomes ITU-R 601 luma."""
    return np.asarray(_eight_bit(path).convert("L"))


def read_colour(path: Path) -> NDArray[np.uint8]:
    """Return an 8-bit picture as (h, w, 3); transparency is dropped."""
    return np.asarray(_eight_bit(path).convert("RGB"))


def read_binary_mask(path: Path) -> NDArray[np.uint8]:
    """Return the foreground of a picture with zeros and one other value, (h, w), with that value.

    Colours count as their largest channel (masks are distributed as black and red), transparency not at all.

    Raises:
        BadFileError: Unreadable, or two values or more besides zero.
    """
    image = _eight_bit(path)
    values: NDArray[np.uint8] = (
        np.asarray(image.convert("RGB")).max(axis=-1) if image.mode != "L" else np.asarray(image)
    )
    return require_binary(values)


def require_binary(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return values as uint8 after checking that they are zeros and at most one other value.

    Raises:
        BadFileError: There are more values, or one outside 0 .. 255.
    """
    found = np.unique(values).tolist()
    outside = [v for v in found if not 0 <= v <= 255 or v != int(v)]
    foreground = [v for v in found if v != 0]
    if outside or len(foreground) > 1:
        shown = ", ".join(f"{v:g}" for v in foreground[:5]) + (", ..." if len(foreground) > 5 else "")
        raise BadFileError(f"label value outside the set: a mask holds 0 and one other value, not {shown}")
    return values.astype(np.uint8)


def read_label_mask(path: Path) -> NDArray[np.uint8]:
    """Return the label values of a picture with one channel (or a palette, whose indices are the labels).

    Raises:
        BadFileError: Unreadable, several channels, or a value outside 0 .. 255.
    """
    image = read_picture(path)
    if image.mode not in ("1", "L", "P", *DEEP):
        raise BadFileError(f"a mask holds one channel of label values, not {'/'.join(image.getbands())}")
    values = np.asarray(image)
    outside = [v for v in np.unique(values).tolist() if not 0 <= v <= 255 or v != int(v)]
    if outside:
        raise BadFileError(
            f"label value outside the set 0 to 255: {', '.join(f'{v:g}' for v in outside[:5])}"
        )
    return values.astype(np.uint8)
