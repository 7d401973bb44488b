"""Networks that are trained around an encoder."""

from collections.abc import Sequence

from torch import Tensor, nn

from raytransfer.models.classification import ClassificationModel
from raytransfer.models.encoder import Encoder


class EncoderClassifier(ClassificationModel):
    """An encoder with a linear layer on its averaged last level, which begins at small weights.

    Args:
        encoder: The encoder to pretrain.
        num_classes: Classes of the source data.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__(encoder, num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)


class EncoderWithHeads(nn.Module):
    """An encoder with global average pooling and heads in a row, the second on what the first gives.

    Args:
        encoder: The encoder to pretrain.
        heads: Each takes (N, D) and gives (N, D').
    """

    def __init__(self, encoder: Encoder, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleList(heads)

    def features(self, x: Tensor) -> Tensor:
        """Return the averaged last level (N, C) of images (N, in_chans, H, W) in [0, 1]."""
        return self.encoder(x).mean((2, 3))

    def forward(self, *views: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Return per view what every head gives; views pass one after the other, with a batch norm each."""
        return tuple(self._outputs(view) for view in views)

    def _outputs(self, view: Tensor) -> tuple[Tensor, ...]:
        x, outputs = self.features(view), []
        for head in self.heads:
            x = head(x)
            outputs.append(x)
        return tuple(outputs)
