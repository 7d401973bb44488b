"""The answer and how sure it is: cases known in closed form, and scores that look into the future."""

import math
from dataclasses import replace

import numpy as np
import pytest

from raytransfer.report.answer import advice, headline
from raytransfer.statistics.answer import recommend
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.resampling import interval, relative, resampled_dice
from raytransfer.statistics.signals import Signal
from raytransfer.thesis.printed import looks_ahead


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
    answer = recommend([small({1: (0.25, 0.75), 5: (0.5, 0.5)}, (1, 2))], Signal())
    assert answer.recommendations[0].best_share == pytest.approx(0.75, abs=0.03)
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
    (recommendation,) = recommend(pair, Signal()).recommendations
    assert (recommendation.summary.best, recommendation.summary.curve.scheme) == (5, "simple")
    assert [other.curve.scheme for other in recommendation.others] == ["advanced"]
    assert advice(recommendation).take == "epoch 5 (simple)"


def test_one_seed_claims_no_certainty() -> None:
    answer = recommend([small({0: (0.5,), 1: (0.7,), 5: (0.8,), 20: (0.75,)})], Signal())
    in_words = advice(answer.recommendations[0])
    assert "how sure that is one seed cannot say" in in_words.why
    assert "With one seed nothing can be said" in headline(answer)
    assert in_words.indicator.startswith("Robustness takes the same one (epoch 5)")


def test_summaries_keep_the_order_they_are_asked_for_and_curves_without_scores_are_left_out() -> None:
    dice = {0: (0.5, 0.7), 1: (0.7, 0.8), 5: (0.8, 0.9), 20: (0.7, 0.8)}
    frozen, full = small(dice, protocol="frozen"), small(dice)
    unscored = replace(small(dice, dataset="e"), scores={}, standard_errors={})
    answer = recommend([frozen, unscored, full], Signal())
    assert [summary.curve.protocol for summary in answer.summaries] == ["fine_tuning", "frozen"]
    assert [summary.curve for summary in answer.of([frozen, unscored, full])] == [frozen, full]
    assert recommend([unscored], Signal()).summaries == ()


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
