"""Search of training settings with Optuna under Tune; what trials find is in the ledger and in MLflow.

Optuna's study is a database in the storage. A trial that an interruption left open is tried again with the
same settings, and goes on from what is recorded of it. Trials are processes of their own, several at a time,
which keeps more devices busy than several workers per pretraining would.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import ray
from optuna.trial import TrialState
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from raytransfer.data.arrays import Images
from raytransfer.data.registry import load_source, load_target
from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import reason
from raytransfer.pretraining.loop import Pretraining
from raytransfer.ray_train.epochs import STATE, read_state, train_unit
from raytransfer.ray_train.failed import RETRIES, Failed, FailureWatch, failed_by, record_failure
from raytransfer.ray_train.interface import GPU_SETTING
from raytransfer.ray_tune.failed_trials import FAILED, StopAfterFailures, failed_result, read_failed
from raytransfer.ray_tune.live_pretraining import recorded_reports, targets_in_store
from raytransfer.ray_tune.progress import ProgressBar
from raytransfer.ray_tune.tracked import TrackTrials, reported_pretraining, was_interrupted
from raytransfer.ray_tune.trial import TrialRun
from raytransfer.results.evaluations import read_history
from raytransfer.results.live import METRIC
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit, PretrainingUnit
from raytransfer.runtime.devices import usable_device
from raytransfer.settings import digest
from raytransfer.statistics.signals import Signal
from raytransfer.storage.files import StoragePath, atomic_write, delete, is_corruption
from raytransfer.tracking.records import evaluation_record
from raytransfer.tracking.runs import RunRecord
from raytransfer.tracking.tracker import Tracker

INTERRUPTED = "interrupted"

_log = logging.getLogger(__name__)
Unit = PretrainingUnit | EvaluationUnit


@dataclass(frozen=True, kw_only=True)
class Found:
    """A trial of a search.

    Attributes:
        settings: learning_rate, weight_decay and augmentation.
        value: The objective after its last epoch; None where it failed.
        epochs: Epochs it was given.
        key: Key of its results in the ledger and in MLflow.
    """

    settings: Mapping[str, float]
    value: float | None
    epochs: int
    key: str


def with_settings(base: Unit, settings: Mapping[str, float]) -> Unit:
    """Return a unit with a search's settings.

    Args:
        base: The unit that is varied.
        settings: "learning_rate", "weight_decay" and "augmentation", the last a factor in [0, 1] on the
            strength of the random changes to images: of a pretraining the setting of that name, of a
            downstream trial the largest rotation and the probability of the flip.
    """
    rate, decay, strength = (settings[n] for n in ("learning_rate", "weight_decay", "augmentation"))
    if isinstance(base, PretrainingUnit):
        recipe = base.recipe
        varied = replace(
            recipe, learning_rate=rate, weight_decay=decay, augmentation=strength,
            series=(0, recipe.epochs), num_workers=1,
        )  # fmt: skip
        return replace(base, study=replace(base.study, pretraining=varied, reference_recipes=False))
    config = base.study.downstream
    changed = replace(
        config,
        learning_rate=rate,
        weight_decay=decay,
        rotation=strength * config.rotation,
        flip=strength * config.flip,
    )
    return replace(base, study=replace(base.study, downstream=changed))


def _space(base: Unit) -> dict[str, Any]:
    """Return where settings are searched: within a factor of ten around the unit's own."""
    config = base.recipe if isinstance(base, PretrainingUnit) else base.study.downstream
    decay = config.weight_decay or 1e-3
    return {
        "learning_rate": tune.loguniform(config.learning_rate / 10, config.learning_rate * 10),
        "weight_decay": tune.loguniform(decay / 10, decay * 10),
        "augmentation": tune.uniform(0.0, 1.0),
    }


def _namespaced(storage: Storage, unit: PretrainingUnit) -> Storage:
    """Return where a trial's encoders are: the series of the study must not see them."""
    return storage.namespaced(f"search/{unit.key}")


class _Optuna(OptunaSearch):
    """Optuna, told also of those failures that are a trial's last result.

    One that did not fail by its own doing stays open there: the next search tries it again.
    """

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell Optuna how a trial ended."""
        failed = read_failed(result or {})
        if failed is None:
            super().on_trial_complete(trial_id, result, error)
        elif (
            failed.permanent
        ):  # without its result, whose NaN Optuna would not take: the trial would stay open
            super().on_trial_complete(trial_id, error=True)


def _search_trial(config: dict[str, float], job: Mapping[str, Any]) -> None:
    """Run one trial (in its process); what it raises is its last result, see `failed_trials`.

    Args:
        config: The settings.
        job: "base", "storage", "objective", and references: "data", and of a pretraining "targets" by
            dataset.
    """
    try:
        _run(config, job)
    except Exception as error:
        tune.report({**failed_result(failed_by(error)), job["objective"]: math.nan})


def _run(config: dict[str, float], job: Mapping[str, Any]) -> None:
    unit, storage = with_settings(job["base"], config), job["storage"]
    if isinstance(unit, PretrainingUnit):
        targets = {name: ray.get(images) for name, images in job["targets"].items()}
        _pretrain(unit, _namespaced(storage, unit), ray.get(job["data"]), targets)
        return
    history = read_history(storage.ledger, unit.key)
    if history is not None:
        for epoch in history:
            tune.report(epoch)
        return
    trial = TrialRun(unit, ray.get(job["data"]), storage)
    for _ in range(unit.num_steps):
        tune.report(trial.step())


def _pretrain(
    unit: PretrainingUnit, storage: Storage, data: ClassificationData, targets: Mapping[str, Images]
) -> None:
    """Report what is recorded, then train on, in this process."""
    signal = Signal.of_study(unit.study.robustness)
    for found in recorded_reports(unit, storage, signal if targets else None):
        tune.report(found)
    kept = storage.pretraining_run(unit.key)

    def report(metrics: dict[str, Any], folder: Path | None) -> None:
        if folder is not None:
            atomic_write(kept / STATE, (folder / STATE).read_bytes())
        tune.report(metrics)

    resources = unit.study.resources
    device = usable_device(resources.of_worker.get("GPU", 0), GPU_SETTING)
    training = Pretraining(
        unit.encoder,
        unit.scheme,
        unit.recipe,
        data,
        device=device,
        loader_workers=resources.loader_workers,
    )
    state = _intact_state(kept)
    train_unit(unit, training, storage, targets, signal, num_processes=1, state=state, report=report)


def _intact_state(folder: StoragePath) -> dict[str, Any] | None:
    """Return what a pretraining goes on from, None where that is missing or damaged: it begins again."""
    try:
        return read_state(folder)
    except FileNotFoundError:
        return None
    except Exception as error:  # of damaged bytes, anything can come
        if not is_corruption(error, folder):
            raise
        _log.warning("%s is damaged (%s): this pretraining begins again", folder / STATE, reason(error))
        return None


def _resumed(study: optuna.Study) -> int:
    """Queue again what an interruption left open; return how many trials are finished."""
    interrupted = list(study.user_attrs.get(INTERRUPTED, []))
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.set_user_attr(INTERRUPTED, interrupted := [*interrupted, trial.number])
        if trial.params:
            study.enqueue_trial(trial.params)
    return sum(trial.state.is_finished() for trial in study.trials) - len(interrupted)


def search(
    base: Unit,
    storage: Storage,
    tracker: Tracker,
    *,
    objective: str,
    trials: int,
    scheduler: TrialScheduler,
    optuna_storage: str,
) -> list[Found]:
    """Search for the settings with the highest objective.

    Args:
        base: The unit whose settings are varied.
        storage: Where the ledger and the trials' encoders are.
        tracker: Where runs are shown.
        objective: What trials report every epoch, for example "robustness"; its last value counts.
        trials: How many settings are tried, those of earlier calls included.
        scheduler: Stops trials.
        optuna_storage: URL of the database with Optuna's study.

    Returns:
        All trials, the best first, those that failed last.

    Raises:
        WorkFailedError: The storage takes nothing, or machines lack what trials need; downstream trials that
            ran then have come to their end.
        KeyboardInterrupt: Ctrl-C; the same call goes on from there.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    database = optuna.storages.RDBStorage(optuna_storage)
    name = f"{objective.replace('/', '-')}-{digest(base.settings)}"
    study = optuna.create_study(storage=database, study_name=name, direction="maximize", load_if_exists=True)
    finished = _resumed(study)
    if finished < trials:
        _tune(base, storage, tracker, objective, trials - finished, scheduler, (database, name, finished))
    found = [
        _found(base, storage, trial)
        for trial in study.trials
        if trial.state.is_finished() and (trial.number not in study.user_attrs.get(INTERRUPTED, []))
    ]
    return sorted(found, key=lambda of: -float("inf") if of.value is None else of.value, reverse=True)


def _found(base: Unit, storage: Storage, trial: optuna.trial.FrozenTrial) -> Found:
    unit = with_settings(base, trial.params)
    if isinstance(unit, PretrainingUnit):
        epochs = storage.ledger.read("pretraining", unit.epoch_keys()).num_rows
    else:
        done = storage.ledger.has("evaluation", unit.key)
        epochs = unit.num_steps if done else max(trial.intermediate_values, default=0) + 1
    return Found(settings=trial.params, value=trial.value, epochs=epochs, key=unit.key)


def _tune(
    base: Unit,
    storage: Storage,
    tracker: Tracker,
    objective: str,
    trials: int,
    scheduler: TrialScheduler,
    optuna_study: tuple[optuna.storages.RDBStorage, str, int],
) -> None:
    """Run Tune on so many trials more."""
    study = base.study
    job: dict[str, Any] = {"base": base, "storage": storage, "objective": objective}
    if isinstance(base, PretrainingUnit):
        targets = targets_in_store(study) if objective == METRIC else {}
        job.update(data=ray.put(load_source(study.source)), targets=targets)
        asked = study.resources.of_worker
    else:
        job["data"] = ray.put(load_target(base.configuration.dataset, study.target))
        asked = study.resources.of_trial

    def record(config: dict[str, Any], history: Sequence[dict[str, Any]]) -> RunRecord:
        unit = with_settings(base, config)
        if isinstance(unit, PretrainingUnit):
            return reported_pretraining(unit, _namespaced(storage, unit), history)
        return evaluation_record(unit, storage, history)

    def end(config: dict[str, Any], record: RunRecord) -> None:
        unit = with_settings(base, config)
        if isinstance(unit, PretrainingUnit):
            with suppress(OSError):  # only what it could go on from
                delete(_namespaced(storage, unit).pretraining_run(unit.key))
        storage.failures.forget(unit.kind, unit.key)
        last, whole = max(record.epochs, default=0), _epochs(unit)
        if last >= whole:
            tracker.publish(record)
        else:
            tracker.stop(record, f"search for {objective}: stopped at epoch {last} of {whole}")

    def fail(config: dict[str, Any], failed: Failed) -> None:
        if not failed.permanent:  # else it is in the table
            unit = with_settings(base, config)
            record_failure(storage, unit, failed)
            _log.warning("%s failed: %s", unit.key, failed.reason)

    watch = FailureWatch(storage, "trials", trials)
    database, name, finished = optuna_study
    tuner = tune.Tuner(
        tune.with_resources(
            tune.with_parameters(_search_trial, job=job), tune.PlacementGroupFactory([asked])
        ),
        param_space=_space(base),
        tune_config=tune.TuneConfig(
            metric=objective,
            mode="max",
            # a seed that moves on, or a search that is gone on with draws the same settings again
            search_alg=_Optuna(storage=database, study_name=name, seed=finished),
            scheduler=scheduler,
            num_samples=trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=datetime.now(UTC).strftime("search-%Y%m%d-%H%M%S"),
            storage_path=str(storage.ray / "search"),
            stop=StopAfterFailures(watch, finish=isinstance(base, EvaluationUnit)),
            callbacks=[TrackTrials(record, tracker, end=end, fail=fail)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
            progress_reporter=ProgressBar(
                trials,
                title="search",
                epochs=lambda trial: _epochs(base),
                describe=lambda found: _best(found, objective),
            ),
            verbose=1,
        ),
    )
    results = tuner.fit()
    watch.check()
    if was_interrupted(results, trials):
        raise KeyboardInterrupt


def _epochs(unit: Unit) -> int:
    return unit.recipe.epochs if isinstance(unit, PretrainingUnit) else unit.num_steps


def _best(trials: Sequence[Trial], objective: str) -> str:
    results = [t.last_result for t in trials if t.is_finished()]
    values = [result[objective] for result in results if objective in result and FAILED not in result]
    return f"best {objective} {max(values):.3f}" if values else ""
