"""Evaluations as the ledger has them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raytransfer.results.ledger import Ledger
from raytransfer.results.provenance import result_row
from raytransfer.results.schemas import read_rows
from raytransfer.results.units import EvaluationUnit


def evaluation_row(
    unit: EvaluationUnit, history: Sequence[Mapping[str, float]], *, seconds: float
) -> dict[str, Any]:
    """Return the ledger's row of a finished evaluation.

    Args:
        unit: The evaluation.
        history: Its steps: "epoch" and metrics; the tests of the last one count.
        seconds: How long it took.
    """
    steps: list[dict[str, Any]] = [
        {"epoch": step["epoch"], "metrics": {name: step[name] for name in step if name != "epoch"}}
        for step in history
    ]
    last = steps[-1]["metrics"]
    tests = {name.removeprefix("test/"): value for name, value in last.items() if name.startswith("test/")}
    return result_row(
        key=unit.key, settings=unit.settings, seconds=seconds,
        **vars(unit.configuration), encoder=unit.encoder, encoder_sha256=unit.encoder_sha256,
        seed=unit.seed, metrics=tests, history=steps,
    )  # fmt: skip


def read_metrics(ledger: Ledger, keys: Iterable[str] | None) -> dict[str, dict[str, float]]:
    """Return key -> metrics of the finished evaluations among many; of all where `keys` is None."""
    return {row["key"]: row["metrics"] for row in read_rows(ledger.read("evaluation", keys))}


def read_history(ledger: Ledger, key: str) -> list[dict[str, Any]] | None:
    """Return the steps of a finished evaluation: "epoch" and metrics; None where it is not finished."""
    for row in read_rows(ledger.read("evaluation", [key])):
        return [{"epoch": step["epoch"], **step["metrics"]} for step in row["history"]]
    return None


def performance(unit: EvaluationUnit, metrics: Mapping[str, float]) -> float:
    """Return an evaluation's primary metric; minus infinity where it is NaN, so that any other is better."""
    value = metrics[unit.task.primary_metric.name]
    return -math.inf if math.isnan(value) else value
