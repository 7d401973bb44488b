"""The simulator against cases computed by hand and closed forms."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytransfer.errors import InputError
from raytransfer.scheduling.replay import replay
from raytransfer.scheduling.rules import BestOfAll, Decision, FirstPeak, FixedBudget
from raytransfer.scheduling.simulation import Judge, RecordedPretraining, RuleJudge, simulate

NAN = math.nan
CONTINUE, STOP, PAUSE = Decision.CONTINUE, Decision.STOP, Decision.PAUSE


def recorded(name: str, durations: tuple, **scores: tuple) -> RecordedPretraining:
    """Checkpoints 1, 2, ...; scores per target."""
    return RecordedPretraining(
        name=name,
        epochs=tuple(range(1, len(durations) + 1)),
        durations=durations,
        curves={target: [(score, NAN) for score in values] for target, values in scores.items()},
    )


THREE = (
    recorded("a", (2, 2, 2), t=(1, 3, 2)),  # falls at its end
    recorded("b", (1, 1, 1), t=(2, 1, 9)),  # falls at once
    recorded("c", (3, 3, 3), t=(1, 2, 3)),  # never falls
)


@pytest.mark.parametrize(
    ("workers", "events", "makespan"),
    [
        # a: 0-6; b: 0-2; c follows b on its worker: 2-11
        (
            2,
            [
                (1, 1, 1, CONTINUE), (2, 0, 1, CONTINUE), (2, 1, 2, STOP), (4, 0, 2, CONTINUE),
                (5, 2, 1, CONTINUE), (6, 0, 3, STOP), (8, 2, 2, CONTINUE), (11, 2, 3, CONTINUE),
            ],
            11,
        ),
        # one after the other: a 0-6, b 6-8, c 8-17
        (
            1,
            [
                (2, 0, 1, CONTINUE), (4, 0, 2, CONTINUE), (6, 0, 3, STOP), (7, 1, 1, CONTINUE),
                (8, 1, 2, STOP), (11, 2, 1, CONTINUE), (14, 2, 2, CONTINUE), (17, 2, 3, CONTINUE),
            ],
            17,
        ),
    ],
)  # fmt: skip
def test_three_pretrainings_as_computed_by_hand(workers: int, events: list, makespan: float) -> None:
    seen = simulate(THREE, RuleJudge(THREE, FirstPeak), workers=workers)
    assert list(seen.events) == events
    assert [outcome.stopped_epoch for outcome in seen.outcomes] == [3, 2, 3]
    assert [outcome.selected for outcome in seen.outcomes] == [{"t": 2}, {"t": 1}, {"t": 3}]
    assert (seen.makespan, seen.worker_time) == (makespan, 17)
    assert max(outcome.finished_at for outcome in seen.outcomes) == makespan


def test_a_pretraining_stops_with_its_last_target_and_each_keeps_its_own_epoch() -> None:
    pretraining = recorded("a", (1, 1, 1, 1), early=(3, 2, 9, 9), late=(1, 2, 1, 9), unscored=(NAN,) * 4)
    (outcome,) = simulate([pretraining], RuleJudge([pretraining], FirstPeak)).outcomes
    assert outcome.selected == {"early": 1, "late": 2, "unscored": None}
    assert outcome.stopped_epoch == 4, "the target without scores never stops"
    both = recorded("b", (1, 1, 1, 1), early=(3, 2, 9, 9), late=(1, 2, 1, 9))
    (outcome,) = simulate([both], RuleJudge([both], FirstPeak)).outcomes
    assert (outcome.stopped_epoch, outcome.selected) == (3, {"early": 1, "late": 2})


class Script(Judge):
    """Pauses every trial at its first checkpoint, goes on with the last paused, dismisses at its second."""

    def __init__(self, *, resumes: bool = True) -> None:
        self.resumes, self.paused, self.ended, self.completed = resumes, [], [], []

    def choose(self, waiting):
        new = [trial for trial in waiting if trial not in self.paused]
        return next(iter(new), self.paused[-1] if self.resumes and self.paused else None)

    def report(self, trial, checkpoint):
        if checkpoint == 0:
            self.paused.append(trial)
            return PAUSE
        if checkpoint == 1:
            self.paused.remove(trial)
            self.ended = [other for other in self.paused if other == 0]
            self.paused = [other for other in self.paused if other != 0]
        return CONTINUE

    def complete(self, trial):
        self.completed.append(trial)

    def dismissed(self):
        ended, self.ended = self.ended, []
        return ended

    def selected(self, trial):
        return {}


def test_a_judge_pauses_resumes_and_dismisses() -> None:
    judge = Script()
    seen = simulate(THREE, judge, workers=1)
    assert [(time, trial, decision) for time, trial, _, decision in seen.events] == [
        (2, 0, PAUSE), (3, 1, PAUSE), (6, 2, PAUSE), (9, 2, CONTINUE), (9, 0, STOP), (12, 2, CONTINUE),
        (13, 1, CONTINUE), (14, 1, CONTINUE),
    ]  # fmt: skip
    assert [outcome.stopped_epoch for outcome in seen.outcomes] == [1, 3, 3]
    assert [outcome.finished_at for outcome in seen.outcomes] == [9, 14, 12]
    assert judge.completed == [2, 1]
    assert seen.worker_time == 14, "a pause costs nothing"


def test_a_pretraining_left_waiting_is_named() -> None:
    with pytest.raises(RuntimeError, match="never continued nor stopped: a, b, c"):
        simulate(THREE, Script(resumes=False), workers=1)


CURVES = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=6), min_size=1, max_size=6
)


@given(curves=CURVES, budget=st.integers(0, 7), workers=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_closed_forms(curves: list, budget: int, workers: int) -> None:
    pretrainings = [
        recorded(str(i), tuple(d for d, _ in curve), t=tuple(s for _, s in curve))
        for i, curve in enumerate(curves)
    ]
    for make_rule in (lambda: FixedBudget(budget), BestOfAll, lambda: FirstPeak(patience=2)):
        alone = [
            replay(make_rule(), [(e, s) for e, (s, _) in zip(p.epochs, p.curves["t"], strict=True)])
            for p in pretrainings
        ]
        paid = [sum(p.durations[: r.stopped_epoch]) for p, r in zip(pretrainings, alone, strict=True)]
        one, some, many = (
            simulate(pretrainings, RuleJudge(pretrainings, make_rule), workers=n)
            for n in (1, workers, len(pretrainings))
        )
        for seen in (one, some, many):  # rules do not depend on the workers
            assert [o.stopped_epoch for o in seen.outcomes] == [r.stopped_epoch for r in alone]
            assert [o.selected["t"] for o in seen.outcomes] == [r.selected_epoch for r in alone]
            assert seen.worker_time == sum(paid)
        assert one.makespan == sum(paid)
        assert many.makespan == max(paid)
        assert max(max(paid), sum(paid) / workers) <= some.makespan <= sum(paid)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"durations": (1.0,)}, "a: every checkpoint needs"),
        ({"curves": {}}, "a: every checkpoint needs"),
        ({"curves": {"t": [(1.0, NAN)]}}, "a: every checkpoint needs"),
        ({"epochs": (2, 1)}, "epochs must increase"),
        ({"durations": (1.0, -1.0)}, "durations must be finite"),
        ({"durations": (1.0, NAN)}, "durations must be finite"),
    ],
)
def test_an_impossible_recording_is_refused(change: dict, message: str) -> None:
    given = {"name": "a", "epochs": (1, 2), "durations": (1.0, 1.0), "curves": {"t": [(1.0, NAN)] * 2}}
    with pytest.raises(InputError, match=message):
        RecordedPretraining(**{**given, **change})


def test_workers_are_needed() -> None:
    with pytest.raises(InputError, match="workers must be at least 1, got 0"):
        simulate(THREE, RuleJudge(THREE, FirstPeak), workers=0)
