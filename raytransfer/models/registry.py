"""Encoders and segmentation models by name."""

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import nn

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.attention_unet import AttentionUNetDecoder
from raytransfer.models.encoder import Encoder
from raytransfer.models.names import ENCODER_LEVELS, encoder_of
from raytransfer.models.resnet import ResNet50Encoder
from raytransfer.models.segmentation import SegmentationModel, SmpUNetDecoder, class_head
from raytransfer.models.smp_networks import SmpSegmentationModel
from raytransfer.models.swin import SwinEncoder, SwinUNetDecoder
from raytransfer.models.timm_encoder import TimmEncoder
from raytransfer.models.unet import UNetDecoder, UNetEncoder

ENCODERS: dict[str, tuple[Callable[..., Encoder], dict[str, Any]]] = {
    "unet": (UNetEncoder, {}),
    "resnet50": (ResNet50Encoder, {}),
    "swin": (SwinEncoder, {}),
    "unet-micro": (UNetEncoder, {"widths": [8, 16, 32, 64, 128]}),
    "resnet-micro": (
        TimmEncoder,
        {"model": "resnet10t", "channels": [24, 48, 96, 192], "stem_width": 12},
    ),
    "swin-micro": (
        TimmEncoder,
        {
            "model": "swin_tiny_patch4_window7_224", "img_size": 64, "embed_dim": 24,
            "depths": [2, 2, 2, 2], "num_heads": [1, 2, 4, 8], "window_size": 4, "drop_path_rate": 0.0,
            "strict_img_size": False,
        },
    ),
}  # fmt: skip


class _Network(NamedTuple):
    """A segmentation model: what builds it, and the thesis's downstream stochastic depth."""

    build: Callable[[Encoder, int], SegmentationModel]
    stochastic_depth: float | None = None


def _with_class_head(decoder_of: Callable[[Encoder], Any]) -> Callable[[Encoder, int], SegmentationModel]:
    def build(encoder: Encoder, num_classes: int) -> SegmentationModel:
        decoder = decoder_of(encoder)
        return SegmentationModel(encoder, decoder, class_head(decoder.out_channels, num_classes))

    return build


def _swin_unet(encoder: Encoder, num_classes: int) -> SegmentationModel:
    decoder = SwinUNetDecoder(encoder.options["stochastic_depth"])
    return SegmentationModel(encoder, decoder, nn.Conv2d(decoder.out_channels, num_classes, 1, bias=False))


_unet = _with_class_head(lambda encoder: UNetDecoder(encoder.level_channels))
_attention_unet = _with_class_head(lambda encoder: AttentionUNetDecoder(encoder.level_channels))
_smp_unet = _with_class_head(SmpUNetDecoder)

SEGMENTATION_MODELS = {
    "unet": _Network(_unet),
    "resnet50-attention-unet": _Network(_attention_unet, stochastic_depth=0.1),
    "swin-unet": _Network(_swin_unet, stochastic_depth=0.2),
    "unet-micro": _Network(_unet),
    "resnet-unet-micro": _Network(_smp_unet),
    "swin-unet-micro": _Network(_smp_unet),
}


def create_encoder(name: str, *, in_chans: int = 3, **overrides: Any) -> Encoder:
    """Build an encoder with fresh weights.

    Weights are drawn from torch's global generator; wrap the call in `raytransfer.runtime.seeding.seeded`
    to make them repeatable.

    Args:
        name: "unet", "resnet50", "swin" (the thesis's), "unet-micro", "resnet-micro", "swin-micro" (for a
            CPU, 64 px), or "timm/<name>" for any timm model with features.
        in_chans: Input channels.
        **overrides: Replace the architecture's defaults, for example `widths` or `stochastic_depth`.

    Raises:
        InputError: There is no such encoder (the message gives the nearest), or an override it does not take.

    Examples:
        >>> create_encoder("unet-micro").level_channels
        (8, 16, 32, 64, 128)
    """
    build: Callable[..., Encoder]
    if name.startswith("timm/"):
        build, options = TimmEncoder, {"model": name.removeprefix("timm/")}
    elif name in ENCODERS:
        build, options = ENCODERS[name]
    else:
        raise unknown_name("encoder", name, [*ENCODER_LEVELS, "timm/<name>"])
    unchanged = {"mean": [0.0] * in_chans, "std": [1.0] * in_chans}
    try:
        return build(name, in_chans=in_chans, **{**unchanged, **options, **overrides})
    except TypeError as error:
        raise InputError(f"encoder {name!r} does not take {overrides!r}: {error}") from error


def create_segmentation_model(
    name: str,
    *,
    num_classes: int,
    in_chans: int = 3,
    encoder: Encoder | None = None,
    stochastic_depth: float | None = None,
) -> SegmentationModel:
    """Build a segmentation model.

    Args:
        name: "unet", "resnet50-attention-unet", "swin-unet" (the thesis's), "unet-micro",
            "resnet-unet-micro", "swin-unet-micro" (for a CPU), or "smp/<arch>" for any architecture of
            segmentation-models-pytorch on any encoder.
        num_classes: Output channels, the background included.
        in_chans: Input channels of a fresh encoder.
        encoder: A (pretrained) encoder to take; a fresh one where None. It becomes part of the model.
        stochastic_depth: Rate for downstream training, for "resnet50-attention-unet" (its encoder) and
            "swin-unet" (encoder and decoder). The thesis's 0.1 and 0.2 where None, whatever rate the
            encoder was pretrained with.

    Raises:
        InputError: There is no such model, `encoder` is not the one it is made of or does not fit, or it has
            no stochastic depth.

    Examples:
        >>> create_segmentation_model("unet-micro", num_classes=4).encoder.name
        'unet-micro'
    """
    wanted = encoder_of(name)
    if encoder is None:
        encoder = create_encoder(wanted, in_chans=in_chans)
    elif encoder.name != wanted and not name.startswith("smp/"):
        raise InputError(f"model {name!r} needs encoder {wanted!r}, got {encoder.name!r}")
    default_rate = None if name.startswith("smp/") else SEGMENTATION_MODELS[name].stochastic_depth
    rate = default_rate if stochastic_depth is None else stochastic_depth
    if rate is not None:
        if not isinstance(encoder, ResNet50Encoder | SwinEncoder):
            raise InputError(f"model {name!r} has no stochastic depth to set, got stochastic_depth={rate!r}")
        encoder.set_stochastic_depth(rate)
    if name.startswith("smp/"):
        return SmpSegmentationModel(name, encoder, num_classes=num_classes)
    return SEGMENTATION_MODELS[name].build(encoder, num_classes)
