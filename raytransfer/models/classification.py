"""Classification models: an encoder and a linear layer on its last level, averaged over space."""

from torch import Tensor, nn

from raytransfer.models.encoder import Encoder
from raytransfer.models.target_model import TargetModel


def pooled_features(levels: list[Tensor]) -> Tensor:
    """Return the last level (N, C, h, w) averaged over space: (N, C)."""
    return levels[-1].mean((2, 3))


class ClassificationModel(TargetModel):
    """An encoder and a linear head.

    Args:
        encoder: Gives the levels.
        num_classes: Output classes.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.level_channels[-1], num_classes)

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return logits (N, num_classes) from the encoder's levels of images (N, in_chans, H, W)."""
        return self.head(pooled_features(levels))
