"""Random changes to source images, by torchvision and timm: the pretraining schemes."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from timm.data import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor
from torchvision.transforms import InterpolationMode, v2

from raytransfer.data.settings import SCHEMES
from raytransfer.errors import unknown_name

ImageTransform: TypeAlias = Callable[[NDArray[np.uint8]], Tensor]
"""Makes a uint8 tensor (3, S, S) of an image (H, W, 3)."""

BatchTransform: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Changes float images (N, 3, S, S) in [0, 1] and their labels."""

MIXUP_PROBABILITY = 0.8


class _ImageTransform:
    """Steps of torchvision on an image as an array."""

    def __init__(self, *steps: v2.Transform) -> None:
        self.steps = v2.Compose(steps)

    def __call__(self, image: NDArray[np.uint8]) -> Tensor:
        return self.steps(torch.tensor(image).permute(2, 0, 1)).contiguous()


def image_augmentation(scheme: str, *, image_size: int, strength: float = 1.0) -> ImageTransform:
    """Return what a pretraining scheme does to each training image.

    "simple": a crop of 0.8 to 1 of the area at an aspect of 3/4 to 4/3, resized (bilinear), and a horizontal
    flip with probability 0.5. "advanced": RandAugment besides (Cubuk et al., arXiv:1909.13719), N = 2
    operations of magnitude M = 9 of 31 (thesis, table 2.2).

    Random numbers come from torch's global generator: run it within `raytransfer.runtime.seeding.seeded`.

    Args:
        scheme: One of `SCHEMES`.
        image_size: Side S of the result, pixels.
        strength: Factor in [0, 1] on the range of the areas and of the logarithms of the aspects, on the
            probability of the flip and on RandAugment's magnitude (rounded), which is left out at 0.

    Raises:
        InputError: There is no such scheme.
    """
    if scheme not in SCHEMES:
        raise unknown_name("pretraining scheme", scheme, SCHEMES)
    ratio = ((3 / 4) ** strength, (4 / 3) ** strength)
    steps = [
        v2.RandomResizedCrop(image_size, scale=(1 - 0.2 * strength, 1.0), ratio=ratio),
        v2.RandomHorizontalFlip(0.5 * strength),
    ]
    if scheme == "advanced" and strength > 0:
        randaugment = v2.RandAugment(
            num_ops=2, magnitude=round(9 * strength), num_magnitude_bins=31,
            interpolation=InterpolationMode.NEAREST, fill=0,
        )  # fmt: skip
        # Its operations on Pillow images take half the time of those on tensors; resizing is the reverse.
        steps += [v2.ToPILImage(), randaugment, v2.PILToTensor()]
    return _ImageTransform(*steps)


def image_evaluation(*, image_size: int) -> ImageTransform:
    """Return what is done to each validation image: the shorter side resized to S, the centre cropped."""
    return _ImageTransform(v2.Resize(image_size), v2.CenterCrop(image_size))


def batch_augmentation(
    scheme: str, *, num_classes: int, device: str | torch.device = "cpu", strength: float = 1.0
) -> BatchTransform:
    """Return what a pretraining scheme does to each batch, on its device.

    "simple": nothing. "advanced": each image by a fair coin mixup (Zhang et al., arXiv:1710.09412; with
    probability 0.8, weight uniform) or CutMix (Yun et al., arXiv:1905.04899; always, area uniform), then
    random erasing (Zhong et al., arXiv:1708.04896; probability 0.25, 0.02 to 0.33 of the area, aspect 0.3 to
    3.3, zeros). Labels become one-hot and are mixed like the images, by area for CutMix (thesis, table 2.2).

    timm's implementations, where they differ from the thesis's: the partner of image i of N is image
    N - 1 - i of the batch, not any training image, and a box of odd side is a pixel off centre. Weights are
    per image, as there. Random numbers come from numpy's and Python's global generators: run it within
    `raytransfer.runtime.seeding.seeded`. Images are changed in place; their number must be even.

    Args:
        scheme: One of `SCHEMES`.
        num_classes: Classes C; labels (N,) become (N, C).
        device: Where the images are.
        strength: Factor in [0, 1] on the probabilities of mixing and of erasing.

    Raises:
        InputError: There is no such scheme.
    """
    if scheme not in SCHEMES:
        raise unknown_name("pretraining scheme", scheme, SCHEMES)
    if scheme == "simple":
        return lambda images, labels: (images, labels)
    mixed = (1 + MIXUP_PROBABILITY) / 2  # timm has one probability for both, and then a coin
    mix = Mixup(
        mixup_alpha=1.0, cutmix_alpha=1.0, prob=strength * mixed, switch_prob=0.5 / mixed, mode="elem",
        label_smoothing=0.0, num_classes=num_classes,
    )  # fmt: skip
    erase = RandomErasing(
        0.25 * strength,
        min_area=0.02,
        max_area=0.33,
        min_aspect=0.3,
        max_aspect=3.3,
        mode="const",
        device=device,
    )

    def mix_and_erase(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        images, labels = mix(images, labels)
        return erase(images), labels

    return mix_and_erase
