"""From rows of the ledger to what MLflow shows."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from raytransfer.evaluation.learning_curves import draw_learning_curves
from raytransfer.pretraining.methods.base import RATE, is_metric
from raytransfer.results.scores import read_scores
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit, PretrainingUnit, ScoringUnit
from raytransfer.runtime.gpu_metrics import SYSTEM
from raytransfer.scheduling.judgements import Judgement
from raytransfer.settings import digest, to_dict
from raytransfer.statistics.signals import Signal
from raytransfer.tracking.runs import FINAL_PERFORMANCE, RunRecord

_LOSSES = ("train/loss", "val/loss")


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten settings into params; a section's keys get its name in front."""
    params: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            params.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            params[key] = value
    return params


def recorded_metrics(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, float]]:
    """Return epoch -> metrics of a pretraining's rows of the ledger."""
    return {row["epoch"]: row["metrics"] for row in rows}


def _shown(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return an epoch's metrics of these names, and those of its GPU."""
    return {name: row[name] for name in row if name in names or name.startswith(SYSTEM)}


def pretraining_record(
    unit: PretrainingUnit,
    storage: Storage,
    trained: Mapping[int, Mapping[str, Any]],
    *,
    scores: Mapping[int, Mapping[str, float]] | None = None,
) -> RunRecord:
    """Return the record of a pretraining.

    Args:
        unit: The pretraining.
        storage: Where its series is.
        trained: Epoch -> metrics, of its epochs so far: `recorded_metrics`, or what was reported of them,
            of which all else but system metrics is left out.
        scores: Epoch -> the robustness of its encoder on each target, where it was scored live.
    """
    epochs = {
        epoch: {name: value for name, value in of.items() if is_metric(name) or name.startswith(SYSTEM)}
        for epoch, of in trained.items()
    }
    for epoch, found in (scores or {}).items():
        epochs[epoch] = {**epochs.get(epoch, {}), **found}
    series = storage.series(unit.encoder, unit.scheme)
    name = unit.primary_metric.removeprefix("val/")
    primary = [of[unit.primary_metric] for of in trained.values()]
    return RunRecord(
        kind="pretraining",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs=epochs,
        summary={f"summary/final_{name}": primary[-1], f"summary/best_{name}": max(primary)}
        if primary
        else {},
        documents={"config.json": unit.settings},
        artifacts={series.path(epoch): f"encoders/{series.path(epoch).name}" for epoch in series.epochs()},
        pictures={"curves.png": partial(_draw_pretraining, epochs=epochs, title=unit.name)}
        if trained
        else {},
    )


def _draw_pretraining(path: Path, *, epochs: Mapping[int, Mapping[str, float]], title: str) -> None:
    """Draw losses at the left, and what else the method measures at the right."""
    names = dict.fromkeys(name for of in epochs.values() for name in of if is_metric(name) and name != RATE)
    panels = [[n for n in names if n in _LOSSES], [n for n in names if n not in _LOSSES]]
    draw_learning_curves(path, epochs, [panel for panel in panels if panel], title=title)


def scoring_record(unit: ScoringUnit, row: Mapping[str, Any]) -> RunRecord:
    """Return the record of a finished scoring; its metrics stand at the step of the checkpoint's epoch.

    The metrics are the scores that choose checkpoints, pooled and not; all are in the artifact scores.json.

    Args:
        unit: The scoring.
        row: Its row of the ledger, or {"scores": []} where it failed.
    """
    metrics: dict[str, float] = {}
    indicator = unit.strategy.name
    scores = read_scores({"indicator": indicator, **row})
    for pooled, score in unit.chosen_scores(scores).items():
        name = f"train/{indicator}_pooled" if pooled else f"train/{indicator}"
        metrics[name] = score.value
        if score.standard_error is not None:
            metrics[f"{name}_standard_error"] = score.standard_error
    shown = {f"summary/{indicator}": metrics[name] for name in (f"train/{indicator}",) if name in metrics}
    return RunRecord(
        kind="score",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs={unit.epoch: metrics},
        summary=shown,
        documents={"config.json": unit.settings, "scores.json": {"scores": row["scores"]}},
    )


def stopping_record(
    unit: PretrainingUnit,
    rule: str,
    signal: Signal,
    judgements: Sequence[Judgement],
    scores: Mapping[int, Mapping[str, float]],
) -> RunRecord:
    """Return the record of what a stopping rule said of a pretraining, to compare rules by.

    Args:
        unit: The pretraining.
        rule: The rule as text.
        signal: Which scores it followed.
        judgements: What it said of each target.
        scores: Epoch -> the robustness on each target; what comes after the last decision is left out.
    """
    stop = max(judgement.epoch or 0 for judgement in judgements)
    asked = {"rule": rule, "signal": str(signal), "targets": [judgement.target for judgement in judgements]}
    selected = {j.target: j.selected_epoch for j in judgements if j.selected_epoch is not None}
    return RunRecord(
        kind="early-stopping",
        key=f"{unit.key}-{digest(asked, to_dict(unit.study.target), unit.study.robustness.seed)}",
        name=f"{unit.name}: {rule}",
        params={"encoder": unit.encoder, "scheme": unit.scheme, "rule": rule, "signal": str(signal)},
        epochs={epoch: of for epoch, of in scores.items() if epoch <= stop},
        summary={
            "summary/stop_epoch": stop,
            "summary/epochs_saved": unit.recipe.epochs - stop,
            **{f"summary/selected_epoch/{target}": epoch for target, epoch in selected.items()},
        },
        documents={"config.json": {**unit.settings, **asked}},
    )


def evaluation_record(
    unit: EvaluationUnit, storage: Storage, history: Sequence[Mapping[str, Any]]
) -> RunRecord:
    """Return the record of an evaluation.

    Args:
        unit: The evaluation.
        storage: Where its pictures are.
        history: Its steps so far: "epoch", "train/..." and "test/<metric>"; those of a running trial may have
            system metrics too.
    """
    primary = f"test/{unit.task.primary_metric.name}"
    performances = {row["epoch"]: row[primary] for row in history if math.isfinite(row[primary])}
    summary: dict[str, float] = {}
    if performances:
        best = max(performances, key=performances.__getitem__)
        summary = {"summary/best_performance": performances[best], "summary/best_epoch": best}
        summary[FINAL_PERFORMANCE] = history[-1][primary]
    folder = storage.trial_folder(unit.key)
    epochs = {
        row["epoch"]: {name: row[name] for name in row if name.startswith(("train/", "test/", SYSTEM))}
        for row in history
    }
    return RunRecord(
        kind="evaluation",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs=epochs,
        summary=summary,
        documents={"config.json": unit.settings},
        artifacts={folder / "predictions.png": "", folder / "curves.png": ""},
    )
