"""The ResNet50 encoder of the thesis (He et al., arXiv:1512.03385, without shortcut weights)."""

from collections.abc import Sequence
from typing import Any

from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional as F

from raytransfer.models.encoder import THESIS_NORMALIZATION, Encoder
from raytransfer.models.stochastic_depth import StochasticDepth, linear_rates
from raytransfer.models.unet import he_initialise

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Channels inside the bottlenecks and number of blocks, per stage."""


class _ZeroPaddedShortcut(nn.Module):
    """A shortcut without weights: every stride-th pixel, missing channels filled with zeros."""

    def __init__(self, stride: int, missing_channels: int) -> None:
        super().__init__()
        self.stride, self.missing_channels = stride, missing_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing_channels))


class ResNet50Encoder(Encoder):
    """Bottlenecks 3-4-6-3 with parameter-free shortcuts, and stochastic depth.

    Unlike torchvision's and timm's ResNet50, shortcuts that change shape take every second pixel and fill
    missing channels with zeros, so their public weights do not fit. Level 1 is the stem before max pooling.

    Args:
        name: Name it is registered under.
        in_chans: Input channels.
        stochastic_depth: Rate of the last of the 16 blocks, growing linearly from 0 at the first; it changes
            evaluation too (eq. 2.9).
        mean: Subtracted from images in [0, 1], per channel.
        std: Divides them, per channel.

    Raises:
        InputError: `stochastic_depth` is not in [0, 1).
    """

    def __init__(
        self,
        name: str = "resnet50",
        *,
        in_chans: int = 3,
        stochastic_depth: float = 0.0,
        mean: Sequence[float] = THESIS_NORMALIZATION[0],
        std: Sequence[float] = THESIS_NORMALIZATION[1],
    ) -> None:
        super().__init__(in_chans, mean, std)
        self.name = name
        self.options: dict[str, Any] = {"in_chans": in_chans, "mean": list(mean), "std": list(std)}
        self.stem = nn.Sequential(
            nn.Conv2d(in_chans, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )
        self.stages = nn.ModuleList()
        channels = 64
        for stage, (width, depth) in enumerate(STAGES):
            blocks = []
            for block in range(depth):
                out_channels = width * Bottleneck.expansion
                stride = 2 if stage > 0 and block == 0 else 1
                shortcut = _ZeroPaddedShortcut(stride, out_channels - channels) if block == 0 else None
                blocks.append(
                    Bottleneck(channels, width, stride, downsample=shortcut, drop_path=StochasticDepth())
                )
                channels = out_channels
            self.stages.append(nn.Sequential(*blocks))
        self.level_channels = (64, *(width * Bottleneck.expansion for width, _ in STAGES))
        self.level_strides = (2, 4, 8, 16, 32)
        self.set_stochastic_depth(stochastic_depth)
        he_initialise(self)

    def set_stochastic_depth(self, rate: float) -> None:
        """Change the rate; weights stay as they are.

        Raises:
            InputError: `rate` is not in [0, 1).
        """
        layers = [layer for layer in self.modules() if isinstance(layer, StochasticDepth)]
        for layer, layer_rate in zip(layers, linear_rates(rate, len(layers)), strict=True):
            layer.drop_prob = layer_rate
        self.options["stochastic_depth"] = rate

    def levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""
        maps = [self.stem(x)]
        x = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
