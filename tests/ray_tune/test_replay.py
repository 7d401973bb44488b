"""Ray Tune's own scheduler classes in the replay, against cases computed by hand and independent forms."""

import math
from bisect import insort

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule

from raytransfer.errors import InputError
from raytransfer.ray_tune.named_schedulers import (
    REPORTED,
    SCHEDULERS,
    asha,
    hyperband,
    judge_factory,
    median_stopping,
)
from raytransfer.ray_tune.replay import SchedulerJudge
from raytransfer.scheduling.rules import Decision
from raytransfer.scheduling.simulation import RecordedPretraining, Simulation, simulate

CONTINUE, STOP, PAUSE = Decision.CONTINUE, Decision.STOP, Decision.PAUSE


def recorded(*curves, epochs: tuple | None = None) -> list[RecordedPretraining]:
    """One pretraining per curve; a checkpoint and a unit of time per epoch unless `epochs` says otherwise."""
    epochs = epochs or tuple(range(1, len(curves[0]) + 1))
    return [
        RecordedPretraining(
            name=f"trial {i}",
            epochs=epochs,
            durations=tuple(float(b - a) for a, b in zip((0, *epochs), epochs, strict=False)),
            curves={"t": [(score, math.nan) for score in curve]},
        )
        for i, curve in enumerate(curves)
    ]


def run(pretrainings: list[RecordedPretraining], scheduler, *, workers: int = 1) -> Simulation:
    return simulate(pretrainings, SchedulerJudge(pretrainings, scheduler), workers=workers)


def stopped(simulation: Simulation) -> list:
    return [outcome.stopped_epoch for outcome in simulation.outcomes]


def test_asha_cuts_its_rungs_as_computed_by_hand() -> None:
    # rungs 1, 2 (and 4 = max_t, where every trial ends); half survive a rung: the cutoff is its median
    trials = recorded([1.0] * 4, [0.5] * 4, [0.8] * 4, [0.9] * 4, [2.0] * 4)
    seen = run(trials, asha(4, reduction_factor=2.0))
    # 0.5 < 1; 0.8 > median(1, 0.5), then < 1 of rung 2; 0.9 > median(1, 0.5, 0.8), at rung 2 equal to the
    # median of 1 and 0.8 and so no less; 2 beats all
    assert stopped(seen) == [4, 1, 2, 4, 4]
    assert [trial for _, trial, _, decision in seen.events if decision is STOP] == [0, 1, 2, 3, 4]
    assert seen.makespan == seen.worker_time == 4 + 1 + 2 + 4 + 4


def percentile(ordered: list[float], fraction: float) -> float:
    """Linear interpolation between the two nearest ranks."""
    at = (len(ordered) - 1) * fraction
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def successive_halving(curves: list, epochs: tuple, factor: int, last: int) -> list[int]:
    """ASHA of trials that come one after the other, from its description: every rung is seen once, at the
    first report that is not before it; of several rungs passed at once the highest that is new counts."""
    rungs = {}
    milestone = 1
    while milestone <= last:
        rungs[milestone] = []
        milestone *= factor
    found = []
    for curve in curves:
        passed, ended = set(), epochs[-1]
        for epoch, score in zip(epochs, curve, strict=True):
            if epoch >= last:
                continue  # ended by max_t
            new = [m for m in rungs if m <= epoch and m not in passed]
            if new:
                cutoff = percentile(rungs[max(new)], 1 - 1 / factor) if rungs[max(new)] else -math.inf
                insort(rungs[max(new)], score)
                passed.add(max(new))
                if score < cutoff:
                    ended = epoch
                    break
        # Ray records the last result once more when a trial ends, at the highest rung that is still new
        last_score = curve[epochs.index(ended)]
        new = [m for m in rungs if m <= ended and m not in passed]
        if new:
            insort(rungs[max(new)], last_score)
        found.append(ended)
    return found


@given(
    curves=st.lists(
        st.lists(st.integers(0, 16).map(lambda n: n / 16), min_size=6, max_size=6), min_size=1, max_size=8
    ),
    epochs=st.sampled_from([(1, 2, 3, 4, 5, 16), (1, 2, 4, 8, 16, 20), (0, 1, 5, 10, 15, 16)]),
    factor=st.sampled_from([2, 4]),
)
@settings(max_examples=60, deadline=None)
def test_asha_does_what_its_description_says(curves: list, epochs: tuple, factor: int) -> None:
    seen = run(recorded(*curves, epochs=epochs), asha(epochs[-1], reduction_factor=float(factor)))
    assert stopped(seen) == successive_halving(curves, epochs, factor, epochs[-1])


@pytest.mark.parametrize("workers", [1, 2, 17])
def test_hyperband_halves_its_brackets(workers: int) -> None:
    # max_t 9, eta 3: 3 trials go to 9; 5 to 3, their best 2 to 9; 9 to 1, their best 3 to 3, the best to 9
    levels = [3, 2, 1, 4, 1, 5, 2, 3, 8, 1, 9, 2, 7, 3, 6, 4, 5]
    trials = recorded(*([level / 10] * 9 for level in levels))
    seen = run(trials, hyperband(9), workers=workers)
    assert stopped(seen) == [9, 9, 9, *[9, 3, 9, 3, 3], *[3, 1, 9, 1, 3, 1, 1, 1, 1]]
    assert seen.worker_time == 3 * 9 + 2 * 9 + 3 * 3 + 9 + 2 * 3 + 6
    pauses = {trial for _, trial, epoch, decision in seen.events if decision is PAUSE and epoch == 1}
    assert len(pauses) == 8, "all but the last of the bracket wait at its milestone"
    assert pauses <= set(range(8, 17))
    # the losers of a milestone are dismissed together, when the last of their bracket reaches it
    at_one = [
        (time, trial) for time, trial, epoch, decision in seen.events if decision is STOP and epoch == 1
    ]
    assert len({time for time, _ in at_one}) == 1
    assert sorted(trial for _, trial in at_one) == [9, 11, 13, 14, 15, 16]


def test_median_stopping_compares_the_best_with_running_means() -> None:
    # In lockstep on four workers: a trial stops where its best is below the median of the running means of
    # the others that have come as far, at least two of them. Epoch 1: the third (1) meets 4 and 2; the fourth
    # (3) meets 4, 2, 1. Epoch 2: the second meets 4 only; the fourth (best 3) meets 4 and 1.5. Epoch 3: the
    # fourth meets 4 and 1.
    trials = recorded([4, 4, 4], [2, 1, 0], [1, 9, 9], [3, 0, 0])
    seen = run(trials, median_stopping(3, min_samples_required=2), workers=4)
    assert stopped(seen) == [3, 3, 1, 3]
    assert seen.events[2] == (1, 2, 1, STOP)


def test_median_stopping_yields_to_waiting_trials_while_samples_are_few() -> None:
    trials = recorded([1, 1], [2, 2], [3, 3])
    seen = run(trials, median_stopping(2, min_samples_required=3))
    assert [(trial, epoch, decision) for _, trial, epoch, decision in seen.events] == [
        (0, 1, PAUSE), (1, 1, PAUSE), (2, 1, PAUSE), (0, 2, PAUSE), (1, 2, PAUSE), (2, 2, CONTINUE),
    ]  # fmt: skip
    assert stopped(seen) == [2, 2, 2]
    # a soft stop pauses a trial, which goes on when nobody else waits
    soft = MedianStoppingRule(grace_period=1, min_samples_required=1, hard_stop=False, **REPORTED)
    seen = run(recorded([3, 3], [1, 1]), soft, workers=2)
    assert stopped(seen) == [2, 2]
    assert (1, 1, 1, PAUSE) in seen.events


def test_first_in_first_out_is_no_scheduler_at_all() -> None:
    seen = run(recorded([1, 2, 3], [3, 2, 1]), FIFOScheduler(), workers=1)
    assert stopped(seen) == [3, 3]
    assert [outcome.selected for outcome in seen.outcomes] == [{"t": 3}, {"t": 1}]
    assert seen.makespan == 6


def test_a_trial_reports_the_mean_over_its_targets() -> None:
    class Listener(FIFOScheduler):
        def on_trial_result(self, tune_controller, trial, result):
            heard.append((trial.trial_id, result["epoch"], result["robustness"]))
            return self.CONTINUE

    heard = []
    nan = (math.nan, math.nan)
    pretraining = RecordedPretraining(
        name="p",
        epochs=(0, 1, 5),
        durations=(0, 1, 4),
        curves={"a": [(0.9, 0.1), (0.25, 0.1), nan], "b": [(0.3, 0.1), (0.75, 0.1), nan]},
    )
    seen = run([pretraining], Listener())
    assert [(trial, epoch) for trial, epoch, _ in heard] == [("00000", 1), ("00000", 5)]
    assert [score for *_, score in heard] == pytest.approx([0.5, math.nan], nan_ok=True)
    assert seen.outcomes[0].selected == {"a": 1, "b": 1}, "epoch 0 is no candidate"


LIVE_CURVES = [
    [0.1, 0.4, 0.2, 0.7], [0.6, 0.5, 0.3, 0.3], [0.2, 0.1, 0.1, 0.2], [0.5, 0.7, 0.9, 0.8],
    [0.4, 0.2, 0.6, 0.9], [0.3, 0.8, 0.5, 0.1], [0.7, 0.6, 0.4, 0.6],
]  # fmt: skip
LIVE = {  # trial:epoch and CONTINUE, PAUSE or STOP
    "asha(reduction_factor=2)": (
        "0:1C 0:2C 0:3C 0:4S 1:1C 1:2C 1:3C 1:4S 2:1S 3:1C 3:2C 3:3C 3:4S 4:1C 4:2S 5:1S 6:1C 6:2C 6:3C 6:4S"
    ),
    "hyperband": (
        "0:1C 0:2C 0:3C 0:4P 1:1C 1:2C 1:3C 1:4S 2:1P 3:1P 4:1S 5:1C 5:2C 5:3C 5:4P 6:1C 6:2C 6:3C 6:4S "
        "3:2C 3:3S"
    ),
    "median-stopping(min_samples_required=2)": (
        "0:1P 1:1P 2:1S 3:1C 3:2P 4:1C 4:2P 5:1S 6:1C 6:2C 6:3P 0:2S 1:2C 1:3P 3:3C 3:4P 1:4P 4:3C 4:4C 6:4C"
    ),
}


@pytest.mark.parametrize("text", LIVE)
def test_a_live_tune_decided_the_same_in_the_same_order(text: str) -> None:
    """The expected decisions are those of a real `Tuner` (Ray 2.60, one CPU, checkpointing trainables)."""
    trials = recorded(*LIVE_CURVES)
    seen = simulate(trials, judge_factory(text)(trials), workers=1)
    assert " ".join(f"{e.trial}:{e.epoch}{e.decision.name[0]}" for e in decided(seen)) == LIVE[text]


def decided(seen: Simulation) -> list:
    """Leave out those that are dismissed while others report."""
    reported, found = set(), []
    for event in seen.events:
        if (event.trial, event.epoch) not in reported:
            found.append(event)
        reported.add((event.trial, event.epoch))
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("asha(reduction_factor=1)", "reduction_factor must be above 1"),
        ("asha(reduction_factor=Infinity)", "reduction_factor must be above 1 and finite"),
        ("asha(grace_period=0)", "grace_period must be at least 1"),
        ("hyperband(reduction_factor=0.5)", "reduction_factor must be above 1"),
        ("hyperband(max_t=3)", "unknown argument of hyperband 'max_t'"),
        ("median-stopping(min_samples_required=0)", "min_samples_required must be at least 1"),
        ("ahsa", "did you mean 'asha'"),
    ],
)
def test_wrong_text_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        judge_factory(text)


def test_decisions_depend_on_the_workers_only_through_time() -> None:
    trials = recorded(*([level / 9] * 9 for level in range(9)))
    # one after the other, each better than all before: nobody is ever below the cutoff
    assert stopped(run(trials, asha(9))) == [9] * 9
    # the other way round, all but the first are below
    assert stopped(run(recorded(*([level / 9] * 9 for level in range(8, -1, -1))), asha(9))) == [9, *[1] * 8]


def test_the_names_build_rays_classes() -> None:
    built = {name: type(build(27)).__name__ for name, build in SCHEDULERS.items()}
    assert built == {
        "asha": AsyncHyperBandScheduler.__name__,
        "hyperband": "HyperBandScheduler",
        "median-stopping": "MedianStoppingRule",
    }
