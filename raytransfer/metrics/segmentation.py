"""Segmentation metrics over a test set, streamed as counts: memory does not grow with the images."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from raytransfer.metrics.names import SEGMENTATION_METRICS

METRICS = SEGMENTATION_METRICS
"""The keys of `SegmentationMetrics.compute`, in their order."""

# A probability p falls into bin floor(_PER_UNIT p + _PER_LOGIT log(p / (1 - p))) - _FIRST.
_PER_UNIT, _PER_LOGIT = 2**17, 2**10
_SMALLEST = torch.finfo(torch.float32).tiny
_SMALLEST_REST = 2.0**-25  # of 1 - p; float32's step below 1 is twice that
_FIRST = math.floor(_PER_LOGIT * math.log(_SMALLEST)) - 1
_BINS = math.ceil(_PER_UNIT - _PER_LOGIT * math.log(_SMALLEST_REST)) + 2 - _FIRST


class SegmentationMetrics:
    """Counts pixels and border distances over all images, then gives one value per metric of `METRICS`.

    Label 0 is the background. Except for the accuracy, every metric is computed per foreground class, that
    class against the rest, and averaged over the foreground classes. The prediction is the arg-max of the
    probabilities. With TP, FP, FN, TN the pixels of all images together (not per image), a class gives:

    | metric | per class | range | NaN (left out of the mean) if |
    |---|---|---|---|
    | dice | 2 TP / (2 TP + FP + FN) | [0, 1] | in neither masks nor predictions |
    | jaccard | TP / (TP + FP + FN) | [0, 1] | in neither masks nor predictions |
    | mcc | Matthews correlation of mask and prediction | [-1, 1] | both are the class nowhere or everywhere |
    | balanced_accuracy | (sensitivity + specificity) / 2 | [0, 1] | either is NaN |
    | sensitivity | TP / (TP + FN) | [0, 1] | in no mask |
    | specificity | TN / (TN + FP) | [0, 1] | the masks are nothing else |
    | precision | TP / (TP + FP) | [0, 1] | in neither masks nor predictions |
    | auroc | area under the ROC curve of its probability | [0, 1] | in no mask, or nothing else |
    | average_precision | sum of precision x gain in recall | [0, 1] | in no mask |
    | hd95 | see below | [0, diagonal], pixels, lower is better | in neither masks nor predictions |

    `accuracy` is the fraction of all pixels, the background's too, with the right label; range [0, 1]. All
    but `hd95` are fractions, higher is better. A metric with no class left, or computed before the first
    image, is NaN. Where a quotient is 0 / 0 because a class of the masks is never predicted, or a predicted
    class is in no mask, precision and mcc are 0, as in scikit-learn: finding nothing is no advantage.

    **AUROC and average precision** pool the pixels of all images (the thesis's code averages batches). They
    come from two histograms per class, of its pixels and of all others, in which equal probabilities are a
    tie, as in scikit-learn. The 238,253 bins are 2^-17 of p or 2^-10 of log-odds wide, whichever is less:
    softmax saturates, and bins of p alone would put most pixels into the first and the last. They take
    3.8 MB per class, whatever the data set. Deviation from scikit-learn's exact values, on 204,800 pixels:
    AUROC below 1e-6 and average precision below 2e-5 where the probabilities spread over 0.4 or more, as a
    micro network's do before and during training; 1e-6 and 2e-4 where all lie within 0.04, 1e-5 and 2e-3
    within 0.004 (a nearly constant output); 1.1e-4 where most are exactly 0 or 1. torchmetrics' binned
    curves compare each pixel with each threshold: 3.4 s instead of 0.01 s for both metrics of these pixels
    (one CPU core), with no more than 200 thresholds.

    **HD95** is the thesis's modified Hausdorff distance, per image and class: the distances from each border
    pixel of the mask to the nearest border pixel of the prediction, their 95th percentile (interpolated
    linearly); the same the other way round; the larger of the two. Border pixels are those with one of
    their four neighbours outside the class or the image. An image with the class in neither is skipped. One
    with the class in only one has no distance and counts the image diagonal (H^2 + W^2)^(1/2), more than
    any distance in it, so that a model that finds nothing is not better off. Mean over the images left, then
    over the classes. SciPy's KD-trees of border pixels give MONAI's values in a fifth of its time; like
    MONAI's they work on the CPU, the borders are found on the device.

    Args:
        num_classes: Classes C, the background included.
        device: Where the counts are kept, and all but the distances are computed.

    Raises:
        ValueError: `num_classes` is below 2.
    """

    def __init__(self, num_classes: int, *, device: str | torch.device = "cpu") -> None:
        if num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, got {num_classes}")
        # It takes seconds to read, which processes that measure nothing would wait for.
        from torchmetrics.classification import MulticlassConfusionMatrix

        self._num_classes = num_classes
        # Arguments are checked here; its own check accepts a stray label as long as another class is absent.
        self._confusion = MulticlassConfusionMatrix(num_classes, validate_args=False).to(device)
        self._scores = torch.zeros(num_classes - 1, 2, _BINS, dtype=torch.int64, device=device)
        self._distances = torch.zeros(2, num_classes - 1, dtype=torch.float64)  # sums, images

    @torch.no_grad()
    def update(self, probabilities: Tensor, masks: Tensor) -> None:
        """Count a batch; how a data set is cut into batches does not matter.

        Args:
            probabilities: Softmax outputs (N, C, H, W), floating point, from any device.
            masks: True labels (N, H, W), integers 0 .. C - 1, from any device.

        Raises:
            ValueError: A shape, type or value is another, NaN included; nothing of the batch is counted.
        """
        probabilities, masks = probabilities.to(self._scores.device), masks.to(self._scores.device)
        self._check(probabilities, masks)
        masks = masks.long()
        predictions = probabilities.argmax(1)
        self._confusion.update(predictions, masks)
        self._count_scores(probabilities[:, 1:].float(), masks)
        self._measure(predictions, masks)

    def compute(self) -> dict[str, float]:
        """Return a value per name in `METRICS` over everything counted."""
        counts = self._confusion.confmat.cpu().double()
        total = counts.sum()
        true_positives, actual, predicted = counts.diag()[1:], counts.sum(1)[1:], counts.sum(0)[1:]
        false_negatives, false_positives = actual - true_positives, predicted - true_positives
        true_negatives = total - true_positives - false_negatives - false_positives
        sensitivity, specificity = (
            true_positives / actual,
            true_negatives / (true_negatives + false_positives),
        )
        nowhere = actual + predicted == 0
        spread = ((actual * (total - actual)) * (predicted * (total - predicted))).sqrt()
        same = (true_positives == total) | (true_negatives == total)
        auroc, average_precision = _areas(self._scores.cpu().double())
        per_class = {
            "dice": 2 * true_positives / (actual + predicted),
            "jaccard": true_positives / (true_positives + false_negatives + false_positives),
            "mcc": _quotient(
                true_positives * true_negatives - false_positives * false_negatives, spread, undefined=same
            ),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "sensitivity": sensitivity,
            "specificity": specificity,
            "precision": _quotient(true_positives, predicted, undefined=nowhere),
            "auroc": auroc,
            "average_precision": average_precision,
            "hd95": self._distances[0] / self._distances[1],
        }
        values = {name: float(torch.nanmean(value)) for name, value in per_class.items()}
        values["accuracy"] = float(counts.diag().sum() / total)
        return {name: values[name] for name in METRICS}

    def _check(self, probabilities: Tensor, masks: Tensor) -> None:
        shape, classes = tuple(probabilities.shape), self._num_classes
        if len(shape) != 4 or shape[1] != classes or 0 in shape:
            raise ValueError(f"probabilities must have shape (N, {classes}, H, W), got {shape}")
        if not probabilities.is_floating_point():
            raise ValueError(f"probabilities must be floating point, got {probabilities.dtype}")
        if tuple(masks.shape) != (shape[0], *shape[2:]):
            raise ValueError(f"masks must have shape {(shape[0], *shape[2:])}, got {tuple(masks.shape)}")
        if masks.is_floating_point() or masks.is_complex():
            raise ValueError(f"masks must be integers, got {masks.dtype}")
        low, high = torch.stack(torch.aminmax(probabilities)).tolist()
        if math.isnan(low):
            raise ValueError("probabilities must be in [0, 1], got NaN")
        if low < 0 or high > 1 + 1e-5:  # a sum rounded down may leave a softmax just above 1
            raise ValueError(f"probabilities must be in [0, 1], got values from {low} to {high}")
        lowest, highest = int(masks.min()), int(masks.max())
        if lowest < 0 or highest >= classes:
            raise ValueError(f"masks must be labels 0 to {classes - 1}, got {lowest} to {highest}")

    def _count_scores(self, foreground: Tensor, masks: Tensor) -> None:
        """Add probabilities (N, C - 1, H, W) to the histograms."""
        p = foreground.clamp(_SMALLEST, 1)
        logit = p.log() - (1 - p).clamp(min=_SMALLEST_REST).log()
        key = (_PER_UNIT * p + _PER_LOGIT * logit).floor().long() - _FIRST
        classes = torch.arange(1, self._num_classes, device=masks.device)[:, None, None]
        histogram = 2 * (classes - 1) + (masks[:, None] == classes)
        index = histogram * _BINS + key
        self._scores += torch.bincount(index.flatten(), minlength=self._scores.numel()).view_as(self._scores)

    def _measure(self, predictions: Tensor, masks: Tensor) -> None:
        """Add the HD95 of every image and class with a border."""
        diagonal = math.hypot(*masks.shape[1:])
        ours = _border_points(predictions, self._num_classes)
        theirs = _border_points(masks, self._num_classes)
        for pair, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if len(a) or len(b):
                distance = _hausdorff95(a, b) if len(a) and len(b) else diagonal
                column = pair % (self._num_classes - 1)
                self._distances[0, column] += distance
                self._distances[1, column] += 1


def dice_per_image(
    predictions: NDArray[np.integer], masks: NDArray[np.integer], num_classes: int
) -> NDArray[np.float64]:
    """Return the Dice (N,) of each image, the mean over its foreground classes, for labels (N, H, W).

    A class in neither mask nor prediction is left out; an image without any gives NaN.
    """
    values = np.full((num_classes - 1, len(masks)), np.nan)
    for row, label in zip(values, range(1, num_classes), strict=True):
        ours, theirs = predictions == label, masks == label
        sizes = ours.sum((1, 2)) + theirs.sum((1, 2))
        np.divide(2 * (ours & theirs).sum((1, 2)), sizes, out=row, where=sizes > 0)
    defined = (~np.isnan(values)).sum(0)
    return np.divide(np.nansum(values, 0), defined, out=np.full(len(masks), np.nan), where=defined > 0)


def _quotient(numerator: Tensor, denominator: Tensor, *, undefined: Tensor) -> Tensor:
    """Return the quotient, 0 for 0 / 0, and NaN where undefined."""
    defined = torch.where(denominator == 0, 0, numerator / denominator)
    return torch.where(undefined, math.nan, defined)


def _areas(histograms: Tensor) -> tuple[Tensor, Tensor]:
    """Return AUROC and average precision (K,) for counts (K, [others, class], bins of rising probability)."""
    others, members = histograms.flip(-1).unbind(1)
    above, found = others.cumsum(-1), members.cumsum(-1)
    # Of a pair in one bin neither is ahead: it counts half, as a tie does.
    behind = others.sum(-1, keepdim=True) - above + others / 2
    auroc = (members * behind).sum(-1) / (members.sum(-1) * others.sum(-1))
    precision = found / (found + above).clamp(min=1)
    return auroc, (members * precision).sum(-1) / members.sum(-1)


def _border_points(labels: Tensor, num_classes: int) -> list[NDArray[np.int64]]:
    """Return the border pixels (P, 2) of labels (N, H, W), image by image and in it class by class."""
    classes = torch.arange(1, num_classes, device=labels.device)[:, None, None]
    padded = torch.nn.functional.pad(labels, (1, 1, 1, 1))[:, None] == classes
    inner = padded[..., 1:-1, 1:-1]
    rows, columns = padded[..., 1:-1], padded[..., 1:-1, :]
    enclosed = rows[..., :-2, :] & rows[..., 2:, :] & columns[..., :-2] & columns[..., 2:]
    border = inner & ~enclosed
    points = border.nonzero()[:, 2:].cpu().numpy()
    return np.split(points, border.sum((2, 3)).flatten().cumsum(0)[:-1].cpu().numpy())


def _hausdorff95(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    there, back = KDTree(b).query(a)[0], KDTree(a).query(b)[0]
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))
