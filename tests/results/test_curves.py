import math
import time
from pathlib import Path

import pyarrow as pa
import pytest

from raytransfer.metrics.segmentation import METRICS
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.results.curves import curves, incomplete, recorded
from raytransfer.results.evaluations import evaluation_row
from raytransfer.results.ledger import Ledger
from raytransfer.results.provenance import result_row
from raytransfer.results.units import (
    configurations,
    evaluation_units,
    pretraining_units,
    scoring_units,
)
from raytransfer.study import Study
from raytransfer.thesis.published import read_published
from raytransfer.transferability.indicators.base import ScoreSpec

COSINE = ScoreSpec("robustness", -2, True, (("distance", "cosine"), ("margin", 0.5)))
PEARSON = ScoreSpec("robustness", -1, False, (("distance", "pearson"), ("margin", 0.25)))
KNN = ScoreSpec("knn", -1, None, (("k", 5),))


def score_table(rows: list[tuple]) -> pa.Table:
    names = ("dataset", "encoder", "scheme", "epoch", "indicator", "level", "pooled", "options", "value",
             "standard_error")  # fmt: skip
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])


def trial_table(rows: list[tuple]) -> pa.Table:
    names = ("model", "dataset", "encoder", "scheme", "protocol", "epoch", "seed")
    names = (*names, "performance", "source_accuracy")
    return pa.Table.from_pylist([{**dict(zip(names, row, strict=True)), "metric": "Dice"} for row in rows])


SCORES = score_table(
    [
        # rows in any order, options too
        *(("a", "unet", scheme, epoch, "robustness", -2, True, "margin=0.5, distance=cosine", score, 0.01)
          for scheme, of in (("simple", (0.3, 0.9, 0.8)), ("advanced", (0.3, 0.6, 0.7)))
          for epoch, score in zip((5, 0, 1), of, strict=True)),
        *(("a", "unet", "simple", epoch, "robustness", -1, False, "distance=pearson, margin=0.25", 0.5, None)
          for epoch in (0, 1, 5)),
        # a choice that lacks a checkpoint is no part of a curve
        ("a", "unet", "simple", 0, "robustness", -5, True, "distance=l2, margin=0", 0.1, 0.1),
        *(("a", "swin", "simple", epoch, "robustness", -2, True, "distance=cosine, margin=0.5", 0.5, 0.01)
          for epoch in (0, 1)),
        # another indicator, with no choice of pooling
        *(("a", "swin", "simple", epoch, "knn", -1, None, "k=5", 0.25, None) for epoch in (0, 1)),
    ]
)  # fmt: skip
TRIALS = trial_table(
    [
        *(
            ("unet", "a", "unet", "simple", "fine_tuning", 0, seed, 0.2 + seed / 10, None)
            for seed in (2, 1, 0)
        ),
        *(
            ("unet", "a", "unet", "simple", "fine_tuning", 1, seed, 0.4 + seed / 10, 0.25)
            for seed in (0, 1, 2, 2)
        ),
        *(("unet", "a", "unet", "simple", "fine_tuning", 5, seed, 0.8, 0.5) for seed in (0, 1)),
        *(("unet", "a", "unet", "advanced", "fine_tuning", epoch, 0, 0.6, 0.75) for epoch in (1, 5)),
        *(("swin-unet", "a", "swin", "simple", "fine_tuning", epoch, 0, 0.6, 0.75) for epoch in (0, 1)),
    ]
)


def test_a_curve_is_what_a_person_reads_from_the_tables() -> None:
    simple, advanced, swin = curves(SCORES, TRIALS)
    assert (simple.model, simple.encoder, simple.dataset) == ("unet", "unet", "a")
    assert (simple.scheme, simple.protocol, simple.epochs) == ("simple", "fine_tuning", (0, 1, 5))
    assert simple.scores == {COSINE: (0.9, 0.8, 0.3), PEARSON: (0.5, 0.5, 0.5)}
    assert simple.points(COSINE) == [(0, 0.9), (1, 0.8), (5, 0.3)]
    assert simple.standard_errors[COSINE] == (0.01, 0.01, 0.01)
    assert all(map(math.isnan, simple.standard_errors[PEARSON]))
    assert [len(seeds) for seeds in simple.performances] == [3, 3, 2], "a repeated seed counts once"
    assert simple.performance == pytest.approx((0.3, 0.5, 0.8))
    assert simple.spread == pytest.approx((0.1, 0.1, 0))
    assert math.isnan(simple.source_accuracy[0])
    assert simple.source_accuracy[1:] == (0.25, 0.5)
    assert [simple.tis(epoch) for epoch in (0, 1, 5)] == pytest.approx([0.375, 0.625, 1])
    assert math.isnan(simple.tis(None))
    assert math.isnan(simple.tis(2))
    assert simple.seed_tis(1) == pytest.approx((0.4 / 0.8, 0.5 / 0.8)), "of the seeds that all have"
    assert advanced.epochs == (0, 1, 5)
    assert advanced.performances[0] == simple.performances[0], "epoch 0 serves both schemes"
    assert advanced.scores == {COSINE: (0.6, 0.7, 0.3)}
    assert swin.scores == {COSINE: (0.5, 0.5), KNN: (0.25, 0.25)}


def test_what_is_incomplete_is_left_out_and_named() -> None:
    missing = trial_table(
        [
            ("unet", "a", "unet", "simple", "fine_tuning", 0, seed, dice, 0.1)
            for seed, dice in ((0, 0.5), (1, None))
        ]
        + [("unet", "a", "unet", "simple", "fine_tuning", 1, 0, 0.5, 0.1)]
        + [("swin-unet", "a", "swin", "simple", "fine_tuning", epoch, 0, 0.5, 0.1) for epoch in (0, 1, 20)]
    )
    assert curves(SCORES, missing) == []
    assert incomplete(SCORES, missing) == [
        "unet a simple fine_tuning: trainings are missing of epoch 0",
        "swin-unet a simple fine_tuning: scores are missing of epoch 20",
    ]


STUDY = Study(
    models=("unet-micro", "swin-unet-micro"), schemes=("simple", "advanced"), seeds=(0, 1),
    pretraining=PretrainingSettings(series=(0, 1)),
)  # fmt: skip
CHOICES = [("distance=cosine, margin=0.5", True), ("distance=l2, margin=0", False)]


def test_the_ledger_gives_the_same_tables_as_a_hand(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    encoders = {
        (encoder, scheme): dict.fromkeys((0, 1), "a" * 64)
        for encoder in ("unet-micro", "swin-micro")
        for scheme in STUDY.schemes
    }
    scorings, trials = (
        scoring_units(STUDY, encoders),
        evaluation_units(STUDY, configurations(STUDY), encoders),
    )
    score_rows, trial_rows = [], []
    for i, unit in enumerate(scorings):
        scores = [
            {"options": options, "level": -3, "pooled": pooled, "value": i / 10 + j,
             "standard_error": 0.01, "num_images": 9}
            for j, (options, pooled) in enumerate(CHOICES)
        ]  # fmt: skip
        ledger.append("score", result_row(
            key=unit.key, settings={}, seconds=1.0, encoder=unit.encoder, scheme=unit.scheme,
            epoch=unit.epoch, dataset="mni152", encoder_sha256=unit.encoder_sha256,
            indicator="robustness", scores=scores,
        ))  # fmt: skip
        score_rows += [
            (
                "mni152",
                unit.encoder,
                unit.scheme,
                unit.epoch,
                "robustness",
                -3,
                pooled,
                options,
                i / 10 + j,
                0.01,
            )
            for j, (options, pooled) in enumerate(CHOICES)
        ]
    for i, unit in enumerate(trials):
        c = unit.configuration
        accuracy = 0.75 if (unit.encoder, c.scheme, c.epoch) == ("unet-micro", "simple", 1) else None
        there = i != len(trials) - 1
        trial_rows.append((c.model, "mni152", unit.encoder, c.scheme, c.protocol, c.epoch, unit.seed,
                           i / 100 if there else None, accuracy))  # fmt: skip
        if there:
            metrics = dict.fromkeys(METRICS, 0.5) | {"dice": i / 100}
            step = {"epoch": 1, **{f"test/{name}": value for name, value in metrics.items()}}
            ledger.append("evaluation", evaluation_row(unit, [step], seconds=1.0))
    pretraining = pretraining_units(STUDY)[0]
    ledger.append("pretraining", result_row(
        key=pretraining.epoch_key(1), settings={}, seconds=1.0, encoder="unet-micro", scheme="simple",
        epoch=1, pretraining=pretraining.key, source="photographs", encoder_sha256="",
        metrics={"train/loss": 1.0, "val/top1": 0.75, "val/top5": 1.0},
    ))  # fmt: skip
    scores, downstream = recorded(ledger, scorings, trials)
    by_hand = score_table(score_rows), trial_table(trial_rows)
    assert scores.to_pylist() == by_hand[0].to_pylist()
    assert downstream.select(by_hand[1].column_names).to_pylist() == by_hand[1].to_pylist()
    assert downstream["jaccard"].to_pylist() == [0.5] * (len(trials) - 1) + [None]
    found = curves(scores, downstream)
    # NaN is not equal to itself, but it is written the same.
    assert repr(found) == repr(curves(*by_hand))
    assert (len(found), len(incomplete(scores, downstream))) == (7, 1)
    assert {choice.level for curve in found for choice in curve.scores} == {-3}


def test_nothing_recorded_gives_no_curves(tmp_path: Path) -> None:
    encoders = {("unet-micro", "simple"): dict.fromkeys((0, 1), "a" * 64)}
    study = Study(models=("unet-micro",))
    trials = evaluation_units(study, configurations(study), encoders)
    tables = recorded(Ledger(tmp_path), scoring_units(study, encoders), trials)
    assert curves(*tables) == []
    assert (
        incomplete(*tables)[0] == "unet-micro mni152 simple fine_tuning: trainings are missing of epoch 0, 1"
    )


@pytest.mark.alone
def test_published_curves_are_built_in_no_time(shared: Path) -> None:
    folder = shared / "published"
    tables = read_published(folder / "robustness_scores.csv", folder / "downstream_scores.csv")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(curves(*tables)) == 24
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.3
