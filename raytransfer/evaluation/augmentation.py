"""Random changes to target images and their masks, by albumentations."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from raytransfer.data.arrays import TargetData
from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.runtime.environment import without_update_check

with without_update_check():
    import albumentations as A


class RandomRotatedSquare(A.DualTransform):
    """A random square of an item at a random angle that stays inside it; image bilinear, mask nearest.

    The angle is drawn first, then the square's centre, uniformly within the room that the angle leaves.

    Args:
        size: Side of the square, pixels.
        rotation: Largest angle, degrees either way.
    """

    def __init__(self, size: int, rotation: float) -> None:
        super().__init__(p=1.0)
        self.size = size
        self.rotation = rotation

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw angle and centre, and return the affine map from the square to the item."""
        rows, columns = params["shape"][:2]
        angle = math.radians(self.py_random.uniform(-self.rotation, self.rotation))
        cos, sin = math.cos(angle), math.sin(angle)
        reach = (self.size - 1) / 2 * (abs(cos) + abs(sin))  # from the centre to the outermost pixel centre
        y, x = (self.py_random.uniform(reach, n - 1 - reach) for n in (rows, columns))
        rotate = np.array([[cos, -sin], [sin, cos]])
        shift = np.array([x, y]) - rotate @ np.full(2, (self.size - 1) / 2)
        return {"to_item": np.column_stack([rotate, shift])}

    def _warp(self, values: NDArray[Any], to_item: NDArray[np.float64], interpolation: int) -> NDArray[Any]:
        square = cv2.warpAffine(
            values, to_item, (self.size, self.size), flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,  # for rounding at the very edge: the square is inside
        )  # fmt: skip
        return np.reshape(square, (self.size, self.size, *values.shape[2:]))

    def apply(self, img: NDArray[Any], to_item: NDArray[np.float64], **params: Any) -> NDArray[Any]:
        """Return the square of an image (h, w, C)."""
        return self._warp(img, to_item, cv2.INTER_LINEAR)

    def apply_to_mask(self, mask: NDArray[Any], to_item: NDArray[np.float64], **params: Any) -> NDArray[Any]:
        """Return the square of a mask (h, w)."""
        return self._warp(mask, to_item, cv2.INTER_NEAREST)


def downstream_augmentation(config: DownstreamSettings, data: TargetData, *, seed: int) -> A.Compose:
    """Return the augmentation of downstream training, for an item of `data.train`.

    An item is an image and its mask, or an image alone.
    Where items are of `data.image_size`: a rotation by a uniform angle (image bilinear, mask nearest, zeros
    outside). Where they are larger: a random square of that size at a uniform angle, inside the item. Then a
    vertical flip, and, with `data.color_jitter`, brightness 0.1, contrast 0.05, saturation 0.1 and hue 0.05,
    each drawn anew for every image and in random order, on the image alone.

    Args:
        config: Largest angle and probability of the flip.
        data: The data set; images float32 (h, w, C) in [0, 1], masks uint8 (h, w).
        seed: Seed of all draws.

    Returns:
        A pipeline whose result has the same form, with sides of `data.image_size`.

    Raises:
        InputError: Items are too small for the square at any angle, or colour jitter for grey images.
    """
    rows, columns, channels = data.train.item_shape
    size, steps = data.image_size, []
    if (rows, columns) == (size, size):
        steps.append(
            A.Rotate(
                limit=(-config.rotation, config.rotation), p=1.0, border_mode=cv2.BORDER_CONSTANT,
                interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_NEAREST, fill=0, fill_mask=0,
            )
        )  # fmt: skip
    else:
        widest = math.radians(min(config.rotation, 45))
        needed = math.ceil((size - 1) * (math.cos(widest) + math.sin(widest))) + 1
        if min(rows, columns) < needed:
            raise InputError(
                f"training items of {data.name} are {rows} x {columns} pixels: squares of {size} turned by up"
                f" to {config.rotation:g} degrees need {needed}"
            )
        steps.append(RandomRotatedSquare(size, config.rotation))
    steps.append(A.VerticalFlip(p=config.flip))
    if data.color_jitter:
        if channels != 3:
            raise InputError(f"color_jitter of {data.name} needs images of 3 channels, got {channels}")
        steps.append(
            A.ColorJitter(
                brightness=(0.9, 1.1), contrast=(0.95, 1.05), saturation=(0.9, 1.1), hue=(-0.05, 0.05), p=1.0
            )
        )
    return A.Compose(steps, seed=seed)
