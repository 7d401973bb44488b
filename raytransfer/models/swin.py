"""The Swin encoder and Swin U-Net decoder of the thesis (arXiv:2103.14030, arXiv:2105.05537)."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from timm.layers import DropPath, PatchEmbed
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor, nn

from raytransfer.errors import InputError
from raytransfer.models.encoder import THESIS_NORMALIZATION, Encoder
from raytransfer.models.stochastic_depth import linear_rates

PATCH, WINDOW, DEPTH = 4, 7, 2
CHANNELS = (96, 192, 384, 768)
HEADS = (3, 6, 12, 24)


def _blocks(level: int) -> nn.Sequential:
    """Return a level's two blocks: plain windows, then (but for the last level) windows shifted by 3."""
    shifts = (0, WINDOW // 2 if level + 1 < len(CHANNELS) else 0)
    # always_partition and dynamic_mask: windows stay 7x7 and maps are padded to whole windows, so that the
    # same weights take images of any size; at 224 px nothing is padded.
    return nn.Sequential(
        *(
            SwinTransformerBlock(
                CHANNELS[level], (WINDOW, WINDOW), HEADS[level],
                window_size=WINDOW, shift_size=shift, always_partition=True, dynamic_mask=True,
            )
            for shift in shifts
        )
    )  # fmt: skip


def _set_rates(blocks: Iterable[Any], rates: Iterable[float]) -> None:
    # timm's drop path, which rescales in training: the reference's Swin leaves evaluation unscaled.
    for block, rate in zip(blocks, rates, strict=True):
        block.drop_path1, block.drop_path2 = DropPath(rate), DropPath(rate)


def swin_initialise(module: nn.Module) -> None:
    """Draw linear weights from a truncated normal distribution (std 0.02), biases zero.

    Relative position biases are drawn alike by timm; convolutions and norms keep the library's defaults.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class SwinEncoder(Encoder):
    """A small Swin Transformer: depths 2-2-2-2, embedding 96, heads 3-6-12-24, window 7.

    No norm after the last block; levels are taken before merging. Images of any size that is a multiple of
    32 are taken, with the windows of 224 px: maps are padded with zeros to whole windows.

    Args:
        name: Name it is registered under.
        in_chans: Input channels.
        stochastic_depth: Rate of the last of the eight blocks, growing linearly from 0 at the first. Other
            than in the ResNet50 a kept branch is divided by its probability in training, and evaluation is
            left as it is: so the reference's Swin does.
        mean: Subtracted from images in [0, 1], per channel.
        std: Divides them, per channel.

    Raises:
        InputError: `stochastic_depth` is not in [0, 1).
    """

    def __init__(
        self,
        name: str = "swin",
        *,
        in_chans: int = 3,
        stochastic_depth: float = 0.0,
        mean: Sequence[float] = THESIS_NORMALIZATION[0],
        std: Sequence[float] = THESIS_NORMALIZATION[1],
    ) -> None:
        super().__init__(in_chans, mean, std)
        self.name = name
        self.options: dict[str, Any] = {"in_chans": in_chans, "mean": list(mean), "std": list(std)}
        self.level_channels = CHANNELS
        self.level_strides = tuple(PATCH * 2**level for level in range(len(CHANNELS)))
        self.embedding = PatchEmbed(
            img_size=None, patch_size=PATCH, in_chans=in_chans, embed_dim=CHANNELS[0],
            norm_layer=nn.LayerNorm, output_fmt="NHWC",
        )  # fmt: skip
        self.stages = nn.ModuleList(_blocks(level) for level in range(len(CHANNELS)))
        self.merging = nn.ModuleList(PatchMerging(channels) for channels in CHANNELS[:-1])
        self.set_stochastic_depth(stochastic_depth)
        swin_initialise(self)

    def set_stochastic_depth(self, rate: float) -> None:
        """Change the rate; weights stay as they are.

        Raises:
            InputError: `rate` is not in [0, 1).
        """
        blocks = [block for stage in self.stages for block in stage]  # type: ignore[attr-defined]
        _set_rates(blocks, linear_rates(rate, len(blocks)))
        self.options["stochastic_depth"] = rate

    def levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""
        if any(side % self.level_strides[-1] for side in x.shape[2:]):
            raise InputError(
                f"encoder {self.name!r} takes images whose sides are multiples of {self.level_strides[-1]}, "
                f"got {tuple(x.shape[2:])}: resize or pad them"
            )
        x = self.embedding(x)
        maps: list[Tensor] = []
        for level, stage in enumerate(self.stages):
            x = stage(self.merging[level - 1](x) if maps else x)
            maps.append(x)
        return [features.permute(0, 3, 1, 2) for features in maps]


class _PatchExpanding(nn.Module):
    """A linear layer whose output is rearranged to factor x factor pixels, then normed; (N, H, W, C)."""

    def __init__(self, in_channels: int, out_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.expand = nn.Linear(in_channels, factor**2 * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, _ = x.shape
        f = self.factor
        x = self.expand(x).view(n, h, w, f, f, -1).transpose(2, 3).reshape(n, h * f, w * f, -1)
        return self.norm(x)


class _SwinUpStep(nn.Module):
    """Patch expanding, a linear layer over it and the skip, two blocks; (N, H, W, C)."""

    def __init__(self, level: int) -> None:
        super().__init__()
        channels = CHANNELS[level]
        self.upsample = _PatchExpanding(CHANNELS[level + 1], channels, 2)
        self.mix = nn.Linear(2 * channels, channels)
        self.blocks = _blocks(level)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.blocks(self.mix(torch.cat([self.upsample(x), skip], dim=-1)))


class SwinUNetDecoder(nn.Module):
    """Three steps up that mirror the encoder, then patch expanding by 4 to full resolution.

    Args:
        stochastic_depth: The encoder's rate; a step's blocks have the rates of the encoder's blocks of the
            same level.

    Raises:
        InputError: `stochastic_depth` is not in [0, 1).
    """

    out_channels = CHANNELS[0]

    def __init__(self, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        levels = range(len(CHANNELS) - 2, -1, -1)
        self.steps = nn.ModuleList(_SwinUpStep(level) for level in levels)
        self.norm = nn.LayerNorm(CHANNELS[0])
        self.upsample = _PatchExpanding(CHANNELS[0], CHANNELS[0], PATCH)
        rates = linear_rates(stochastic_depth, DEPTH * len(CHANNELS))
        for step, level in zip(self.steps, levels, strict=True):
            _set_rates(step.blocks, rates[DEPTH * level : DEPTH * (level + 1)])  # type: ignore[arg-type]
        swin_initialise(self)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, 96, H, W) from which labels are predicted."""
        x, *skips = (level.permute(0, 2, 3, 1) for level in levels[::-1])
        for step, skip in zip(self.steps, skips, strict=True):
            x = step(x, skip)
        return self.upsample(self.norm(x)).permute(0, 3, 1, 2)
