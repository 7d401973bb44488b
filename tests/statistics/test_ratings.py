"""Ratings of rules: by hand on a small study, and the thesis's published numbers."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raytransfer.errors import InputError
from raytransfer.ray_tune.named_schedulers import judge_factory
from raytransfer.report.figures import draw_frontier
from raytransfer.report.tables import rating_table, write_ratings
from raytransfer.results.curves import curves
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.ratings import (
    Rating,
    Recordings,
    fixed_budgets,
    gain_over,
    rate,
    recordings,
)
from raytransfer.statistics.signals import Signal
from raytransfer.thesis.published import read_published

SIGNAL = Signal(pooled=())
CHOICE = SIGNAL.choice("any", "fine_tuning")
NAN = math.nan


def curve(encoder: str, protocol: str, scores: tuple, dice: tuple, *, error: float = 0.1) -> Curve:
    return Curve(
        model=f"{encoder}-model",
        encoder=encoder,
        dataset="d",
        scheme="simple",
        protocol=protocol,
        metric="Dice",
        epochs=(0, 1, 5, 20),
        performances=tuple((value,) for value in dice),
        scores={CHOICE: scores},
        standard_errors={CHOICE: (error,) * 4},
        source_accuracy=(NAN,) * 4,
    )


CURVES = [
    curve("a", "fine_tuning", (9, 1, 3, 2), (0.5, 0.6, 0.8, 0.7)),  # first peak: stops at 20, takes 5
    curve("a", "frozen", (9, 2, 1, 3), (0.1, 0.3, 0.2, 0.4)),  # stops at 5, takes 1
    curve("b", "fine_tuning", (9, 4, 3, 2), (0.5, 0.5, 0.5, 0.25)),  # stops at 5, takes 1
]
SECONDS = {
    ("a", "simple"): dict.fromkeys(range(1, 21), 360.0),
    ("b", "simple"): dict.fromkeys(range(1, 21), 720.0),
}


def of(rule: str, recorded: Recordings, workers: int = 2) -> Rating:
    return rate(rule, judge_factory(rule), recorded, workers=workers)


def test_a_rating_is_what_a_person_computes_by_hand() -> None:
    recorded = recordings(CURVES, SIGNAL, SECONDS)
    assert [(p.name, list(p.curves)) for p in recorded.pretrainings] == [
        ("a simple", ["d fine_tuning", "d frozen"]),
        ("b simple", ["d fine_tuning"]),
    ]
    rating = of("first-peak", recorded)
    assert rating.tis == pytest.approx((1, 0.75, 1))
    assert rating.epochs == (20, 5, 5)
    assert rating.shared_epochs == (20, 5), "a pretraining pays until its last target stops"
    assert rating.shared_tis == rating.tis
    assert (rating.mean_tis, rating.mean_epochs) == pytest.approx((2.75 / 3, 10))
    assert rating.standard_error == pytest.approx(np.std([1, 0.75, 1], ddof=1) / math.sqrt(3))
    # a: 20 epochs of 0.1 h, b: 5 of 0.2 h
    assert recorded.unit == "hour"
    assert (rating.worker_time, rating.makespan) == pytest.approx((3.0, 2.0))
    assert of("first-peak", recorded, workers=1).makespan == pytest.approx(3.0)


def test_the_line_to_beat_is_straight_between_budgets() -> None:
    recorded = recordings(CURVES, SIGNAL)
    line = fixed_budgets(recorded)
    assert [rating.rule for rating in line] == [f"fixed-budget(epochs={n})" for n in (1, 5, 20)]
    assert [rating.mean_epochs for rating in line] == [1, 5, 20]
    at_5, at_20 = (1 + 0.5 + 1) / 3, (0.875 + 1 + 0.5) / 3
    assert [rating.mean_tis for rating in line] == pytest.approx([(0.75 + 0.75 + 1) / 3, at_5, at_20])
    expected = at_5 + (at_20 - at_5) * (10 - 5) / (20 - 5)
    assert gain_over(line, of("first-peak", recorded)) == pytest.approx(2.75 / 3 - expected)
    assert math.isnan(gain_over(line[1:], line[0])), "before the first budget there is no line"


def test_without_every_epochs_time_each_epoch_is_one_unit() -> None:
    partly = {**SECONDS, ("b", "simple"): {1: 720.0, 20: 720.0}}
    for seconds in (None, {}, partly):
        recorded = recordings(CURVES, SIGNAL, seconds)
        assert recorded.unit == "epoch"
        assert recorded.pretrainings[0].durations == (0, 1, 4, 15)
    assert of("best-of-all", recorded).worker_time == 40


def test_scores_that_are_not_there_are_named() -> None:
    with pytest.raises(
        InputError, match=r"no scores cosine\(margin=0.3.*\) of a simple on d; recorded: .*margin 0.5"
    ):
        recordings(CURVES, SIGNAL.varied(margin=0.3))


def test_standard_errors_reach_the_rule_that_needs_them() -> None:
    # noise of a difference: 0.1 sqrt(2); the falls are 3 - 2, 2 - 1, 4 - 3 and then 4 - 2
    recorded = recordings(CURVES, SIGNAL)
    assert of("significant-fall(z=7)", recorded).epochs == (20, 5, 5)
    assert of("significant-fall(z=8)", recorded).epochs == (20, 20, 20)


def test_a_rule_that_selects_nothing_somewhere_has_no_mean() -> None:
    recorded = recordings(CURVES, SIGNAL)
    line, rating = fixed_budgets(recorded), of("best-of-all(grace_period=21)", recorded)
    assert rating.epochs == (20, 20, 20)
    assert math.isnan(rating.mean_tis)
    assert math.isnan(rating.worst_tis)
    assert rating_table([rating], line, "epoch").splitlines()[-1].split()[1:4] == ["-", "-", "-"]


def test_tables_and_figure(tmp_path: Path) -> None:
    recorded = recordings(CURVES, SIGNAL)
    line, ratings = fixed_budgets(recorded), [of("first-peak", recorded), of("asha", recorded)]
    text = rating_table([*line, *ratings], line, recorded.unit)
    assert "worker-epochs" in text
    assert "0.9167" in text
    write_ratings(tmp_path / "replay.csv", [*line, *ratings], line, recorded.unit)
    with (tmp_path / "replay.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rule"] for row in rows][-2:] == ["first-peak", "asha"]
    assert float(rows[-2]["mean_tis"]) == ratings[0].mean_tis
    draw_frontier(tmp_path / "frontier.png", ratings, line)
    draw_frontier(tmp_path / "frontier.svg", ratings, line)
    assert np.asarray(Image.open(tmp_path / "frontier.png")).std() > 10
    assert "<svg" in (tmp_path / "frontier.svg").read_text()


@pytest.fixture(scope="module")
def published(shared: Path) -> Recordings:
    found = curves(
        *read_published(
            shared / "published/robustness_scores.csv", shared / "published/downstream_scores.csv"
        )
    )
    return recordings(found, Signal())


@pytest.mark.parametrize(
    ("rule", "mean", "worst", "epochs"),
    [
        ("fixed-budget(epochs=1)", 0.9463, 0.8082, 1),
        ("fixed-budget(epochs=5)", 0.9690, 0.8671, 5),
        ("fixed-budget(epochs=20)", 0.9778, 0.8350, 20),
        ("fixed-budget(epochs=50)", 0.9861, 0.9240, 50),
        ("fixed-budget(epochs=100)", 0.9900, 0.9478, 100),
        ("fixed-budget(epochs=200)", 0.9935, 0.9756, 200),
        ("fixed-budget(epochs=300)", 0.9944, 0.9742, 300),
        ("first-peak", 0.9622, 0.8208, 22.3),
        ("first-peak(patience=2)", 0.9654, 0.8208, 115.0),
        ("best-of-all", 0.9941, 0.9756, 300),
        ("best-of-all(grace_period=0)", 0.9901, 0.9019, 300),
    ],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_the_published_numbers_come_out(
    published: Recordings, rule: str, mean: float, worst: float, epochs: float, workers: int
) -> None:
    rating = of(rule, published, workers)
    assert len(rating.tis) == 24
    assert rating.mean_tis == pytest.approx(mean, abs=5e-5)
    assert rating.worst_tis == pytest.approx(worst, abs=5e-5)
    assert rating.mean_epochs == pytest.approx(epochs, abs=0.05)
    assert rating.shared_tis == rating.tis
    assert all(epochs <= shared for epochs, shared in _with_their_pretraining(published, rating))


def _with_their_pretraining(recorded: Recordings, rating: Rating) -> list[tuple[int, int]]:
    shared = dict(zip((p.name for p in recorded.pretrainings), rating.shared_epochs, strict=True))
    names = (f"{c.encoder} {c.scheme}" for c in recorded.curves)
    return [(epochs, shared[name]) for epochs, name in zip(rating.epochs, names, strict=True)]


def test_a_rule_that_needs_standard_errors_says_that_none_were_published(published: Recordings) -> None:
    with pytest.raises(InputError, match=r"significant-fall.*needs the standard error"):
        of("significant-fall", published)
