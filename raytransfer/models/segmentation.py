"""Segmentation models: an encoder, a decoder, and a 1x1 convolution to the classes."""

from typing import Any

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from raytransfer.models.encoder import Encoder


class SegmentationModel(nn.Module):
    """An encoder and a decoder.

    Args:
        encoder: Gives the levels.
        decoder: Turns the levels into one feature map at full resolution, with `out_channels` channels.
        num_classes: Output channels, the background included.
    """

    def __init__(self, encoder: Encoder, decoder: Any, *, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = nn.Conv2d(decoder.out_channels, num_classes, 1)
        nn.init.kaiming_normal_(self.head.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return logits (N, num_classes, H, W) from the encoder's levels of images (N, in_chans, H, W)."""
        return self.head(self.decoder(levels))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) for images (N, in_chans, H, W) in [0, 1]."""
        return self.decode(self.encoder.forward_levels(x))


class SmpUNetDecoder(nn.Module):
    """segmentation-models-pytorch's U-Net decoder over an encoder's levels, up to full resolution.

    Blocks with a skip have the skip's channels, those beyond level 1 have 16, the library's own default.

    Args:
        encoder: Its level 1 has stride 2 or more, and each level halves the one before.
    """

    out_channels = 16

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        beyond = encoder.level_strides[0].bit_length() - 1
        if beyond < 1:
            raise ValueError(f"encoder {encoder.name!r} must have stride 2 or more at level 1")
        skips = encoder.level_channels[-2::-1]
        self._strides = [2**power for power in range(beyond)]
        self.body = UnetDecoder(
            encoder_channels=(*(0 for _ in self._strides), *encoder.level_channels),
            decoder_channels=(*skips, *(self.out_channels for _ in self._strides)),
            n_blocks=len(skips) + beyond,
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, 16, H, W) from which labels are predicted."""
        last = levels[0]
        scale = 2 * self._strides[-1]
        # Where there is no level, the library takes the resolution from a map without channels.
        empty = [
            last.new_empty(len(last), 0, last.shape[2] * scale // s, last.shape[3] * scale // s)
            for s in self._strides
        ]
        return self.body([*empty, *levels])
