"""From rows of the ledger to what MLflow shows."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from raytransfer.evaluation.learning_curves import draw_learning_curves
from raytransfer.metrics.names import METRICS
from raytransfer.results.judgements import Judgement
from raytransfer.results.signals import Signal
from raytransfer.results.storage import Storage
from raytransfer.results.units import DownstreamUnit, PretrainingUnit, ScoringUnit
from raytransfer.runtime.gpu_metrics import SYSTEM
from raytransfer.settings import digest, to_dict
from raytransfer.tracking.runs import RunRecord

PRETRAINING_METRICS = ("train/loss", "train/top1", "learning_rate", "val/loss", "val/top1", "val/top5")


_PRETRAINING_CURVES = (("train/loss", "val/loss"), ("train/top1", "val/top1", "val/top5"))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten settings into params; a section's keys get its name in front."""
    params: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            params.update({f"{key}.{inner}": inner_value for inner, inner_value in value.items()})
        else:
            params[key] = value
    return params


def _shown(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Return an epoch's metrics of these names, and those of its GPU."""
    return {name: row[name] for name in row if name in names or name.startswith(SYSTEM)}


def pretraining_record(
    unit: PretrainingUnit,
    storage: Storage,
    rows: Sequence[Mapping[str, Any]],
    *,
    scores: Mapping[int, Mapping[str, float]] | None = None,
) -> RunRecord:
    """Return the record of a pretraining.

    Args:
        unit: The pretraining.
        storage: Where its series is.
        rows: Its epochs so far, as rows of the ledger; what reported them may have system metrics too.
        scores: Epoch -> the robustness of its encoder on each target, where it was scored live.
    """
    epochs = {row["epoch"]: _shown(row, PRETRAINING_METRICS) for row in rows}
    for epoch, found in (scores or {}).items():
        epochs[epoch] = {**epochs.get(epoch, {}), **found}
    series = storage.series(unit.encoder, unit.scheme)
    top1 = [row["val/top1"] for row in rows]
    return RunRecord(
        kind="pretraining",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs=epochs,
        summary={"summary/final_top1": top1[-1], "summary/best_top1": max(top1)} if top1 else {},
        documents={"config.json": unit.settings},
        artifacts={series.path(epoch): f"encoders/{series.path(epoch).name}" for epoch in series.epochs()},
        pictures={"curves.png": partial(_draw_pretraining, epochs=epochs, title=unit.name)} if rows else {},
    )


def _draw_pretraining(path: Path, *, epochs: Mapping[int, Mapping[str, float]], title: str) -> None:
    draw_learning_curves(path, epochs, _PRETRAINING_CURVES, title=title)


def scoring_record(unit: ScoringUnit, row: Mapping[str, Any]) -> RunRecord:
    """Return the record of a finished scoring; its metrics stand at the step of the checkpoint's epoch.

    The metrics are the scores that choose checkpoints, pooled and not; all are in the artifact scores.json.
    """
    metrics: dict[str, float] = {}
    for pooled, score in unit.chosen_scores(row["scores"]).items():
        name = "robustness_pooled" if pooled else "robustness"
        metrics[f"train/{name}"] = score["score"]
        metrics[f"train/{name}_standard_error"] = score["standard_error"]
    return RunRecord(
        kind="robustness",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs={unit.epoch: metrics},
        summary={"summary/robustness": metrics["train/robustness"]} if metrics else {},
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


def downstream_record(
    unit: DownstreamUnit, storage: Storage, history: Sequence[Mapping[str, Any]]
) -> RunRecord:
    """Return the record of a downstream trial.

    Args:
        unit: The trial.
        storage: Where its pictures are.
        history: Its epochs so far, as in the ledger: "epoch", "train/loss" and "test/<metric>"; those of a
            running trial may have system metrics too.
    """
    names = ("train/loss", *(f"test/{metric}" for metric in METRICS))
    dices = {row["epoch"]: row["test/dice"] for row in history if math.isfinite(row["test/dice"])}
    summary: dict[str, float] = {}
    if dices:
        best = max(dices, key=dices.__getitem__)
        summary = {"summary/best_dice": dices[best], "summary/best_epoch": best}
        summary["summary/final_dice"] = history[-1]["test/dice"]
    folder = storage.trial_folder(unit.key)
    return RunRecord(
        kind="downstream",
        key=unit.key,
        name=unit.name,
        params=_flat(unit.settings),
        epochs={row["epoch"]: _shown(row, names) for row in history},
        summary=summary,
        documents={"config.json": unit.settings},
        artifacts={folder / "predictions.png": "", folder / "curves.png": ""},
    )
