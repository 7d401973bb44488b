"""Names of encoders and segmentation models, and how many levels an encoder has: known without torch.

Names of other libraries' networks, "timm/<name>" and "smp/<arch>", are looked up there, which imports them.
"""

from functools import cache

from raytransfer.errors import unknown_name

ENCODER_LEVELS = {
    "unet": 5,
    "resnet50": 5,
    "swin": 4,
    "unet-micro": 5,
    "resnet-micro": 5,
    "swin-micro": 4,
}
"""Encoder -> its number of levels."""

MODEL_ENCODERS = {
    "unet": "unet",
    "resnet50-attention-unet": "resnet50",
    "swin-unet": "swin",
    "unet-micro": "unet-micro",
    "resnet-unet-micro": "resnet-micro",
    "swin-unet-micro": "swin-micro",
}
"""Segmentation model -> the encoder that it has where none is given."""

SMP_ENCODER = "timm/resnet18"
"""The encoder of "smp/<arch>"."""


@cache
def num_levels(encoder: str) -> int:
    """Return how many levels an encoder has, without the cost of its weights.

    Raises:
        InputError: There is no such encoder.

    Examples:
        >>> num_levels("swin-micro")
        4
    """
    if encoder in ENCODER_LEVELS:
        return ENCODER_LEVELS[encoder]
    if not encoder.startswith("timm/"):
        raise unknown_name("encoder", encoder, [*ENCODER_LEVELS, "timm/<name>"])
    import torch

    from raytransfer.models.registry import create_encoder

    with torch.device("meta"):
        return len(create_encoder(encoder).level_channels)


def encoder_of(model: str) -> str:
    """Return the name of the encoder that a segmentation model has where none is given.

    Raises:
        InputError: There is no such segmentation model.

    Examples:
        >>> encoder_of("swin-unet")
        'swin'
    """
    if model.startswith("smp/"):
        from raytransfer.models.smp_networks import smp_architecture

        smp_architecture(model)
        return SMP_ENCODER
    if model not in MODEL_ENCODERS:
        raise unknown_name("model", model, [*MODEL_ENCODERS, "smp/<arch>"])
    return MODEL_ENCODERS[model]


def encoder_named_by(model: str) -> str:
    """Return the encoder that a study's model name means: itself, or that of a segmentation model.

    Raises:
        InputError: There is neither such a segmentation model nor such an encoder.

    Examples:
        >>> encoder_named_by("swin-unet"), encoder_named_by("resnet50")
        ('swin', 'resnet50')
    """
    if model in ENCODER_LEVELS or model.startswith("timm/"):
        return model
    if model not in MODEL_ENCODERS and not model.startswith("smp/"):
        known = [*MODEL_ENCODERS, "smp/<arch>", *ENCODER_LEVELS, "timm/<name>"]
        raise unknown_name("model", model, dict.fromkeys(known))
    return encoder_of(model)
