"""Any architecture of segmentation-models-pytorch (smp) on top of any encoder."""

import inspect
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.encoder import Encoder
from raytransfer.models.segmentation import SegmentationModel, from_full_resolution


def smp_architecture(name: str) -> str:
    """Return smp's name of the architecture of a model "smp/<arch>", in lower case.

    Raises:
        InputError: smp has no such architecture, or it does not work on levels (DPT).
    """
    architecture = name.removeprefix("smp/").lower()
    known = [known for known in smp.MODEL_ARCHITECTURES_MAPPING if known != "dpt"]
    if architecture == "dpt":
        raise InputError(
            f"model {name!r} needs a plain vision transformer's tokens: valid: {', '.join(known)}"
        )
    if architecture not in known:
        raise unknown_name("smp architecture", architecture, known)
    return architecture


class SmpSegmentationModel(SegmentationModel):
    """An smp decoder and head over our encoder, with smp's default settings.

    The encoder's levels are taken as they are, from full resolution down to the depth that is the
    architecture's default. In particular nothing is dilated: DeepLabV3, DeepLabV3+ and PAN see the last level
    with the stride it was pretrained and scored with; for a finer one give an encoder that has it, such as
    `create_encoder("timm/resnet18", output_stride=16)`. Logits are brought to the size of the image by
    bilinear interpolation, as smp does.

    Args:
        name: "smp/<arch>", upper or lower case.
        encoder: Gives the levels; becomes part of the model.
        num_classes: Output channels, the background included.

    Raises:
        InputError: smp has no such architecture, or it cannot work with the encoder's levels.
    """

    def __init__(self, name: str, encoder: Encoder, *, num_classes: int) -> None:
        architecture = smp_architecture(name)
        try:
            with torch.device("meta"):
                trial = nn.Sequential(*_decoder_and_head(architecture, encoder, num_classes))
            smallest_side = _smallest_side(trial, encoder)
        except (ValueError, TypeError, LookupError, RuntimeError) as error:
            raise InputError(
                f"model {name!r} cannot work with the levels of encoder {encoder.name!r} (channels "
                f"{encoder.level_channels}, strides {encoder.level_strides}): {' '.join(str(error).split())}"
            ) from error
        super().__init__(encoder, *_decoder_and_head(architecture, encoder, num_classes))
        self.name, self.smallest_side = name, smallest_side

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return logits (N, num_classes, H, W) from the encoder's levels of images (N, in_chans, H, W).

        Raises:
            InputError: The images are too small for the architecture.
        """
        height, width = (side * self.encoder.level_strides[0] for side in levels[0].shape[2:])
        if min(height, width) < self.smallest_side:
            raise InputError(
                f"model {self.name!r} on encoder {self.encoder.name!r} takes images of {self.smallest_side} "
                f"pixels or more, got {height} x {width}: take larger ones or an encoder of smaller strides"
            )
        logits = super().decode(levels)
        if logits.shape[2:] == (height, width):
            return logits
        return F.interpolate(logits, size=(height, width), mode="bilinear", align_corners=True)


class _SmpDecoder(nn.Module):
    """An smp decoder, called with our levels."""

    def __init__(self, body: nn.Module, first_stride: int, depth: int) -> None:
        super().__init__()
        self.body, self.first_stride, self.depth = body, first_stride, depth

    def forward(self, levels: list[Tensor]) -> Tensor:
        return self.body(from_full_resolution(levels, self.first_stride)[: self.depth + 1])


class _LevelShapes(nn.Module):
    """What smp asks of an encoder while it builds a decoder."""

    def __init__(self, out_channels: list[int], output_stride: int) -> None:
        super().__init__()
        self.out_channels, self.output_stride = out_channels, output_stride

    def set_in_channels(self, in_channels: int, pretrained: bool = False) -> None:
        """Leave the input to the encoder."""

    def make_dilated(self, output_stride: int) -> None:
        """Leave the levels as they are."""


def _decoder_and_head(architecture: str, encoder: Encoder, num_classes: int) -> tuple[nn.Module, nn.Module]:
    first_stride = encoder.level_strides[0]
    if first_stride.bit_count() != 1:
        raise ValueError("level 1 must have a power of two as its stride")
    missing = first_stride.bit_length() - 1
    channels = [*[0] * missing, *encoder.level_channels]
    build = smp.MODEL_ARCHITECTURES_MAPPING[architecture]
    defaults = {key: value.default for key, value in inspect.signature(build.__init__).parameters.items()}
    depth = min(defaults["encoder_depth"], len(channels) - 1)
    last_stride = [*(2**power for power in range(missing)), *encoder.level_strides][depth]
    options: dict[str, Any] = {"encoder_depth": depth, "classes": num_classes, "encoder_weights": None}
    if "upsampling" in defaults:
        options["upsampling"] = 1  # `decode` brings logits to the image's size, whatever the strides
    if isinstance(defaults.get("decoder_channels"), tuple):
        options["decoder_channels"] = defaults["decoder_channels"][:depth]
    shapes = _LevelShapes(channels[: depth + 1], last_stride)
    # smp knows encoders by name only, so this one has a name while the decoder is built.
    key = f"raytransfer-{id(shapes)}"
    smp.encoders.encoders[key] = {"encoder": lambda **_: shapes, "params": {}, "pretrained_settings": {}}
    try:
        model = build(encoder_name=key, **options)
    finally:
        del smp.encoders.encoders[key]
    if architecture == "deeplabv3plus":
        # smp takes a last level of stride 8 or 16 for granted; the decoder's other input has stride 4.
        model.decoder.up = nn.Upsample(scale_factor=last_stride / 4, mode="bilinear", align_corners=True)
    return _SmpDecoder(model.decoder, first_stride, depth), model.segmentation_head


def _smallest_side(trial: nn.Module, encoder: Encoder) -> int:
    """Return the smallest side, in steps of the last level's stride times 1, 2, 4, 8, that goes through.

    Nothing is computed: the trial's weights, and the levels it gets, have shapes only.
    """
    trial.eval()
    for pixels in (1, 2, 4, 8):
        side = pixels * encoder.level_strides[-1]
        levels = [
            torch.empty(2, channels, side // stride, side // stride, device="meta")
            for channels, stride in zip(encoder.level_channels, encoder.level_strides, strict=True)
        ]
        try:
            trial(levels)
        except (ValueError, TypeError, LookupError, RuntimeError):
            if pixels == 8:
                raise
        else:
            break
    return side
