import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score

from raytransfer.metrics import SegmentationMetrics


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_metrics_are_scikit_learns_over_the_whole_dataset(batch: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (8, 16, 16))
    predicted = np.where(rng.uniform(size=truth.shape) < 0.6, truth, rng.integers(0, 4, truth.shape))
    metrics = SegmentationMetrics(4)
    for start in range(0, 8, batch):
        part = slice(start, start + batch)
        metrics.update(torch.from_numpy(predicted[part]), torch.from_numpy(truth[part]))
    flat = {"y_true": truth.ravel(), "y_pred": predicted.ravel(), "labels": [1, 2, 3], "average": "macro"}
    assert metrics.compute()["dice"] == pytest.approx(f1_score(**flat), abs=1e-12)
    assert metrics.compute()["jaccard"] == pytest.approx(jaccard_score(**flat), abs=1e-12)


def test_an_absent_class_is_left_out_and_nothing_at_all_is_nan() -> None:
    truth = torch.tensor([[[0, 1], [1, 0]]])
    metrics = SegmentationMetrics(3)
    metrics.update(truth, truth)
    assert metrics.compute() == {"dice": 1.0, "jaccard": 1.0}
    empty = SegmentationMetrics(3)
    empty.update(torch.zeros_like(truth), torch.zeros_like(truth))
    assert all(math.isnan(value) for value in empty.compute().values())
    wrong = SegmentationMetrics(3)
    wrong.update(torch.full_like(truth, 2), truth)
    assert wrong.compute() == {"dice": 0.0, "jaccard": 0.0}
