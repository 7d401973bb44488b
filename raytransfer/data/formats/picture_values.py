"""What values the images and masks of a folder hold, and what becomes 0 and 1: one range for all images.

So values of 12 bits in files of 16 bits do not become almost black, and an image that is darker than the
others stays darker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from raytransfer.data.formats.pictures import read_label_mask, read_values
from raytransfer.data.targets.cases import BadFileError
from raytransfer.errors import InputError

FULL_RANGES = (255, 1023, 4095, 16383, 65535)
"""Largest values of 8, 10, 12, 14 and 16 bits."""

LITTLE_CONTRAST = 0.25
"""Images that use less of the range that becomes 0 .. 1 are warned about."""


@dataclass(frozen=True, kw_only=True)
class ImageValues:
    """What one image file holds.

    Attributes:
        path: The file.
        depth: "8 bits", "more than 8 bits" or "floats".
        colour: Whether it has three channels.
        low: Its smallest value.
        high: Its largest value.
    """

    path: Path
    depth: str
    colour: bool
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How values of images become stored values.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 1.
        exact: Whether values are 0 .. 255 and stored as they are, as uint8.
    """

    low: float
    high: float
    exact: bool

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return an image's values in the stored form: uint8, or float32 in [0, 1]."""
        if self.exact:
            return values
        scaled = (values.astype(np.float64) - self.low) / (self.high - self.low)
        return np.clip(scaled, 0, 1).astype(np.float32)

    @property
    def in_words(self) -> str:
        """How intensities became stored values."""
        if self.exact:
            return "8-bit values divided by 255"
        return f"values {number(self.low)} and {number(self.high)} become 0 and 1, values outside are clipped"


def number(value: float) -> str:
    """Return a value as people write it."""
    return str(int(value)) if float(value).is_integer() else f"{value:.4g}"


def look_at_image(path: Path) -> ImageValues | None:
    """Return what an image holds, None where it cannot be read (which reading its case will say)."""
    try:
        values = read_values(path)
    except BadFileError:
        return None
    depth = {"u": "more than 8 bits", "i": "more than 8 bits", "f": "floats"}[values.dtype.kind]
    return ImageValues(
        path=path,
        depth="8 bits" if values.dtype == np.uint8 else depth,
        colour=values.shape[-1] == 3,
        low=float(values.min()),
        high=float(values.max()),
    )


def look_at_mask(path: Path) -> set[int]:
    """Return the labels of a mask, none where it cannot be read."""
    try:
        return set(np.unique(read_label_mask(path)).tolist())
    except BadFileError:
        return set()


def are_binary(labels: Iterable[int], class_names: Sequence[str] | None) -> bool:
    """Whether the masks of a data set hold 0 and 255 for background and foreground, as editors write them."""
    return set(labels) in ({0, 255}, {255}) and (class_names is None or len(class_names) == 2)


def choose_scale(
    found: Sequence[ImageValues], value_range: tuple[float, float] | None, root: Path, warnings: list[str]
) -> Scale:
    """Return how the images' values become stored values, the same for all of them.

    Args:
        found: What the images hold.
        value_range: What the user says becomes 0 and 1.
        root: The folder that names are relative to.
        warnings: One line is appended for what a user should look at.

    Raises:
        InputError: The images have several depths, or values of which the user must say what becomes 0 and 1.
    """
    if not found:
        return Scale(low=0, high=255, exact=True)
    _require_one_depth(found, root)
    depth = found[0].depth
    lowest, highest = min(found, key=lambda v: v.low), max(found, key=lambda v: v.high)
    low, high = lowest.low, highest.high
    if value_range is not None:
        scale = Scale(low=value_range[0], high=value_range[1], exact=False)
        outside = [v for v in found if v.low < scale.low or v.high > scale.high]
        if outside:
            shown = (
                f"{outside[0].path.relative_to(root)}: {number(outside[0].low)} to {number(outside[0].high)}"
            )
            warnings.append(
                f"{len(outside)} of {len(found)} images hold values outside {number(scale.low)} to "
                f"{number(scale.high)}, which are clipped ({shown})"
            )
    elif depth == "8 bits":
        scale = Scale(low=0, high=255, exact=True)
    else:
        full = [1] if depth == "floats" else [full for full in FULL_RANGES if full >= high]
        if low < 0 or high > max(full, default=0):
            raise InputError(
                f"images hold values from {number(low)} ({lowest.path.relative_to(root)}) to {number(high)} "
                f"({highest.path.relative_to(root)}): say which become 0 and 1, as in "
                f"--value-range {number(low)} {number(high)}"
            )
        scale = Scale(low=0, high=full[0], exact=False)
        if scale.high not in (1, FULL_RANGES[-1]):
            warnings.append(
                f"images of more than 8 bits hold {number(low)} to {number(high)}: taken as "
                f"{int(scale.high).bit_length()}-bit values, so that {number(scale.high)} becomes 1 "
                "(--value-range LOW HIGH says otherwise)"
            )
    _say_little_contrast(low, high, scale, warnings)
    return scale


def _require_one_depth(found: Sequence[ImageValues], root: Path) -> None:
    depths: dict[str, list[Path]] = {}
    for values in found:
        depths.setdefault(values.depth, []).append(values.path.relative_to(root))
    if len(depths) > 1:
        shown = ", ".join(f"{len(paths)} of {depth} ({paths[0]})" for depth, paths in depths.items())
        full = next((full for full in FULL_RANGES if full >= max(values.high for values in found)), 65535)
        how = (
            "as floats in [0, 1]"
            if "floats" in depths
            else f"if 255 is as bright as {full}, those of 8 bits times {full}/255, with 16 bits"
        )
        raise InputError(
            f"images of different depth in one data set: {shown}; a number would mean another "
            f"brightness in each. Bring them to one scale and save them in one form: {how}"
        )


def _say_little_contrast(low: float, high: float, scale: Scale, warnings: list[str]) -> None:
    if high > low and min(high, scale.high) - max(low, scale.low) < LITTLE_CONTRAST * (
        scale.high - scale.low
    ):
        warnings.append(
            f"images hold only {number(low)} to {number(high)} of {number(scale.low)} to "
            f"{number(scale.high)}, so that they are almost of one brightness: --value-range {number(low)} "
            f"{number(high)} uses the whole range"
        )
