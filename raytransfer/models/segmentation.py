"""Segmentation models: an encoder, a decoder, and a convolution to the classes."""

from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from torch import Tensor, nn

from raytransfer.errors import InputError
from raytransfer.models.encoder import Encoder
from raytransfer.models.target_model import TargetModel


def class_head(channels: int, num_classes: int) -> nn.Conv2d:
    """Return a 1x1 convolution to the classes, He-initialised."""
    head = nn.Conv2d(channels, num_classes, 1)
    nn.init.kaiming_normal_(head.weight, mode="fan_in", nonlinearity="relu")
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


class SegmentationModel(TargetModel):
    """An encoder, a decoder and a head.

    Args:
        encoder: Gives the levels.
        decoder: Turns the levels into one feature map at full resolution.
        head: Turns that feature map into logits, one channel per class, the background included.
    """

    def __init__(self, encoder: Encoder, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return logits (N, num_classes, H, W) from the encoder's levels of images (N, in_chans, H, W)."""
        return self.head(self.decoder(levels))


def from_full_resolution(levels: list[Tensor], stride: int) -> list[Tensor]:
    """Put maps without channels before level 1, for the strides 1, 2, ... that have no level.

    Decoders of segmentation-models-pytorch count features from full resolution, and take the resolution
    from the map where there is nothing to skip.

    Args:
        levels: Feature maps, level 1 first.
        stride: Of level 1, a power of two.

    Returns:
        The levels, (N, 0, H, W) first where `stride` is more than 1.
    """
    first = levels[0]
    n, _, h, w = first.shape
    missing = [2**power for power in range(stride.bit_length() - 1)]
    return [*(first.new_empty(n, 0, h * stride // s, w * stride // s) for s in missing), *levels]


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
            raise InputError(f"encoder {encoder.name!r} must have stride 2 or more at level 1")
        skips = encoder.level_channels[-2::-1]
        self._stride = encoder.level_strides[0]
        self.body = UnetDecoder(
            encoder_channels=(*[0] * beyond, *encoder.level_channels),
            decoder_channels=(*skips, *[self.out_channels] * beyond),
            n_blocks=len(skips) + beyond,
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Return the feature map (N, 16, H, W) from which labels are predicted."""
        return self.body(from_full_resolution(levels, self._stride))
