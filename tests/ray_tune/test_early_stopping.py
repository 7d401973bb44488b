"""The scheduler and the stopper without a cluster: histories in, decisions out, also across restarts."""

import copy
import json
import math
import pickle
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray import cloudpickle

from raytransfer.errors import InputError
from raytransfer.ray_tune.early_stopping import RobustnessStopper, StoppingRuleScheduler
from raytransfer.ray_tune.replay import SchedulerJudge
from raytransfer.scheduling.registry import rule_factory
from raytransfer.scheduling.replay import replay
from raytransfer.scheduling.rules import BestOfAll, FirstPeak, FixedBudget, SignificantFall
from raytransfer.scheduling.simulation import RecordedPretraining, RuleJudge, simulate

NAN = math.nan


def trial(folder: Path | None = None, name: str = "t1") -> SimpleNamespace:
    storage = folder and SimpleNamespace(
        experiment_fs_path=str(folder), storage_filesystem=pyarrow.fs.LocalFileSystem()
    )
    return SimpleNamespace(trial_id=name, storage=storage)


def reports(*scores: float | dict, start: int = 0) -> list[dict]:
    """An epoch per score; a dict has the scores of several targets, the plain number is one."""
    return [
        {"epoch": epoch, "training_iteration": 1, **(s if isinstance(s, dict) else {"robustness": s})}
        for epoch, s in enumerate(scores, start)
    ]


def stopped_at(scheduler: StoppingRuleScheduler, results: list[dict], judged=None) -> int | None:
    judged = judged or trial()
    scheduler.on_trial_add(None, judged)
    for result in results:
        if scheduler.on_trial_result(None, judged, result) == "STOP":
            scheduler.on_trial_complete(None, judged, result)
            return result["epoch"]
    return None


AB = "robustness/a", "robustness/b"


def several(*pairs: tuple) -> list[dict]:
    return reports(*({k: v for k, v in zip(AB, pair, strict=True) if v is not None} for pair in pairs))


@pytest.mark.parametrize(
    ("rule", "results", "stop", "selected"),
    [
        (FirstPeak, reports(0.9, 0.1, 0.2, 0.1, 0.3), 3, {"robustness": 2}),
        (FirstPeak(patience=2), reports(0.9, 0.1, 0.2, 0.1, 0.3, 0.2, 0.2), 6, {"robustness": 4}),
        (lambda: FixedBudget(epochs=2), reports(0.1, 0.2, 0.1), 2, {"robustness": 2}),
        (BestOfAll, reports(0.1, 0.2, 0.3, 0.1), None, {"robustness": 2}),
        (FirstPeak, reports(0.1, 0.2, NAN, 0.1), 3, {"robustness": 1}),
        (FirstPeak, reports(0.1, 0.2, None, 0.1), 3, {"robustness": 1}),
        # the targets stop at 2 and 4; the trial with the last; each keeps its own
        (
            FirstPeak,
            several((0, 0), (0.5, 0.1), (0.4, 0.2), (0.9, 0.3), (0.9, 0.2)),
            4,
            {AB[0]: 1, AB[1]: 3},
        ),
        # a target that is missing for an epoch does not learn of it; b begins late
        (
            FirstPeak,
            several((0, None), (0.5, None), (None, 0.3), (0.4, 0.2)),
            3,
            {AB[0]: 1, AB[1]: 2},
        ),
        (FirstPeak, [{"epoch": 1}, {"robustness": 0.9}, {"loss": 1.0}], None, {}),
        # beside targets of its own, the mean is for other schedulers
        (
            FirstPeak,
            [
                {**r, "robustness": m}
                for r, m in zip(reports({AB[0]: 0.1}, {AB[0]: 0.2}), (9, 0), strict=True)
            ],
            None,
            {AB[0]: 1},
        ),
        (
            FirstPeak,
            [{"epoch": 1, "robustness": {"a": {"x": 0.2}}}, {"epoch": 2}],
            None,
            {"robustness/a/x": 1},
        ),
        # repeated epochs after a trial was resumed
        (
            FirstPeak,
            [*reports(0, 0.1, 0.2), *reports(0.05, 0.1, 0.2, start=0), *reports(0.1, start=3)],
            3,
            {"robustness": 2},
        ),
    ],
)
def test_histories(rule, results: list[dict], stop: int | None, selected: dict) -> None:
    scheduler, stopper = StoppingRuleScheduler(rule), RobustnessStopper(rule)
    assert stopped_at(scheduler, results) == stop
    assert scheduler.selected_epochs("t1") == selected
    at = [result.get("epoch") for result in results if stopper("t1", result)]
    assert at[:1] == [stop] * (stop is not None)
    assert stopper.selected_epochs("t1") == selected
    assert not stopper.stop_all()


def test_standard_errors_go_with_their_target() -> None:
    results = [
        {
            "epoch": e, "robustness/a/fine_tuning": s, "robustness/a/fine_tuning_standard_error": 0.1,
            "robustness/b/fine_tuning": s, "robustness/b/fine_tuning_standard_error": 0.01,
        }
        for e, s in enumerate([0.0, 0.9, 0.7, 0.6], 0)
    ]  # fmt: skip
    scheduler = StoppingRuleScheduler(SignificantFall(z=2))
    # b falls by 20 of its standard errors at once, a by more than two of its own only at 0.6
    assert stopped_at(scheduler, results[:3]) is None
    assert stopped_at(scheduler, results) == 3
    with pytest.raises(InputError, match="needs the standard error"):
        stopped_at(StoppingRuleScheduler(SignificantFall), reports(0.1, 0.2))


def test_lower_can_be_better_and_names_can_be_others() -> None:
    scheduler = StoppingRuleScheduler(FirstPeak, time_attr="step", metric="hinge", mode="min")
    results = [{"epoch": s, "step": s, "hinge": h} for s, h in enumerate([0.1, 0.9, 0.3, 0.4])]
    assert stopped_at(scheduler, results) == 3
    assert scheduler.selected_epochs("t1") == {"hinge": 2}
    with pytest.raises(InputError, match="mode must be 'max' or 'min', got 'best'"):
        StoppingRuleScheduler(FirstPeak, mode="best")


def test_trials_and_prototypes_do_not_meet() -> None:
    rule = FirstPeak(patience=2)
    scheduler = StoppingRuleScheduler(rule)
    assert stopped_at(scheduler, reports(0, 0.5, 0.4, 0.3), trial(name="one")) == 3
    assert stopped_at(scheduler, reports(0, 0.1, 0.2), trial(name="two")) is None
    assert rule.selected_epoch is None
    assert scheduler.selected_epochs("one") == {"robustness": 1}


def test_it_leaves_starting_trials_to_first_in_first_out() -> None:
    scheduler = StoppingRuleScheduler(FirstPeak)
    first, second = (SimpleNamespace(trial_id=name, status="PENDING") for name in "ab")
    controller = SimpleNamespace(get_trials=lambda: [first, second])
    assert scheduler.choose_trial_to_run(controller) is first
    assert scheduler.set_search_properties("loss", "min")
    for event in (scheduler.on_trial_remove, scheduler.on_trial_error):
        event(controller, first)


CURVES = st.lists(
    st.lists(st.integers(0, 9).map(lambda n: n / 9), min_size=4, max_size=4), min_size=1, max_size=5
)


@given(
    curves=CURVES, text=st.sampled_from(["first-peak", "first-peak(patience=2)", "fixed-budget(epochs=3)"])
)
@settings(max_examples=30, deadline=None)
def test_driven_by_the_simulation_it_decides_as_its_rules(curves: list, text: str) -> None:
    make = rule_factory(text)
    recorded = [
        RecordedPretraining(
            name=str(i), epochs=(1, 2, 5, 9), durations=(1, 1, 3, 4), curves={"t": [(s, NAN) for s in curve]}
        )
        for i, curve in enumerate(curves)
    ]
    rules = simulate(recorded, RuleJudge(recorded, make), workers=2)
    tune = simulate(recorded, SchedulerJudge(recorded, StoppingRuleScheduler(make)), workers=2)
    assert [o.stopped_epoch for o in tune.outcomes] == [o.stopped_epoch for o in rules.outcomes]
    assert tune.makespan == rules.makespan


SCORES = st.lists(
    st.tuples(*[st.one_of(st.just(NAN), st.none(), st.integers(0, 9).map(float))] * 2),
    min_size=1,
    max_size=14,
)


@given(
    scores=SCORES,
    kills=st.sets(st.integers(0, 14)),
    back=st.integers(0, 3),
    text=st.sampled_from(["first-peak", "first-peak(patience=3, min_delta=0.5)", "fixed-budget(epochs=7)"]),
)
@settings(max_examples=60, deadline=None)
def test_killed_anywhere_it_decides_as_undisturbed(
    tmp_path_factory: pytest.TempPathFactory, scores: list, kills: set, back: int, text: str
) -> None:
    """A kill drops the object after a decision; a new one goes on, the trial some epochs before."""
    results = several(*scores)
    undisturbed = StoppingRuleScheduler(rule_factory(text))
    expected = stopped_at(undisturbed, results)
    folder = tmp_path_factory.mktemp("experiment")
    decisions: dict[int, str] = {}
    position, kills = 0, set(kills)
    scheduler = None
    while position < len(results) and "STOP" not in decisions.values():
        if scheduler is None:
            scheduler = StoppingRuleScheduler(rule_factory(text))
            scheduler.on_trial_add(None, trial(folder))
        epoch = results[position]["epoch"]
        decisions[epoch] = scheduler.on_trial_result(None, trial(folder), results[position])
        if epoch in kills:
            kills.remove(epoch)
            scheduler = None
            position = max(0, position - back)
        else:
            position += 1
    stopped = [epoch for epoch, decision in decisions.items() if decision == "STOP"]
    assert stopped == [expected] * (expected is not None)
    last = StoppingRuleScheduler(rule_factory(text))
    last.on_trial_add(None, trial(folder))
    assert last.selected_epochs("t1") == undisturbed.selected_epochs("t1")


def test_tunes_copies_of_a_stopper_are_behind_its_files(tmp_path: Path) -> None:
    """Tune pickles a stopper now and then and restores the last copy, which the files are ahead of."""
    stopper, forgetful = RobustnessStopper(FirstPeak, folder=tmp_path), RobustnessStopper(FirstPeak)
    history = reports(0, 0.1, 0.3, 0.2)
    for each in (stopper, forgetful):
        each("t1", history[1])
    snapshots = [pickle.loads(cloudpickle.dumps(each)) for each in (stopper, forgetful)]
    stopper("t1", history[2])
    assert snapshots[0]("t1", history[3]), "it knows of epoch 2"
    assert not snapshots[1]("t1", history[3])
    assert snapshots[1].selected_epochs("t1") == {"robustness": 3}
    assert copy.deepcopy(stopper).selected_epochs("t1") == {"robustness": 2}


def _saved(folder: Path) -> dict:
    scheduler = StoppingRuleScheduler(FirstPeak)
    stopped_at(scheduler, reports(0, 0.1), trial(folder))
    (file,) = (folder / "stopping_rules").iterdir()
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    "damage",
    [
        lambda saved: "",
        lambda saved: json.dumps(saved)[:-9],
        lambda saved: "[]",
        lambda saved: '{"epoch": 3}',
        lambda saved: json.dumps({**saved, "targets": {"robustness": {"rule": "last-peak"}}}),
        lambda saved: json.dumps(
            {**saved, "targets": {"robustness": {"rule": "first-peak", "arguments": {}}}}
        ),
        lambda saved: json.dumps({**saved, "targets": 5}),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, damage) -> None:
    saved = _saved(tmp_path)
    (tmp_path / "stopping_rules/t1.json").write_text(damage(saved))
    with pytest.raises(InputError) as raised:
        stopped_at(StoppingRuleScheduler(FirstPeak), reports(0.1), trial(tmp_path))
    message = str(raised.value)
    assert f"{tmp_path}/stopping_rules/t1.json is not the saved state of a stopping rule" in message
    assert "delete it" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "other",
    [
        StoppingRuleScheduler(FirstPeak(patience=2)),
        StoppingRuleScheduler(BestOfAll),
        StoppingRuleScheduler(FirstPeak, mode="min"),
        StoppingRuleScheduler(FirstPeak, metric="accuracy"),
    ],
)
def test_another_rules_file_is_refused(tmp_path: Path, other: StoppingRuleScheduler) -> None:
    _saved(tmp_path)
    with pytest.raises(InputError, match=r"t1\.json was saved by .*use the same rule, or delete it"):
        stopped_at(other, reports(0.1), trial(tmp_path))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _saved(tmp_path)
    monkeypatch.setattr(json, "dumps", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        stopped_at(StoppingRuleScheduler(FirstPeak), reports(0.3, start=7), trial(tmp_path))
    monkeypatch.undo()
    scheduler = StoppingRuleScheduler(FirstPeak)
    assert json.loads((tmp_path / "stopping_rules/t1.json").read_text()) == before
    assert stopped_at(scheduler, reports(0.05, start=2), trial(tmp_path)) == 2
    assert replay(FirstPeak(), [(1, 0.1), (2, 0.05)]).stopped_epoch == 2
