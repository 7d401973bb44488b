"""Colour jitter drawn from (seed, image, view): the same for every checkpoint and every batch size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GREY_WEIGHTS = (0.2989, 0.587, 0.114)  # ITU-R 601 luma, as in torchvision


def _grey(images: Tensor) -> Tensor:
    """Return the grey images (N, 1, H, W) of images with one or three channels."""
    if images.shape[1] == 1:
        return images
    red, green, blue = (c * weight for c, weight in zip(images.split(1, dim=1), _GREY_WEIGHTS, strict=True))
    return red.add_(green).add_(blue)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other.expand_as(images), images, factor).clamp_(0, 1)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp_(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blend(images, _grey(images).mean((2, 3), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return images if images.shape[1] == 1 else _blend(images, _grey(images), factor)


def _mask(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 where x = y, else 0: lerp takes it several times faster than torch.where a condition."""
    return torch.eq(x, y, out=torch.empty_like(x))


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue; value and chroma, the highest and the lowest channel, stay."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = high - low
    divisor = chroma.clamp_min(1e-30)
    sixths = 4 + (red - green) / divisor
    sixths = sixths.lerp_(2 + (blue - red) / divisor, _mask(high, green))
    sixths = sixths.lerp_((green - blue) / divisor, _mask(high, red)).add_(6 * turns)
    sixths -= (sixths / 6).floor_().mul_(6)
    distances = ((sixths - 3).abs_() - 1, 2 - (sixths - 2).abs_(), 2 - (sixths - 4).abs_())
    return torch.cat([d.clamp_(0, 1).mul_(chroma).add_(low) for d in distances], dim=1)


_ADJUSTMENTS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brightness, _contrast, _saturation, _hue)


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Strengths of the jitter, with the meaning of torchvision's `ColorJitter`; defaults are the thesis's.

    Unlike torchvision's, a batch is jittered at once, each image with its own factors and order.

    Attributes:
        brightness: Factor drawn from [1 - b, 1 + b].
        contrast: Likewise.
        saturation: Likewise; without effect on grey images.
        hue: Shift drawn from [-h, h], in turns of the colour wheel; without effect on grey images.
    """

    brightness: float = 0.1
    contrast: float = 0.05
    saturation: float = 0.1
    hue: float = 0.05

    def draw(self, *, seed: int, index: int, view: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the factors of brightness, contrast and saturation and the hue's turns, and their order."""
        rng = np.random.default_rng([seed, index, view])
        unit = rng.uniform(-1.0, 1.0, 4)
        strengths = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        return np.array([1.0, 1.0, 1.0, 0.0]) + strengths * unit, rng.permutation(4)

    def __call__(self, images: Tensor, *, seed: int, indices: Sequence[int], view: int) -> Tensor:
        """Jitter images, each with its own draw.

        Args:
            images: (N, 3, H, W), or grey as (N, 1, H, W), floats in [0, 1]; so is the result.
            seed: Seed of the whole draw.
            indices: Index of each image in its dataset.
            view: 0 for the query, 1 for the positive view.
        """
        draws = [self.draw(seed=seed, index=index, view=view) for index in indices]
        factors = torch.from_numpy(np.stack([factor for factor, _ in draws])).to(images)
        order = np.stack([which for _, which in draws])
        images = images.clone()
        for step in range(len(_ADJUSTMENTS)):
            for number, adjust in enumerate(_ADJUSTMENTS):
                chosen = torch.from_numpy(np.flatnonzero(order[:, step] == number)).to(images.device)
                if len(chosen):
                    images[chosen] = adjust(images[chosen], factors[chosen, number].view(-1, 1, 1, 1))
        return images
