import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_hausdorff_distance
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    jaccard_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)
from torch import Tensor
from torch.nn.functional import one_hot

from raytransfer.metrics.segmentation import METRICS, SegmentationMetrics


def _computed(probabilities: Tensor, masks: Tensor, *, batch: int = 8) -> dict[str, float]:
    metrics = SegmentationMetrics(probabilities.shape[1])
    for start in range(0, len(masks), batch):
        metrics.update(probabilities[start : start + batch], masks[start : start + batch])
    return metrics.compute()


def _certain(labels: Tensor, num_classes: int) -> Tensor:
    return one_hot(labels, num_classes).movedim(-1, 1).float()


def _discs(images: int, seed: int, size: int = 48) -> Tensor:
    """Labels (N, S, S): in a disc of class 1, a smaller one of class 2, at random places."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((images, size, size), np.int64)
    for mask in masks:
        for label, radius in ((1, 14), (2, 6)):
            y, x = size / 2 + rng.normal(scale=4, size=2)
            mask[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = label
    return torch.from_numpy(masks)


def _network_like(masks: Tensor, scale: float, seed: int = 1) -> Tensor:
    """Softmax of noisy logits for shifted discs; the scale is the network's certainty."""
    guess = _certain(_discs(len(masks), seed, masks.shape[-1]), 3)
    noise = torch.randn(guess.shape, generator=torch.Generator().manual_seed(seed))
    return (scale * (3 * guess + 1.5 * noise + torch.tensor([2.0, 0, 0])[:, None, None])).softmax(1)


def _scikit_learns(probabilities: Tensor, masks: Tensor) -> dict[str, float]:
    truth, predicted = masks.numpy().ravel(), probabilities.argmax(1).numpy().ravel()
    values = {name: [] for name in METRICS if name not in ("accuracy", "hd95")}
    for label in range(1, probabilities.shape[1]):
        y, guess, score = truth == label, predicted == label, probabilities[:, label].numpy().ravel()
        values["dice"].append(f1_score(y, guess))
        values["jaccard"].append(jaccard_score(y, guess))
        values["mcc"].append(matthews_corrcoef(y, guess))
        values["balanced_accuracy"].append(balanced_accuracy_score(y, guess))
        values["sensitivity"].append(recall_score(y, guess))
        values["specificity"].append(recall_score(y, guess, pos_label=False))
        values["precision"].append(precision_score(y, guess, zero_division=0))
        values["auroc"].append(roc_auc_score(y, score))
        values["average_precision"].append(average_precision_score(y, score))
    means = {name: float(np.mean(value)) for name, value in values.items()}
    return {**means, "accuracy": accuracy_score(truth, predicted)}


@pytest.mark.parametrize(
    ("scale", "auroc", "average_precision"),
    [
        (0.01, 1e-5, 1e-3),  # all probabilities within 0.04, a nearly constant output
        (1, 1e-6, 2e-5),
        (10, 2e-4, 2e-4),  # certain: most probabilities are 0 or 1
    ],
)
def test_metrics_are_scikit_learns_over_the_whole_dataset(
    scale: float, auroc: float, average_precision: float
) -> None:
    masks = _discs(12, seed=0)
    probabilities = _network_like(masks, scale)
    ours, theirs = _computed(probabilities, masks), _scikit_learns(probabilities, masks)
    assert tuple(ours) == METRICS
    tolerance = {"auroc": auroc, "average_precision": average_precision}
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=tolerance.get(name, 1e-12)), name


def test_areas_are_scikit_learns_for_a_rare_class_with_ties() -> None:
    """A class of one pixel in 500, most background pixels exactly 0, probabilities rounded to hundredths."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(size=(4, 64, 64)) < 0.002
    score = np.where(truth, rng.beta(1, 2, truth.shape), np.maximum(rng.beta(0.3, 9, truth.shape) - 0.05, 0))
    score = score.round(2).astype(np.float32)
    probabilities = torch.from_numpy(np.stack([1 - score, score], 1))
    ours = _computed(probabilities, torch.from_numpy(truth.astype(np.int64)))
    assert ours["auroc"] == pytest.approx(roc_auc_score(truth.ravel(), score.ravel()), abs=1e-12)
    expected = average_precision_score(truth.ravel(), score.ravel())
    assert ours["average_precision"] == pytest.approx(expected, abs=1e-12)


def test_average_precision_of_pixels_that_never_vary_is_the_share_of_the_class() -> None:
    masks = torch.arange(16).reshape(1, 4, 4) % 4 == 0
    ours = _computed(torch.full((1, 2, 4, 4), 0.5), masks.long())
    assert ours["auroc"] == 0.5
    assert ours["average_precision"] == 0.25


@pytest.mark.parametrize("scale", [0.5, 10])
def test_hd95_is_monais(scale: float) -> None:
    """Noise in the predictions, borders at the image's edge, classes missing on both sides or on one."""
    masks = _discs(6, seed=3)
    masks[0] = masks[0].roll(20, 0)
    masks[1][masks[1] == 2] = 0
    probabilities = _network_like(masks, scale)
    probabilities[2] = _certain(torch.zeros_like(masks[2:3]), 3)[0]
    masks[2] = 0
    truth, predicted = _certain(masks, 3), _certain(probabilities.argmax(1), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI's own deprecations, and that a class is missing
        distances = compute_hausdorff_distance(predicted, truth, percentile=95)
    in_truth, in_predicted = truth[:, 1:].sum((2, 3)) > 0, predicted[:, 1:].sum((2, 3)) > 0
    assert (in_truth != in_predicted).any(), "one side is empty"
    assert not (in_truth | in_predicted).all(), "both sides are empty"
    distances[in_truth != in_predicted] = 48 * 2**0.5
    distances[~(in_truth | in_predicted)] = math.nan
    expected = float(distances.double().nanmean(0).mean())
    assert _computed(probabilities, masks)["hd95"] == pytest.approx(expected, rel=1e-6)


def test_hd95_of_shifted_squares_is_the_shift_and_of_nothing_the_diagonal() -> None:
    masks = torch.zeros(2, 30, 40, dtype=torch.int64)
    masks[:, 5:15, 5:15] = 1
    assert _computed(_certain(masks.roll(3, 2), 2), masks)["hd95"] == 3
    missed = masks.clone()
    missed[1] = 0
    assert _computed(_certain(missed, 2), masks)["hd95"] == 25, "mean of 0 and the diagonal of 50 pixels"
    assert _computed(_certain(masks, 2), missed)["hd95"] == 25, "a false alarm costs the same"
    missed[0] = 0
    assert _computed(_certain(missed, 2), masks)["hd95"] == 50


@pytest.mark.parametrize("batch", [1, 5])
def test_batches_do_not_matter(batch: int) -> None:
    masks = _discs(8, seed=5)
    probabilities = _network_like(masks, 1)
    assert _computed(probabilities, masks, batch=batch) == _computed(probabilities, masks, batch=8)


def test_number_types_do_not_matter() -> None:
    masks = _discs(2, seed=5)
    probabilities = _network_like(masks, 1).bfloat16().requires_grad_()
    expected = _computed(probabilities.float(), masks)
    assert _computed(probabilities, masks.to(torch.uint8)) == expected
    with torch.inference_mode():
        inside = probabilities.double()
    assert _computed(inside, masks.int()) == expected


def test_perfect_prediction() -> None:
    masks = _discs(2, seed=0)
    assert _computed(_certain(masks, 3), masks) == {**dict.fromkeys(METRICS, 1.0), "hd95": 0.0}


def test_all_wrong_prediction() -> None:
    masks = (_discs(2, seed=0) > 0).long()
    values = _computed(_certain(1 - masks, 2), masks)
    assert values.pop("hd95") > 0
    assert values.pop("mcc") == -1
    assert values.pop("average_precision") == pytest.approx(float(masks.double().mean())), "of any order"
    assert set(values.values()) == {0.0}


def test_an_absent_class_is_left_out_and_nothing_at_all_is_nan() -> None:
    truth = torch.tensor([[[0, 1], [1, 0]]])
    assert _computed(_certain(truth, 3), truth) == {**dict.fromkeys(METRICS, 1.0), "hd95": 0.0}
    empty = _computed(_certain(truth * 0, 3), truth * 0)
    assert empty.pop("accuracy") == 1
    assert empty.pop("specificity") == 1, "no image has the classes and no pixel was given one"
    assert all(math.isnan(value) for value in empty.values())
    assert all(math.isnan(value) for value in SegmentationMetrics(3).compute().values())


def test_a_class_not_found_or_invented_counts_as_nothing() -> None:
    truth = torch.tensor([[[0, 1], [1, 0]]])
    wrong = _computed(_certain(torch.full_like(truth, 2), 3), truth)
    diagonal = pytest.approx(8**0.5)
    assert wrong == {
        "dice": 0, "jaccard": 0, "mcc": 0, "sensitivity": 0, "precision": 0, "accuracy": 0, "hd95": diagonal,
        "specificity": 0.5, "balanced_accuracy": 0.5, "auroc": 0.5, "average_precision": 0.5,
    }  # fmt: skip


def test_a_class_that_is_everywhere() -> None:
    truth = torch.ones(1, 4, 4, dtype=torch.int64)
    values = _computed(_certain(truth, 2), truth)
    undefined = {name for name, value in values.items() if math.isnan(value)}
    assert undefined == {"mcc", "specificity", "balanced_accuracy", "auroc"}
    assert {values[name] for name in METRICS if name not in undefined} == {0.0, 1.0}
    missed = _computed(_certain(0 * truth, 2), truth)
    assert missed["mcc"] == missed["precision"] == missed["dice"] == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), num_classes=st.integers(2, 4), images=st.integers(1, 3),
    height=st.integers(1, 9), width=st.integers(1, 9), scale=st.sampled_from([0.0, 1e-3, 1.0, 30.0, 1e4]),
)  # fmt: skip
def test_every_metric_is_in_its_range(
    seed: int, num_classes: int, images: int, height: int, width: int, scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, num_classes, height, width, generator=generator)
    masks = torch.randint(0, num_classes, (images, height, width), generator=generator)
    values = _computed((scale * logits).softmax(1), masks, batch=2)
    slack = 1e-12
    for name, value in values.items():
        low, high = {"mcc": (-1, 1), "hd95": (0, math.hypot(height, width))}.get(name, (0, 1))
        assert math.isnan(value) or low - slack <= value <= high + slack, name
    assert math.isnan(values["dice"]) or values["jaccard"] <= values["dice"]


GOOD = torch.full((2, 3, 4, 4), 1 / 3)
LABELS = torch.ones(2, 4, 4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("probabilities", "masks", "message"),
    [
        (GOOD.index_fill(3, torch.tensor([1]), math.nan), LABELS, r"probabilities .* NaN"),
        (GOOD * 9, LABELS, r"probabilities must be in \[0, 1\], got values from 3"),
        (GOOD - 1, LABELS, r"probabilities must be in \[0, 1\], got values from -0\.6"),
        (GOOD[:, :2], LABELS, r"probabilities must have shape \(N, 3, H, W\), got \(2, 2, 4, 4\)"),
        (GOOD.argmax(1), LABELS, "probabilities must have shape"),
        (GOOD[:0], LABELS[:0], "probabilities must have shape"),
        (GOOD.long(), LABELS, "probabilities must be floating point"),
        (GOOD, LABELS[:, None], r"masks must have shape \(2, 4, 4\), got \(2, 1, 4, 4\)"),
        (GOOD, LABELS.float(), "masks must be integers"),
        (GOOD, LABELS * 255, "masks must be labels 0 to 2, got 255 to 255"),
        (GOOD, -LABELS, "masks must be labels 0 to 2, got -1 to -1"),
    ],
)
def test_a_bad_batch_is_refused_and_not_counted(probabilities: Tensor, masks: Tensor, message: str) -> None:
    metrics = SegmentationMetrics(3)
    with pytest.raises(ValueError, match=message):
        metrics.update(probabilities, masks)
    assert all(math.isnan(value) for value in metrics.compute().values())


def test_the_background_alone_is_no_task() -> None:
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        SegmentationMetrics(1)
