"""What every encoder is: a network as a list of feature maps, with its own input normalisation."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from raytransfer.errors import InputError

THESIS_NORMALIZATION = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Mean and standard deviation that leave images in [0, 1] as they are, as the thesis trained."""


class Encoder(nn.Module, ABC):
    """A network that turns images into feature maps, level 1 having the highest resolution.

    Images go in with values in [0, 1]; the encoder normalises them itself, so that pretraining, scoring
    and downstream training cannot disagree about it.

    Attributes:
        name: Name for `create_encoder`.
        options: Keyword arguments with which `create_encoder(name, **options)` builds the same network.
        level_channels: Channels of each level.
        level_strides: Input pixels per feature-map pixel of each level.
    """

    name: str
    options: dict[str, Any]
    level_channels: tuple[int, ...]
    level_strides: tuple[int, ...]
    _mean: Tensor
    _std: Tensor

    def __init__(self, in_chans: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if not len(mean) == len(std) == in_chans:
            raise InputError(f"mean and std must have in_chans={in_chans} entries, got {mean!r} and {std!r}")
        self.normalization = {"value_range": [0.0, 1.0], "mean": list(mean), "std": list(std)}
        # Part of the architecture, not of the weights: kept in meta.json, so left out of the state dict.
        self.register_buffer("_mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward_levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of all levels.

        Args:
            x: Images (N, in_chans, H, W) in [0, 1]; H and W multiples of the last level's stride.

        Returns:
            One (N, C_l, H / s_l, W / s_l) tensor per level l, with C_l from `level_channels` and s_l from
            `level_strides`.
        """
        return self.levels((x - self._mean) / self._std)

    @abstractmethod
    def levels(self, x: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the last level's feature map."""
        return self.forward_levels(x)[-1]
