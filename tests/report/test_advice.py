"""The answer and how sure it is: cases known in closed form, and scores that look into the future."""

import math

import numpy as np
import pytest

from raytransfer.report.advice import advise
from raytransfer.report.confidence import interval, relative, resampled_dice
from raytransfer.report.thesis import looks_ahead
from raytransfer.results.curves import Curve
from raytransfer.results.signals import Signal


def small(
    dice: dict[int, tuple], scores: tuple = (9, 1, 3, 2), protocol: str = "fine_tuning", **names: str
) -> Curve:
    choice = Signal().choice("unet-micro", protocol)
    nothing = (math.nan,) * len(dice)
    of = {"model": "unet-micro", "encoder": "unet-micro", "dataset": "d", "scheme": "simple", **names}
    return Curve(
        **of,
        protocol=protocol,
        metric="Dice",
        epochs=tuple(dice),
        performances=tuple(dice.values()),
        scores={choice: scores},
        standard_errors={choice: nothing},
        source_accuracy=nothing,
    )


def test_the_bootstrap_on_cases_known_in_closed_form() -> None:
    # Means of the first: 0.25, 0.5 twice as often, 0.75; the first of equals counts as best.
    (dice,) = resampled_dice([small({1: (0.25, 0.75), 5: (0.5, 0.5)}, (1, 2))])
    assert set(np.unique(dice[:, 0])) == {0.25, 0.5, 0.75}
    assert np.mean(dice[:, 0] == 0.5) == pytest.approx(0.5, abs=0.03)
    assert interval(relative(dice)[:, 0]) == (0.5, 1)
    assert interval(relative(dice)[:, 1]) == (pytest.approx(2 / 3), 1)
    answers = advise([small({1: (0.25, 0.75), 5: (0.5, 0.5)}, (1, 2))], Signal())
    assert answers.advice[0].best_share == pytest.approx(0.75, abs=0.03)
    # Many seeds: the spread of the mean is that of the values / sqrt(n).
    values = tuple(np.random.default_rng(1).normal(0.8, 0.02, 50).tolist())
    (many,) = resampled_dice([small({1: values}, (1,))], resamples=20000)
    assert many.std() == pytest.approx(np.std(values) / math.sqrt(50), rel=0.03)


def test_the_same_curves_give_the_same_draws_and_epoch_0_is_drawn_once() -> None:
    dice = {0: (0.5, 0.7), 1: (0.7, 0.8), 5: (0.8, 0.9), 20: (0.7, 0.8)}
    pair = [small(dice), small({**dice, 5: (0.6, 0.9)}, scheme="advanced")]
    first, again = resampled_dice(pair), resampled_dice(pair)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first[0][:, 0], first[1][:, 0])
    assert (first[0][:, 1] != first[1][:, 1]).any() or dice[1] == pair[1].performances[1]
    (advice,) = advise(pair, Signal()).advice
    assert advice.take == "epoch 5 (simple)"
    assert [other.curve.scheme for other in advice.others] == ["advanced"]


def test_one_seed_claims_no_certainty() -> None:
    answers = advise([small({0: (0.5,), 1: (0.7,), 5: (0.8,), 20: (0.75,)})], Signal())
    assert "how sure that is one seed cannot say" in answers.advice[0].why
    assert "With one seed nothing can be said" in answers.headline
    assert answers.advice[0].indicator.startswith("Robustness takes the same one (epoch 5)")


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ((1, 2, 3, 4), []),
        ((4, 2, 3, 4), ["d: the scores of epochs 0 and 20 are exactly equal in all 1 series"]),
        ((1, 2, 2, 4), ["d: the scores of epochs 1 and 5 are exactly equal in all 1 series"]),
    ],
)
def test_scores_that_look_into_the_future_are_found(scores: tuple, says: list) -> None:
    dice = dict.fromkeys((0, 1, 5, 20), (0.5,))
    found = looks_ahead([small(dice, scores), small(dice, scores)])
    assert [line.partition(".")[0].partition(":")[0] for line in found] == ["d"] * len(says)
    for line, start in zip(found, says, strict=True):
        assert line.startswith(start)
