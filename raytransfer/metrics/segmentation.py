"""Dice and Jaccard over a whole dataset, streamed as a confusion matrix."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

METRICS = ("dice", "jaccard")


class SegmentationMetrics:
    """Counts pixels over all images, then gives one value per metric.

    Both metrics are computed per class from the counts of the whole dataset (not per image) and averaged
    over the foreground classes, label 0 being the background. A class that neither the masks nor the
    predictions contain is left out of the average; with no class left the value is NaN. Range [0, 1].

    Args:
        num_classes: Classes C, the background included.
        device: Where the counts are kept.
    """

    def __init__(self, num_classes: int, *, device: str | torch.device = "cpu") -> None:
        self._counts = MulticlassConfusionMatrix(num_classes).to(device)

    def update(self, predictions: Tensor, masks: Tensor) -> None:
        """Count a batch.

        Args:
            predictions: Predicted labels (N, H, W), integers 0 .. C - 1.
            masks: True labels, alike.
        """
        self._counts.update(predictions, masks)

    def compute(self) -> dict[str, float]:
        """Return {"dice", "jaccard"} over everything counted.

        Per class: Dice = 2 TP / (2 TP + FP + FN), Jaccard = TP / (TP + FP + FN).
        """
        counts = self._counts.compute().double()
        hits = counts.diag()
        either = counts.sum(0) + counts.sum(1)
        dice, jaccard = 2 * hits / either, hits / (either - hits)
        return {"dice": _foreground_mean(dice), "jaccard": _foreground_mean(jaccard)}


def _foreground_mean(per_class: Tensor) -> float:
    return float(torch.nanmean(per_class[1:]))
