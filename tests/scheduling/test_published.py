"""Rules and TIS on the thesis's published curves: the numbers of shared/published/README.md must come out."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from raytransfer.metrics import transferability_indicator_score
from raytransfer.scheduling import BestOfAll, FirstPeak, FixedBudget, replay

MODELS = {
    "basic U-Net": ("u-net_encoder", "4"),
    "ResNet50 Attention U-Net": ("resnet50", "4"),
    "Swin U-Net": ("swin_transformer", "3"),
}
DATASETS = {"ACDC": "ACDC", "COVIDQUDataset": "COVID-QU"}  # the two tables' names
SCHEMES = {"simple": "simple_training", "advanced": "advanced_training"}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def curves(shared: Path) -> list[list[tuple[int, float, float]]]:
    """24 configurations of (epoch, score, mean Dice)."""
    dice = defaultdict(list)
    for row in _rows(shared / "published/downstream_scores.csv"):
        scheme, epoch = row["pretraining scheme"], int(row["pretraining length"])
        key = (row["model"], row["dataset"], scheme, row["freeze encoder"], epoch)
        dice[key].append(float(row["dice index"] or row["mean dice index"]))
    scores = {}
    for row in _rows(shared / "published/robustness_scores.csv"):
        if row["metric"] == "cosine_distance" and float(row["margin"]) == 0.5:
            names = ("dataset", "encoder", "pretraining_scheme", "level", "pooled")
            epoch = int(row["pretraining_length"])
            scores[(*(row[name] for name in names), epoch)] = 1 - float(row["robustness"])
    found = []
    for model, (encoder, level) in MODELS.items():
        for dataset, scored_dataset in DATASETS.items():
            for scheme, scored_scheme in SCHEMES.items():
                for frozen in ("False", "True"):
                    curve = []
                    for epoch in (0, 1, 5, 20, 50, 100, 150, 200, 250, 300):
                        values = dice[model, dataset, "simple" if epoch == 0 else scheme, frozen, epoch]
                        score = scores[scored_dataset, encoder, scored_scheme, level, frozen, epoch]
                        curve.append((epoch, score, sum(values) / len(values)))
                    found.append(curve)
    return found


@pytest.mark.parametrize(
    ("rule", "mean", "worst", "epochs"),
    [
        (lambda: FixedBudget(1), 0.9463, 0.8082, 1),
        (lambda: FixedBudget(20), 0.9778, 0.8350, 20),
        (lambda: FixedBudget(300), 0.9944, 0.9742, 300),
        (FirstPeak, 0.9622, 0.8208, 22.3),
        (lambda: FirstPeak(patience=2), 0.9654, 0.8208, 115.0),
        (BestOfAll, 0.9941, 0.9756, 300),
        (lambda: BestOfAll(grace_period=0), 0.9901, 0.9019, 300),
    ],
)
def test_published_numbers_come_out(curves: list, rule, mean: float, worst: float, epochs: float) -> None:
    tis, paid = [], []
    for curve in curves:
        seen = replay(rule(), [(epoch, score) for epoch, score, _ in curve])
        chosen = [float(epoch == seen.selected_epoch) for epoch, _, _ in curve]
        tis.append(transferability_indicator_score(chosen, [dice for _, _, dice in curve]))
        paid.append(seen.stopped_epoch)
    assert len(curves) == 24
    assert sum(tis) / 24 == pytest.approx(mean, abs=5e-5)
    assert min(tis) == pytest.approx(worst, abs=5e-5)
    assert sum(paid) / 24 == pytest.approx(epochs, abs=0.05)
