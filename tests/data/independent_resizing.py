"""Resizing written out as matrices, to compare OpenCV's with."""

import numpy as np


def area_weights(n: int, size: int) -> np.ndarray:
    """Row i: the share of each of `n` pixels in the interval that output pixel i covers."""
    edges = np.linspace(0, n, size + 1)
    overlap = np.minimum(edges[1:, None], np.arange(1, n + 1)) - np.maximum(edges[:-1, None], np.arange(n))
    return np.clip(overlap, 0, None) * size / n


def linear_weights(n: int, size: int) -> np.ndarray:
    """Row i: linear interpolation between the two pixel centres around that of output pixel i."""
    at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    low = np.minimum(at.astype(int), n - 2)
    weights = np.zeros((size, n))
    weights[np.arange(size), low] = 1 - (at - low)
    weights[np.arange(size), low + 1] = at - low
    return weights


def resize(image: np.ndarray, height: int, width: int, *, antialias: bool = True) -> np.ndarray:
    """Resize (h, w) or (h, w, C): area averages where an axis shrinks, else linear."""
    rows, columns = (
        area_weights(n, size) if antialias and size < n else linear_weights(n, size)
        for n, size in ((image.shape[0], height), (image.shape[1], width))
    )
    planes = np.moveaxis(np.atleast_3d(image.astype(np.float64)), -1, 0)
    resized = np.moveaxis(rows @ planes @ columns.T, 0, -1)
    return resized if image.ndim == 3 else resized[..., 0]


def nearest(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize (h, w) to the label of the pixel that each output pixel's centre lies in."""
    rows, columns = (
        np.floor((np.arange(size) + 0.5) * n / size).astype(int)
        for n, size in ((labels.shape[0], height), (labels.shape[1], width))
    )
    return labels[np.ix_(rows, columns)]
