"""Encoders and segmentation models by name."""

from collections.abc import Callable
from typing import Any

from torch import nn

from raytransfer.config import InputError, unknown_name
from raytransfer.models.encoder import Encoder
from raytransfer.models.segmentation import SegmentationModel, SmpUNetDecoder
from raytransfer.models.timm_encoder import TimmEncoder
from raytransfer.models.unet import UNetDecoder, UNetEncoder

ENCODERS: dict[str, tuple[Callable[..., Encoder], dict[str, Any]]] = {
    "unet": (UNetEncoder, {}),
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

SEGMENTATION_MODELS: dict[str, tuple[str, Callable[[Encoder], nn.Module]]] = {
    "unet": ("unet", lambda encoder: UNetDecoder(encoder.level_channels)),
    "unet-micro": ("unet-micro", lambda encoder: UNetDecoder(encoder.level_channels)),
    "resnet-unet-micro": ("resnet-micro", SmpUNetDecoder),
    "swin-unet-micro": ("swin-micro", SmpUNetDecoder),
}


def create_encoder(name: str, *, in_chans: int = 3, **overrides: Any) -> Encoder:
    """Build an encoder with fresh weights.

    Weights are drawn from torch's global generator; wrap the call in `raytransfer.training.seeding.seeded`
    to make them repeatable.

    Args:
        name: "unet" (the thesis's), "unet-micro", "resnet-micro", "swin-micro" (for a CPU, 64 px), or
            "timm/<name>" for any timm model with features.
        in_chans: Input channels.
        **overrides: Replace the architecture's defaults, for example `widths` or `img_size`.

    Raises:
        InputError: There is no such encoder (the message gives the nearest), or an override it does not take.
    """
    build: Callable[..., Encoder]
    if name.startswith("timm/"):
        build, options = TimmEncoder, {"model": name.removeprefix("timm/")}
    elif name in ENCODERS:
        build, options = ENCODERS[name]
    else:
        raise unknown_name("encoder", name, [*ENCODERS, "timm/<name>"])
    try:
        return build(name, in_chans=in_chans, **{**options, **overrides})
    except TypeError as error:
        raise InputError(f"encoder {name!r} does not take {overrides!r}: {error}") from error


def encoder_of(model: str) -> str:
    """Return the name of a segmentation model's encoder.

    Raises:
        InputError: There is no such segmentation model.
    """
    if model not in SEGMENTATION_MODELS:
        raise unknown_name("model", model, SEGMENTATION_MODELS)
    return SEGMENTATION_MODELS[model][0]


def create_segmentation_model(
    name: str, *, num_classes: int, in_chans: int = 3, encoder: Encoder | None = None
) -> SegmentationModel:
    """Build a segmentation model.

    Args:
        name: "unet" (the thesis's), "unet-micro", "resnet-unet-micro" or "swin-unet-micro".
        num_classes: Output channels, the background included.
        in_chans: Input channels of a fresh encoder.
        encoder: A (pretrained) encoder to take; a fresh one where None. It becomes part of the model.

    Raises:
        InputError: There is no such model, or `encoder` is not the one it is made of.
    """
    wanted = encoder_of(name)
    if encoder is None:
        encoder = create_encoder(wanted, in_chans=in_chans)
    elif encoder.name != wanted:
        raise InputError(f"model {name!r} needs encoder {wanted!r}, got {encoder.name!r}")
    return SegmentationModel(encoder, SEGMENTATION_MODELS[name][1](encoder), num_classes=num_classes)
