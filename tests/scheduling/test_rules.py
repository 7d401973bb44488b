"""Tables: history in, epoch of STOP and selection out."""

import math

import pytest

from raytransfer.errors import InputError
from raytransfer.scheduling.plateau import Plateau
from raytransfer.scheduling.replay import Replay, replay
from raytransfer.scheduling.rules import (
    BestOfAll,
    Decision,
    FirstPeak,
    FixedBudget,
    SignificantFall,
)

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("rule", "history", "stopped", "selected"),
    [
        # the thesis's online rule: first fall after epoch 0
        (FirstPeak(), [(0, 9), (1, 1), (2, 2), (5, 3), (10, 2), (20, 4)], 10, 5),
        (FirstPeak(), [(0, 1), (1, 2), (2, 3)], None, 2),
        (FirstPeak(), [(0, 9)], None, None),
        (FirstPeak(grace_period=0), [(0, 9), (1, 1)], 1, 0),
        (FirstPeak(), [(1, 2), (2, 2)], 2, 1),  # a tie is no rise, and the cheaper epoch is kept
        (FirstPeak(patience=2), [(1, 3), (2, 2), (5, 4), (10, 3), (20, 3)], 20, 5),
        (FirstPeak(patience=2), [(1, 3), (2, 2), (5, 2)], 5, 1),
        (FirstPeak(min_delta=0.5), [(1, 1), (2, 1.4), (5, 9)], 2, 1),
        (FirstPeak(), [(1, 1), (2, NAN), (5, 2), (10, INF), (20, 1)], 20, 5),  # no news
        (FirstPeak(), [(1, NAN), (2, NAN)], None, None),
        (FirstPeak(), [(1, 1), (5, 2), (2, 0), (5, 0), (10, 3)], None, 10),  # out of order, repeated
        (FirstPeak(grace_period=5), [(1, 9), (2, 1), (5, 2), (10, 1)], 10, 5),
        (BestOfAll(), [(0, 9), (1, 1), (2, 5), (5, 3)], None, 2),
        (BestOfAll(grace_period=0), [(0, 9), (1, 1)], None, 0),
        (BestOfAll(), [(1, 2), (2, 2)], None, 1),
        (BestOfAll(), [(1, NAN), (2, 1), (5, NAN)], None, 2),
        (FixedBudget(5), [(0, 1), (1, NAN), (5, 0), (10, 9)], 5, 5),
        (FixedBudget(3), [(0, 1), (1, 2), (5, 3)], 5, 1),  # the budget falls between two checkpoints
        (FixedBudget(0), [(0, NAN)], 0, 0),
    ],
)
def test_rules_decide_as_their_tables_say(rule, history: list, stopped, selected) -> None:
    seen = replay(rule, history)
    assert seen == Replay(
        selected_epoch=selected, stopped_epoch=history[-1][0] if stopped is None else stopped
    )
    last = rule.update(10_000, 0.0) if stopped is not None else Decision.CONTINUE
    assert last is (Decision.CONTINUE if stopped is None else Decision.STOP), "a decision to stop stands"
    assert stopped is None or rule.selected_epoch == selected


@pytest.mark.parametrize(
    ("rule", "history", "stopped", "selected"),
    [
        # best 3 ± 0.3, then 2 ± 0.4: a fall of 1 with a noise of hypot(0.3, 0.4) = 0.5
        (SignificantFall(z=1.9), [(1, 3, 0.3), (2, 2, 0.4), (5, 9, 0.1)], 2, 1),
        (SignificantFall(z=2), [(1, 3, 0.3), (2, 2, 0.4), (5, 3.1, 0.1)], None, 5),  # not more than 2 x 0.5
        (SignificantFall(z=2), [(1, 3, 0.3), (2, 2.9, 0.1), (5, 2.8, 0.1), (10, 0, 0.1)], 10, 1),
        (SignificantFall(z=0), [(1, 3, 0.3), (2, 3, 0.3), (5, 2.9, 0.3)], 5, 1),  # a tie is no fall
        (SignificantFall(z=1, patience=2), [(1, 3, 0.1), (2, 2, 0.1), (5, 2.9, 0.1), (10, 2, 0.1)], None, 1),
        (SignificantFall(z=1, patience=2), [(1, 3, 0.1), (2, 2, 0.1), (5, 1, 0.1), (10, 9, 0.1)], 5, 1),
        (SignificantFall(z=1), [(1, 3, 0), (2, NAN, NAN), (5, 2.9, 0), (10, 9, 0)], 5, 1),  # NaN: no news
        (SignificantFall(z=1), [(0, 9, NAN), (1, 3, 0.1)], None, 1),  # epoch 0 is not looked at
        (SignificantFall(z=1, grace_period=5), [(1, 9, 0.1), (5, 2, 0.1), (10, 1, 0.1)], 10, 5),
        (SignificantFall(z=1), [(1, 3, 0.1), (5, 4, 0.1), (2, 0, 0.1), (5, 0, 0.1)], None, 5),  # out of order
        (SignificantFall(z=1), [(1, NAN, 0.1)], None, None),
    ],
)
def test_a_fall_must_exceed_its_noise(rule, history: list, stopped, selected) -> None:
    assert replay(rule, history) == Replay(
        selected_epoch=selected, stopped_epoch=history[-1][0] if stopped is None else stopped
    )


@pytest.mark.parametrize("error", [NAN, INF, -1.0])
def test_a_score_without_standard_error_is_refused_and_leaves_the_rule_as_it_was(error: float) -> None:
    rule = SignificantFall()
    rule.update(1, 0.5, 0.1)
    before = rule.state()
    with pytest.raises(InputError, match=r"significant-fall\(z=2.0.*standard error.*epoch 5"):
        rule.update(5, 0.4, error)
    assert rule.state() == before


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_resumed_trial_that_repeats_epochs_decides_the_same(cut: int) -> None:
    history = [(1, 1.0), (2, 2.0), (5, 1.5), (10, 3.0), (20, 2.0), (50, 1.0)]
    again = [*history[:cut], *history[max(0, cut - 2) :]]
    assert replay(FirstPeak(patience=2), again) == replay(FirstPeak(patience=2), history)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: FirstPeak(patience=0), "patience"),
        (lambda: FirstPeak(min_delta=-1), "min_delta"),
        (lambda: FirstPeak(min_delta=NAN), "min_delta"),
        (lambda: FirstPeak(min_delta=INF), "min_delta"),
        (lambda: FirstPeak(grace_period=-1), "grace_period"),
        (lambda: SignificantFall(z=-1), "z must"),
        (lambda: SignificantFall(z=NAN), "z must"),
        (lambda: SignificantFall(patience=0), "patience"),
        (lambda: SignificantFall(grace_period=-1), "grace_period"),
        (lambda: BestOfAll(grace_period=-1), "grace_period"),
        (lambda: FixedBudget(-1), "epochs"),
    ],
)
def test_impossible_parameters_are_named(make, name: str) -> None:
    with pytest.raises(InputError, match=name):
        make()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (FixedBudget(8), None),
        (FixedBudget(9), "epochs of fixed-budget must be at most 8, where a training ends, got 9"),
        (FirstPeak(grace_period=8, patience=9), None),
        (FirstPeak(grace_period=9), "grace_period of first-peak must be at most 8"),
        (BestOfAll(grace_period=9), "grace_period of best-of-all must be at most 8"),
        (Plateau(min_epochs=20), None),
    ],
)
def test_what_no_training_reaches_is_named(rule, message: str | None) -> None:
    if message is None:
        rule.check_epochs(8)
        return
    with pytest.raises(InputError) as raised:
        rule.check_epochs(8)
    assert message in str(raised.value)


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        replay(BestOfAll(), [])
