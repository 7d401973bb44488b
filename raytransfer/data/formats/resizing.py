"""Images and label maps brought to the size that models see."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resize_image(
    image: NDArray[Any], height: int, width: int, *, antialias: bool = True
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Resize an image, each axis on its own: area averages where it shrinks, bilinear where it grows.

    Args:
        image: uint8 or float32 (h, w) or (h, w, C).
        height: Rows wanted.
        width: Columns wanted.
        antialias: False is plain bilinear on both axes, as the reference does.

    Returns:
        (height, width) or (height, width, C) of the same type.
    """
    h, w = image.shape[:2]
    channels = image.shape[2:]
    if not antialias or (height >= h and width >= w):
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        # OpenCV's area method is one only where no axis grows; so what shrinks comes first
        image = cv2.resize(image, (min(w, width), min(h, height)), interpolation=cv2.INTER_AREA)
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image.reshape(height, width, *channels)  # OpenCV drops a single channel


def resize_labels(labels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a label map (h, w): each pixel takes the label of the one that its centre lies in.

    Pixel centres are aligned as in `resize_image`; a centre on a border takes the pixel after it. (OpenCV's
    nearest methods shift by half a pixel, or take either side of a border by rounding.)
    """
    rows, columns = (
        (2 * np.arange(size) + 1) * n // (2 * size)
        for n, size in ((labels.shape[0], height), (labels.shape[1], width))
    )
    return labels[np.ix_(rows, columns)]


def resize_labels_truncated(labels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a label map (h, w) as the reference does: bilinear between label values, then truncated.

    A label loses its rim, and borders of labels 2 and up get pixels of lower labels.
    """
    resized = cv2.resize(labels.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized).astype(np.uint8)
