"""Segmentation models: an encoder, a decoder, and a 1x1 convolution to the classes."""

from typing import Any

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn
from torch.nn import functional as F

from raytransfer.models.encoder import Encoder


class SegmentationModel(nn.Module):
    """An encoder and a decoder.

    Args:
        encoder: Gives the levels.
        decoder: Takes the list of levels, gives one feature map; its `out_channels` are that map's channels.
        num_classes: Output channels, the background included.
    """

    def __init__(self, encoder: Encoder, decoder: Any, *, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = nn.Conv2d(decoder.out_channels, num_classes, 1)
        nn.init.kaiming_normal_(self.head.weight, mode="fan_in", nonlinearity="relu")
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def decode(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Return logits (N, num_classes, *size) from an encoder's levels."""
        logits = self.head(self.decoder(levels))
        if logits.shape[-2:] != size:
            logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) for images (N, in_chans, H, W) in [0, 1]."""
        return self.decode(self.encoder.forward_levels(x), (x.shape[-2], x.shape[-1]))


class SmpUNetDecoder(nn.Module):
    """segmentation-models-pytorch's U-Net decoder over an encoder's levels, up to the resolution of level 1.

    Args:
        encoder: Its levels must halve in resolution from one to the next.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        skips = encoder.level_channels[-2::-1]
        self.out_channels = skips[-1]
        # The library's decoder ignores its first entry (the image itself) and ends with a block without
        # a skip; level 1 enters as the last block's skip instead, so one block per skip is built.
        self.body = UnetDecoder(
            encoder_channels=(0, *encoder.level_channels), decoder_channels=skips, n_blocks=len(skips)
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, C_1, H_1, W_1) at level 1's resolution."""
        return self.body([levels[0][:, :0], *levels])
