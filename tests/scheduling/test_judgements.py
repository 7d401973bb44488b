"""What a rule says of each target: history in, decision out."""

import math

import pytest

from raytransfer.scheduling.judgements import judge
from raytransfer.scheduling.rules import FirstPeak


@pytest.mark.parametrize(
    ("scores", "stopped", "epoch", "selected", "score"),
    [
        ((0.1, 0.5, 0.4, 0.9), True, 2, 1, 0.5),
        ((0.1, 0.2, 0.3), False, 2, 2, 0.3),
        ((0.1,), False, 0, None, math.nan),
        ((), False, None, None, math.nan),
    ],
)
def test_a_rule_on_one_target(
    scores: tuple, stopped: bool, epoch: int | None, selected: int | None, score: float
) -> None:
    curve = [(at, value, 0.01) for at, value in enumerate(scores)]
    (judgement,) = judge({"robustness/d/frozen": curve}, FirstPeak)
    assert judgement.target == "robustness/d/frozen"
    assert (judgement.stopped, judgement.epoch, judgement.selected_epoch) == (stopped, epoch, selected)
    assert judgement.score == pytest.approx(score, nan_ok=True)
