"""What every model of a target task is: an encoder, and what makes predictions from its levels."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from raytransfer.models.encoder import Encoder


class TargetModel(nn.Module, ABC):
    """A network from images to class logits.

    Attributes:
        encoder: Gives the levels.
    """

    encoder: Encoder

    @abstractmethod
    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return logits (N, num_classes, ...) from the encoder's levels of images (N, in_chans, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes, ...) for images (N, in_chans, H, W) in [0, 1]."""
        return self.decode(self.encoder.forward_levels(x))
