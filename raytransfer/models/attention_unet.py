"""The decoder of the thesis's ResNet50 Attention U-Net (eq. 1.1; Oktay et al., arXiv:1804.03999)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raytransfer.models.unet import UpConvolution, double_convolution, he_initialise

WIDTHS = (256, 128, 64, 32, 16)
"""Output channels of the decoder's steps."""


class AttentionGate(nn.Module):
    """Additive attention: weights a skip by what the coarser feature map says (eq. 1.1).

    skip * up(sigmoid(norm(psi(relu(W_g s(g) + W_s skip))))), with s a 1x1 convolution, norm and ReLU, one
    weight per channel and pixel of the coarser map.

    Args:
        coarse_channels: Channels of the coarser map; the sum has as many.
        skip_channels: Channels of the skip.
    """

    def __init__(self, coarse_channels: int, skip_channels: int) -> None:
        super().__init__()
        self.signal = nn.Sequential(
            nn.Conv2d(coarse_channels, coarse_channels, 1), nn.BatchNorm2d(coarse_channels), nn.ReLU()
        )
        self.weigh_signal = nn.Sequential(
            nn.Conv2d(coarse_channels, coarse_channels, 1), nn.BatchNorm2d(coarse_channels)
        )
        self.weigh_skip = nn.Sequential(
            nn.Conv2d(skip_channels, coarse_channels, 2, stride=2), nn.BatchNorm2d(coarse_channels)
        )
        self.attention = nn.Sequential(
            nn.Conv2d(coarse_channels, skip_channels, 1), nn.BatchNorm2d(skip_channels), nn.Sigmoid()
        )

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Return the weighted skip (N, C_s, H, W) from a coarser map (N, C_g, H / 2, W / 2) and the skip."""
        attention = self.attention(F.relu(self.weigh_signal(self.signal(coarse)) + self.weigh_skip(skip)))
        return skip * F.interpolate(attention, scale_factor=2, mode="nearest")


class _AttentionUpStep(nn.Module):
    """An up-convolution, the gated skip appended where there is one, two convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.halve = UpConvolution(in_channels, in_channels // 2)
        self.gate = AttentionGate(in_channels, skip_channels) if skip_channels else None
        self.block = double_convolution(in_channels // 2 + skip_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        up = self.halve(x)
        if self.gate is not None and skip is not None:
            up = torch.cat([up, self.gate(x, skip)], dim=1)
        return self.block(up)


class AttentionUNetDecoder(nn.Module):
    """Five steps up with attention gates on the skips; the last step, to full resolution, has no skip.

    Args:
        level_channels: Channels of the encoder's five levels, with strides 2, 4, 8, 16 and 32.
    """

    def __init__(self, level_channels: Sequence[int]) -> None:
        super().__init__()
        inputs = (level_channels[-1], *WIDTHS[:-1])
        skips = (*level_channels[-2::-1], 0)
        self.steps = nn.ModuleList(
            _AttentionUpStep(i, s, o) for i, s, o in zip(inputs, skips, WIDTHS, strict=True)
        )
        self.out_channels = WIDTHS[-1]
        he_initialise(self)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, 16, H, W) from which labels are predicted."""
        x = levels[-1]
        for step, skip in zip(self.steps, (*levels[-2::-1], None), strict=True):
            x = step(x, skip)
        return x
