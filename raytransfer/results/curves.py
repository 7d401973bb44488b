"""Recorded curves: what is known of a pretraining's checkpoints, from the ledger or from published tables.

Both sources are brought into the two tables of `read_published`, of which `curves` makes the rest.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from raytransfer.results.evaluations import read_metrics
from raytransfer.results.ledger import Ledger
from raytransfer.results.schemas import read_rows
from raytransfer.results.units import EvaluationUnit, PretrainingUnit, ScoringUnit
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.performance import Trained
from raytransfer.statistics.untrained import UNTRAINED, share_untrained
from raytransfer.transferability.indicators.base import ScoreSpec, spec_of_columns


def curves(scores: pa.Table, downstream: pa.Table) -> list[Curve]:
    """Return one curve per model, dataset, scheme and protocol that is complete; see `incomplete`.

    Trials of epoch 0 serve every scheme that has none of its own. Two rows of one seed count as one.

    Args:
        scores: One row per checkpoint and score spec, as `read_published` and `recorded` give them. A
            spec that some checkpoint of a curve lacks is left out of the curve.
        downstream: One row per training; a null `performance` is a training that should be there and is not.
    """
    return [found for found in _assemble(scores, downstream) if isinstance(found, Curve)]


def incomplete(scores: pa.Table, downstream: pa.Table) -> list[str]:
    """Return what `curves` leaves out and why, a line per model, dataset, scheme and protocol."""
    return [found for found in _assemble(scores, downstream) if isinstance(found, str)]


def _assemble(scores: pa.Table, downstream: pa.Table) -> list[Curve | str]:
    """Return per configuration its curve or, where something is missing, a line that says what."""
    scored = _scores(scores)
    found: list[Curve | str] = []
    metrics = dict(_rows(downstream, ["dataset", "metric"]))
    for (model, dataset, encoder, scheme, protocol), checkpoints in trained(downstream).items():
        epochs = tuple(sorted(checkpoints))
        choices = scored.get((dataset, encoder, scheme), {})
        complete = {choice: of for choice, of in choices.items() if set(epochs) <= of.keys()}
        lacking = [epoch for epoch in epochs if None in checkpoints[epoch][0]]
        name = f"{model} {dataset} {scheme} {protocol}"
        if lacking:
            found.append(f"{name}: trainings are missing of epoch {', '.join(map(str, lacking))}")
        elif not complete:
            seen = set().union(*choices.values())
            of = ", ".join(str(epoch) for epoch in epochs if epoch not in seen)
            found.append(f"{name}: scores are missing of epoch {of or 'some'}")
        else:
            found.append(
                Curve(
                    model=model,
                    encoder=encoder,
                    dataset=dataset,
                    scheme=scheme,
                    protocol=protocol,
                    metric=metrics[dataset],
                    epochs=epochs,
                    performances=tuple(checkpoints[epoch][0] for epoch in epochs),
                    scores={c: tuple(of[e][0] for e in epochs) for c, of in complete.items()},
                    standard_errors={c: tuple(of[e][1] for e in epochs) for c, of in complete.items()},
                    source_accuracy=tuple(checkpoints[epoch][1] for epoch in epochs),
                )
            )
    return found


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _scores(table: pa.Table) -> dict[tuple[str, str, str], dict[ScoreSpec, dict[int, tuple[float, float]]]]:
    """Return (dataset, encoder, scheme) -> spec -> epoch -> (score, standard error)."""
    keys = ["dataset", "encoder", "scheme", "indicator", "level", "pooled", "options"]
    values = ["epoch", "value", "standard_error"]
    groups = table.group_by(keys, use_threads=False).aggregate([(name, "list") for name in values])
    found: dict[tuple[str, str, str], dict[ScoreSpec, dict[int, tuple[float, float]]]] = {}
    for dataset, encoder, scheme, indicator, level, pooled, options, epochs, of, errors in _rows(
        groups, [*keys, *(f"{name}_list" for name in values)]
    ):
        choice = spec_of_columns(indicator, level, pooled, options)
        series = zip(of, map(_number, errors), strict=True)
        found.setdefault((dataset, encoder, scheme), {})[choice] = dict(zip(epochs, series, strict=True))
    return found


def trained(table: pa.Table) -> Trained:
    """Return what downstream trainings gave, complete or not; arguments and rules as of `curves`."""
    keys = ["model", "dataset", "encoder", "scheme", "protocol"]
    names = [*keys, "epoch", "seed"]
    groups = table.group_by(names, use_threads=False).aggregate(
        [("performance", "mean"), ("source_accuracy", "min")]
    )
    cells: dict[tuple[str, ...], dict[int, dict[int, tuple[float | None, float]]]] = {}
    for row in _rows(groups, [*names, "performance_mean", "source_accuracy_min"]):
        epoch, seed, performance, accuracy = row[5:]
        cells.setdefault(row[:5], {}).setdefault(epoch, {})[seed] = (performance, _number(accuracy))
    found = {}
    for key, checkpoints in share_untrained(cells, lambda key: (*key[:3], key[4])).items():
        if set(checkpoints) == {UNTRAINED}:
            continue  # no pretraining of its own: it only serves the other schemes
        found[key] = {
            epoch: (tuple(of[seed][0] for seed in sorted(of)), next(iter(of.values()))[1])
            for epoch, of in checkpoints.items()
        }
    return found


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def recorded(
    ledger: Ledger, scorings: Sequence[ScoringUnit], trials: Sequence[EvaluationUnit]
) -> tuple[pa.Table, pa.Table]:
    """Return what the ledger has of a study as the two tables of `read_published`.

    Args:
        ledger: The results.
        scorings: Scorings of the study; those that are not in the ledger give no rows.
        trials: Evaluations of the study; those that are not in the ledger have nulls for metrics.
    """
    return _recorded_scores(ledger, scorings), _recorded_trials(ledger, trials)


def _recorded_scores(ledger: Ledger, scorings: Sequence[ScoringUnit]) -> pa.Table:
    import pyarrow.compute as pc  # slow to import, and nobody who only reads a name needs it

    table = ledger.read("score", [unit.key for unit in scorings]).combine_chunks()
    score = pc.list_flatten(table["scores"])
    names = ["dataset", "encoder", "scheme", "epoch", "indicator"]
    of = table.select(names).take(pc.list_parent_indices(table["scores"]))
    for name in ("level", "pooled", "options", "value", "standard_error"):
        of = of.append_column(name, pc.struct_field(score, name))
    return of


def _recorded_trials(ledger: Ledger, trials: Sequence[EvaluationUnit]) -> pa.Table:
    found = read_metrics(ledger, [unit.key for unit in trials])
    accuracy = _source_accuracies(ledger, trials)
    names = dict.fromkeys(name for unit in trials for name in unit.task.metric_names)
    rows = []
    for unit in trials:
        metrics, primary = found.get(unit.key, {}), unit.task.primary_metric
        identity = {**vars(unit.configuration), "encoder": unit.encoder, "seed": unit.seed}
        result = {"metric": primary.label, "performance": metrics.get(primary.name)}
        source = {"source_accuracy": accuracy.get(_epoch_key(unit))}
        rows.append({**identity, **result, **source, **{name: metrics.get(name) for name in names}})
    return pa.Table.from_pylist(rows, schema=trials_schema(names))


def _pretraining(unit: EvaluationUnit) -> PretrainingUnit:
    return PretrainingUnit(study=unit.study, encoder=unit.encoder, scheme=unit.configuration.scheme)


def _epoch_key(unit: EvaluationUnit) -> str:
    return _pretraining(unit).epoch_key(unit.configuration.epoch)


def _source_accuracies(ledger: Ledger, trials: Sequence[EvaluationUnit]) -> dict[str, float]:
    primary = {_epoch_key(unit): _pretraining(unit).primary_metric for unit in trials}
    rows = read_rows(ledger.read("pretraining", primary))
    return {row["key"]: row["metrics"][primary[row["key"]]] for row in rows}


def trials_schema(metric_names: Iterable[str]) -> pa.Schema:
    """Return the schema of a table of trainings with a column for each of these metrics."""
    texts = ("model", "dataset", "encoder", "scheme", "protocol", "metric")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("epoch", pa.int64()),
            ("seed", pa.int64()),
            *((name, pa.float64()) for name in ("source_accuracy", "performance", *metric_names)),
        ]
    )
