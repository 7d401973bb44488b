"""Pictures in PNG, JPEG and TIFF files, by Pillow.

Colours of 16 bits are read by OpenCV: Pillow cuts them to 8, without saying so.
"""

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from raytransfer.data.targets.cases import BadFileError

PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
LOSSLESS = (".png", ".tif", ".tiff")

GREY_DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
"""Pillow's modes with more than 8 bits per value."""

GREY = ("1", "L", "LA", *GREY_DEEP)

TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
"""What Pillow raises for a picture above its limit; the second only where warnings are errors."""

UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, TypeError, struct.error, zlib.error)


def too_large(error: BaseException) -> str:
    """Say what is wrong with a picture for which Pillow raised one of `TOO_LARGE`."""
    numbers = re.findall(r"\d+", str(error))
    pixels, limit = numbers[:2] if len(numbers) >= 2 else ("too many", str(Image.MAX_IMAGE_PIXELS))
    return f"has {pixels} pixels, more than the {limit} allowed (Pillow's limit): make it smaller"


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return what Pillow calls the form of the values in the file, such as "RGB;16B" ("" if unknown)."""
    args = image.tile[0].args if image.tile else ""
    return next((a for a in (args if isinstance(args, tuple) else (args,)) if isinstance(a, str)), "")


def _open(path: Path) -> tuple[Image.Image, str]:
    """Return a picture, all of it decoded, and its raw mode.

    Raises:
        BadFileError: The file is truncated, damaged, too large, no picture or several.
    """
    try:
        with Image.open(path) as image:
            raw_mode = _raw_mode(image)
            # a camera's JPEG in the form MPO carries a preview beside the picture
            pages = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
            if pages == 1:
                image.load()
                return image.copy(), raw_mode
    except TOO_LARGE as error:
        raise BadFileError(too_large(error)) from error
    except UNREADABLE as error:
        kind = {"jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "tiff": "TIFF", "png": "PNG"}.get(
            path.suffix.lower().lstrip("."), "picture"
        )
        reason = "cannot be identified" if isinstance(error, Image.UnidentifiedImageError) else str(error)
        raise BadFileError(f"truncated or damaged {kind} file ({' '.join(reason.split())})") from error
    raise BadFileError(f"holds {pages} pages, not one picture")


def _is_deep_colour(image: Image.Image, raw_mode: str) -> bool:
    return image.mode not in GREY_DEEP and ";16" in raw_mode


def read_values(path: Path) -> NDArray[Any]:
    """Return a picture's values as they are in the file, (h, w, C) with C = 1 (grey) or 3.

    Transparency is dropped, palettes become their colours.

    Returns:
        uint8; of a file with more than 8 bits per value uint16, int32 or float32.

    Raises:
        BadFileError: The file is truncated, damaged, too large, no picture or several, or holds NaN.
    """
    image, raw_mode = _open(path)
    if _is_deep_colour(image, raw_mode):
        return _read_deep_colour(path, grey=raw_mode.startswith("LA"))
    if image.mode in GREY_DEEP:
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise BadFileError("has values that are not finite")
    else:
        values = np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    return values if values.ndim == 3 else values[..., None]


def _read_deep_colour(path: Path, *, grey: bool) -> NDArray[np.uint16]:
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or values.shape[2] < 3:
        raise BadFileError("has 16 bits per colour in a form that cannot be read: save it as PNG")
    colours = np.ascontiguousarray(values[..., 2::-1])  # OpenCV's order is blue, green, red, transparency
    return colours[..., :1] if grey else colours


def _eight_bit(path: Path) -> Image.Image:
    image, raw_mode = _open(path)
    if image.mode in GREY_DEEP or _is_deep_colour(image, raw_mode):
        raise BadFileError(f"has more than 8 bits per value (mode {raw_mode or image.mode})")
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


STRETCHED = {"L;2": 85, "L;4": 17}
"""Files with 2 and 4 bits per value, which Pillow stretches to 0 .. 255, and by how much."""


def read_label_mask(path: Path) -> NDArray[np.uint8]:
    """Return the label values (h, w) of a picture: its grey values, or the indices of its palette.

    A picture in colours counts as grey where its three channels are equal.

    Raises:
        BadFileError: Unreadable, a mask in colours, or a value outside 0 .. 255.
    """
    image, raw_mode = _open(path)
    if _is_deep_colour(image, raw_mode):
        values: NDArray[Any] = _read_deep_colour(path, grey=False)
    elif image.mode in ("1", "L", "P", *GREY_DEEP):
        values = np.asarray(image)
        if raw_mode in STRETCHED:
            values = values // STRETCHED[raw_mode]
    else:
        values = np.asarray(image.convert("RGB"))
    if values.ndim == 3:
        if not (values == values[..., :1]).all():
            raise BadFileError(
                f"a mask holds one channel of label values, not the colours {'/'.join(image.getbands())}: "
                "save it in grey, with the values 0, 1, ... for the classes"
            )
        values = values[..., 0]
    outside = [v for v in np.unique(values).tolist() if not 0 <= v <= 255 or v != int(v)]
    if outside:
        raise BadFileError(
            f"label value outside the set 0 to 255: {', '.join(f'{v:g}' for v in outside[:5])}"
        )
    return values.astype(np.uint8)
