"""Encoders from timm: any of its models with features, and small ones for a CPU."""

import re
from collections.abc import Sequence
from typing import Any

import timm
from torch import Tensor

from raytransfer.errors import InputError, unknown_name
from raytransfer.models.encoder import THESIS_NORMALIZATION, Encoder

READS_FILES = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
"""Arguments by which timm would load files, also from the network; a checkpoint's options are not trusted."""


class TimmEncoder(Encoder):
    """A timm model's feature maps.

    Args:
        name: Name it is registered under.
        model: timm's name of the architecture. No weights are downloaded.
        in_chans: Input channels.
        mean: Subtracted from images in [0, 1], per channel.
        std: Divides them, per channel.
        **arguments: Passed to `timm.create_model`.

    Raises:
        InputError: timm has no such model, it gives no feature maps, or an argument would make it read files.
    """

    def __init__(
        self,
        name: str,
        *,
        model: str,
        in_chans: int = 3,
        mean: Sequence[float] = THESIS_NORMALIZATION[0],
        std: Sequence[float] = THESIS_NORMALIZATION[1],
        **arguments: Any,
    ) -> None:
        super().__init__(in_chans, mean, std)
        # timm itself looks only at what stands before the first dot, and the name becomes a path
        if not re.fullmatch(r"\w+(\.\w+)?", model, re.ASCII) or not timm.is_model(model):
            raise unknown_name("timm model", model, timm.list_models())
        if reading := READS_FILES & set(arguments):
            raise InputError(f"encoder {name!r} does not take {sorted(reading)}: timm reads no weights")
        self.name = name
        self.options = {
            "model": model, "in_chans": in_chans, "mean": list(mean), "std": list(std), **arguments,
        }  # fmt: skip
        try:
            self.body = timm.create_model(model, features_only=True, in_chans=in_chans, **arguments)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InputError(f"timm model {model!r} gives no feature maps: {error}") from error
        self.level_channels = tuple(self.body.feature_info.channels())
        self.level_strides = tuple(self.body.feature_info.reduction())

    def levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""
        maps: list[Tensor] = self.body(x)
        channels_last = str(getattr(self.body, "output_fmt", "NCHW")).endswith("NHWC")
        return [m.permute(0, 3, 1, 2) for m in maps] if channels_last else maps
