"""The U-Net of the thesis (sec. 1.4): encoder, decoder and initialisation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raytransfer.models.encoder import THESIS_NORMALIZATION, Encoder


def double_convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3x3 convolutions, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(),
    )  # fmt: skip


def he_initialise(module: nn.Module) -> None:
    """Draw convolution and linear weights from He's normal distribution (fan-in, ReLU); biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class UNetEncoder(Encoder):
    """A bare 3x3 convolution, then per level two 3x3 convolutions with batch norm and ReLU.

    Levels are halved by 2x2 max pooling; the last one is the bottleneck.

    Args:
        name: Name it is registered under.
        in_chans: Input channels.
        widths: Channels of the levels; the thesis uses 64, 128, 256, 512, 1024.
        mean: Subtracted from images in [0, 1], per channel.
        std: Divides them, per channel.
    """

    def __init__(
        self,
        name: str = "unet",
        *,
        in_chans: int = 3,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        mean: Sequence[float] = THESIS_NORMALIZATION[0],
        std: Sequence[float] = THESIS_NORMALIZATION[1],
    ) -> None:
        super().__init__(in_chans, mean, std)
        self.name = name
        self.options: dict[str, Any] = {
            "in_chans": in_chans, "widths": list(widths), "mean": list(mean), "std": list(std),
        }  # fmt: skip
        self.level_channels = tuple(widths)
        self.level_strides = tuple(2**level for level in range(len(widths)))
        self.stem = nn.Conv2d(in_chans, widths[0], 3, padding=1)
        inputs = (widths[0], *widths[:-1])
        self.blocks = nn.ModuleList(double_convolution(i, o) for i, o in zip(inputs, widths, strict=True))
        he_initialise(self)

    def levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""
        x = self.stem(x)
        maps: list[Tensor] = []
        for block in self.blocks:
            x = block(F.max_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps


class UpConvolution(nn.Conv2d):
    """Nearest x2, then a 2x2 convolution with ReLU, padded by a zero row below and column to the right.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, 2 H, 2 W) for (N, in_channels, H, W)."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.relu(super().forward(F.pad(x, (0, 1, 0, 1))))


class _UpStep(nn.Module):
    """An up-convolution halving the channels, the skip appended, two convolutions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.halve = UpConvolution(in_channels, out_channels)
        self.block = double_convolution(2 * out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.block(torch.cat([self.halve(x), skip], dim=1))


class UNetDecoder(nn.Module):
    """The expanding path, from the bottleneck up to the resolution of level 1.

    Args:
        level_channels: Channels of the encoder's levels, each twice the one before.
    """

    def __init__(self, level_channels: Sequence[int]) -> None:
        super().__init__()
        deep_to_shallow = list(level_channels)[::-1]
        self.steps = nn.ModuleList(_UpStep(i, o) for i, o in pairwise(deep_to_shallow))
        self.out_channels = deep_to_shallow[-1]
        he_initialise(self)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, C_1, H, W) from which labels are predicted."""
        x = levels[-1]
        for step, skip in zip(self.steps, levels[-2::-1], strict=True):
            x = step(x, skip)
        return x
