"""From rows of the ledger to what MLflow shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from raytransfer.results import DownstreamUnit, PretrainingUnit, ScoringUnit, Storage
from raytransfer.tracking.tracker import RunRecord

_PRETRAINING_METRICS = ("train/loss", "train/top1", "learning_rate", "val/loss", "val/top1", "val/top5")
_DOWNSTREAM_METRICS = ("train/loss", "test/dice", "test/jaccard")


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten settings into params; a section's keys get its name in front, except a target's own name."""
    params: dict[str, Any] = {}
    for key, value in settings.items():
        if not isinstance(value, dict):
            params[key] = value
            continue
        for inner, inner_value in value.items():
            params[f"{key}.{inner}"] = inner_value
    if "target.name" in params:
        params["dataset"] = params.pop("target.name")
    return params


def pretraining_record(
    unit: PretrainingUnit, storage: Storage, rows: Sequence[Mapping[str, Any]]
) -> RunRecord:
    """Return the record of a pretraining.

    Args:
        unit: The pretraining.
        storage: Where its series is.
        rows: Its epochs so far, as rows of the ledger.
    """
    series = storage.series(unit.encoder, unit.study.scheme)
    return RunRecord(
        kind="pretraining",
        key=unit.key,
        name=f"{unit.encoder} {unit.study.scheme}",
        params=_flat(unit.settings),
        epochs={row["epoch"]: {name: row[name] for name in _PRETRAINING_METRICS} for row in rows},
        config=unit.settings,
        artifacts={series.path(epoch): f"encoders/{series.path(epoch).name}" for epoch in series.epochs()},
    )


def scoring_record(unit: ScoringUnit, row: Mapping[str, Any]) -> RunRecord:
    """Return the record of a finished scoring; its metrics stand at the step of the checkpoint's epoch."""
    metrics: dict[str, float] = {}
    for score in row["scores"]:
        name = "robustness_pooled" if score["pooled"] else "robustness"
        metrics[f"train/{name}"] = score["score"]
        metrics[f"train/{name}_standard_error"] = score["standard_error"]
    return RunRecord(
        kind="robustness",
        key=unit.key,
        name=f"{unit.encoder} {unit.study.scheme} epoch {unit.epoch} on {unit.study.target.name}",
        params=_flat(unit.settings),
        epochs={unit.epoch: metrics},
        config=unit.settings,
    )


def downstream_record(
    unit: DownstreamUnit, storage: Storage, epochs: Mapping[int, Mapping[str, float]]
) -> RunRecord:
    """Return the record of a downstream trial.

    Args:
        unit: The trial.
        storage: Where its picture is.
        epochs: Epoch -> metrics, so far.
    """
    return RunRecord(
        kind="downstream",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs={e: {n: metrics[n] for n in _DOWNSTREAM_METRICS} for e, metrics in epochs.items()},
        config=unit.settings,
        artifacts={storage.trial_folder(unit.key) / "predictions.png": ""},
    )


def downstream_epochs(row: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Return epoch -> metrics from a finished trial's row of the ledger."""
    columns = {name: row[f"history_{name}"] for name in _DOWNSTREAM_METRICS}
    count = len(row["history_test/dice"])
    return {i + 1: {name: values[i] for name, values in columns.items()} for i in range(count)}
