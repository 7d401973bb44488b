"""Classification metrics over a test set, by torchmetrics."""

import math
import warnings

import torch
from torch import Tensor

from raytransfer.metrics.names import CLASSIFICATION_METRICS


class ClassificationMetrics:
    """Gathers predictions over all images, then gives one value per metric of `CLASSIFICATION_METRICS`.

    The prediction is the arg-max of the probabilities. All are in [0, 1], higher is better:

    | metric | what |
    |---|---|
    | accuracy | images with the right label / images |
    | balanced_accuracy | mean over classes of the recall: right ones / images of the class |
    | auroc | mean over classes of the area under the ROC curve of its probability against the rest |
    | macro_f1 | mean over classes of 2 TP / (2 TP + FP + FN) |

    A class without test images is left out of the means, also where it is predicted; the AUROC is also left
    to the classes that not all images are of. A metric with no class left, or before the first image, is NaN.

    Args:
        num_classes: Classes C.
        device: Where it computes.

    Raises:
        ValueError: `num_classes` is below 2.
    """

    def __init__(self, num_classes: int, *, device: str | torch.device = "cpu") -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        self._num_classes, self._device = num_classes, device
        self._probabilities: list[Tensor] = []
        self._labels: list[Tensor] = []

    @torch.no_grad()
    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Count a batch; how a data set is cut into batches does not matter.

        Args:
            probabilities: Softmax outputs (N, C), floating point, from any device.
            labels: True labels (N,), integers 0 .. C - 1, from any device.

        Raises:
            ValueError: A shape or value is another, NaN included; nothing of the batch is counted.
        """
        if tuple(probabilities.shape) != (len(labels), self._num_classes) or labels.dim() != 1:
            raise ValueError(
                f"probabilities must have shape (N, {self._num_classes}) and labels (N,), got "
                f"{tuple(probabilities.shape)} and {tuple(labels.shape)}"
            )
        if not bool(torch.isfinite(probabilities).all()):
            raise ValueError("probabilities must be in [0, 1], got NaN or infinity")
        if bool((labels < 0).any()) or bool((labels >= self._num_classes).any()):
            raise ValueError(f"labels must be 0 to {self._num_classes - 1}, got {labels.tolist()}")
        self._probabilities.append(probabilities.to(self._device))
        self._labels.append(labels.to(self._device).long())

    def compute(self) -> dict[str, float]:
        """Return a value per name in `CLASSIFICATION_METRICS` over everything counted."""
        if not self._labels:
            return dict.fromkeys(CLASSIFICATION_METRICS, math.nan)
        # It takes seconds to read, which processes that measure nothing would wait for.
        from torchmetrics.functional.classification import (
            multiclass_auroc,
            multiclass_f1_score,
            multiclass_recall,
        )

        probabilities, labels = torch.cat(self._probabilities), torch.cat(self._labels)
        size, predictions = self._num_classes, probabilities.argmax(1)
        counts = torch.bincount(labels, minlength=size)
        present, mixed = counts > 0, (counts > 0) & (counts < len(labels))
        recall = multiclass_recall(predictions, labels, size, average=None)
        f1 = multiclass_f1_score(predictions, labels, size, average=None)
        with warnings.catch_warnings():  # of classes that are left out below
            warnings.simplefilter("ignore", UserWarning)
            auroc = multiclass_auroc(probabilities, labels, size, average=None)
        values = {
            "accuracy": (predictions == labels).double().mean(),
            "balanced_accuracy": recall[present].double().mean(),
            "auroc": auroc[mixed].double().mean(),
            "macro_f1": f1[present].double().mean(),
        }
        return {name: float(values[name]) for name in CLASSIFICATION_METRICS}
