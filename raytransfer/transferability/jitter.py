"""Colour jitter drawn from (seed, image, view): the same for every checkpoint and every batch size."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F


@dataclass(frozen=True, kw_only=True)
class ColorJitter:
    """Strengths of the jitter, with the meaning of torchvision's `ColorJitter`; defaults are the thesis's.

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

    def __call__(self, image: Tensor, *, seed: int, index: int, view: int) -> Tensor:
        """Jitter one image.

        Args:
            image: (3, H, W) floats in [0, 1]; the result is clamped to the same range.
            seed: Seed of the whole draw.
            index: Index of the image in its dataset.
            view: 0 for the query, 1 for the positive view.
        """
        rng = np.random.default_rng([seed, index, view])
        unit = rng.uniform(-1.0, 1.0, 4)
        adjustments = (
            (F.adjust_brightness, 1 + self.brightness * unit[0]),
            (F.adjust_contrast, 1 + self.contrast * unit[1]),
            (F.adjust_saturation, 1 + self.saturation * unit[2]),
            (F.adjust_hue, self.hue * unit[3]),
        )
        for which in rng.permutation(4):
            adjust, amount = adjustments[which]
            image = adjust(image, float(amount))
        return image

    def batch(self, images: Tensor, *, seed: int, indices: list[int], view: int) -> Tensor:
        """Jitter images (N, 3, H, W), each with its own draw."""
        return torch.stack(
            [self(im, seed=seed, index=i, view=view) for im, i in zip(images, indices, strict=True)]
        )
