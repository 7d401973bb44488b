"""Recorded curves: what is known of a pretraining's checkpoints, from the ledger or from published tables.

Both sources are brought into the two tables of `read_published`, of which `curves` makes the rest.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import stdev
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from raytransfer.metrics.names import METRICS
from raytransfer.metrics.ranking import transferability_indicator_score
from raytransfer.models.names import num_levels
from raytransfer.results.ledger import Ledger
from raytransfer.results.units import DownstreamUnit, PretrainingUnit, ScoringUnit


class Choice(NamedTuple):
    """A parameter choice of the robustness indicator.

    Attributes:
        distance: "cosine", "l2" or "pearson".
        margin: Margin of the hinge.
        level: Encoder level from the end, -1 the deepest, so that encoders of 4 and 5 levels compare.
        pooled: Whether representations are averaged over space.
    """

    distance: str
    margin: float
    level: int
    pooled: bool


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What one model on one dataset in one protocol shows about the checkpoints of one pretraining.

    Attributes:
        model: Segmentation model.
        encoder: Its encoder.
        dataset: Target dataset.
        scheme: Pretraining scheme.
        protocol: "fine_tuning" or "frozen".
        epochs: Epochs of pretraining of the checkpoints, ascending; 0 is the untrained encoder.
        performances: Downstream Dice per checkpoint and seed, in [0, 1], seeds ascending.
        scores: Parameter choice -> score per checkpoint, higher is better.
        standard_errors: Parameter choice -> standard error of the scores over images; NaN: not recorded.
        source_accuracy: Validation accuracy on the source data per checkpoint, in [0, 1]; NaN: not recorded.
    """

    model: str
    encoder: str
    dataset: str
    scheme: str
    protocol: str
    epochs: tuple[int, ...]
    performances: tuple[tuple[float, ...], ...]
    scores: Mapping[Choice, tuple[float, ...]]
    standard_errors: Mapping[Choice, tuple[float, ...]]
    source_accuracy: tuple[float, ...]

    @cached_property
    def dice(self) -> tuple[float, ...]:
        """Mean Dice over seeds per checkpoint."""
        return tuple(sum(seeds) / len(seeds) for seeds in self.performances)

    @cached_property
    def spread(self) -> tuple[float, ...]:
        """Standard deviation of the Dice over seeds (n - 1) per checkpoint; NaN for one seed."""
        return tuple(stdev(seeds) if len(seeds) > 1 else math.nan for seeds in self.performances)

    def points(self, choice: Choice) -> list[tuple[int, float]]:
        """Return (epoch, score) pairs, what stopping rules take."""
        return list(zip(self.epochs, self.scores[choice], strict=True))

    @cached_property
    def _tis(self) -> dict[int, float]:
        choices = np.eye(len(self.epochs)).tolist()
        return {
            e: transferability_indicator_score(c, self.dice)
            for e, c in zip(self.epochs, choices, strict=True)
        }

    def tis(self, epoch: int | None) -> float:
        """Return the TIS of taking this epoch's checkpoint; NaN where there is none."""
        return math.nan if epoch is None else self._tis.get(epoch, math.nan)

    @cached_property
    def _seed_tis(self) -> dict[int, tuple[float, ...]]:
        by_seed = np.array(list(zip(*self.performances, strict=False)))
        relative = (by_seed / by_seed.max(1, keepdims=True)).T
        return {e: tuple(seeds) for e, seeds in zip(self.epochs, relative.tolist(), strict=True)}

    def seed_tis(self, epoch: int | None) -> tuple[float, ...]:
        """Return the TIS by the Dice of each seed alone, the best checkpoint being that seed's best.

        Where checkpoints have different numbers of seeds, the smallest counts.
        """
        nothing = (math.nan,) * min(map(len, self.performances))
        return nothing if epoch is None else self._seed_tis.get(epoch, nothing)


def curves(scores: pa.Table, downstream: pa.Table) -> list[Curve]:
    """Return one curve per model, dataset, scheme and protocol that is complete; see `incomplete`.

    Trials of epoch 0 serve every scheme that has none of its own. Two rows of one seed count as one.

    Args:
        scores: One row per checkpoint and parameter choice, as `read_published` and `recorded` give them. A
            choice that some checkpoint of a curve lacks is left out of the curve.
        downstream: One row per training; a null `dice` is a training that should be there and is not.
    """
    return [found for found in _assemble(scores, downstream) if isinstance(found, Curve)]


def incomplete(scores: pa.Table, downstream: pa.Table) -> list[str]:
    """Return what `curves` leaves out and why, a line per model, dataset, scheme and protocol."""
    return [found for found in _assemble(scores, downstream) if isinstance(found, str)]


def _assemble(scores: pa.Table, downstream: pa.Table) -> list[Curve | str]:
    """Return per configuration its curve or, where something is missing, a line that says what."""
    scored = _scores(scores)
    found: list[Curve | str] = []
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


def _scores(table: pa.Table) -> dict[tuple[str, str, str], dict[Choice, dict[int, tuple[float, float]]]]:
    """Return (dataset, encoder, scheme) -> choice -> epoch -> (score, standard error)."""
    keys = ["dataset", "encoder", "scheme", "distance", "margin", "level", "pooled"]
    values = ["epoch", "score", "standard_error"]
    groups = table.group_by(keys, use_threads=False).aggregate([(name, "list") for name in values])
    found: dict[tuple[str, str, str], dict[Choice, dict[int, tuple[float, float]]]] = {}
    for dataset, encoder, scheme, distance, margin, level, pooled, epochs, of, errors in _rows(
        groups, [*keys, *(f"{name}_list" for name in values)]
    ):
        choice = Choice(distance, margin, level - num_levels(encoder) - 1, pooled)
        series = zip(of, map(_number, errors), strict=True)
        found.setdefault((dataset, encoder, scheme), {})[choice] = dict(zip(epochs, series, strict=True))
    return found


Trained = Mapping[tuple[str, ...], dict[int, tuple[tuple[Any, ...], float]]]
"""(model, dataset, encoder, scheme, protocol) -> epoch -> (Dice per seed, None if missing; source
accuracy)."""


def trained(table: pa.Table) -> Trained:
    """Return what downstream trainings gave, complete or not; arguments and rules as of `curves`."""
    keys = ["model", "dataset", "encoder", "scheme", "protocol"]
    names = [*keys, "epoch", "seed"]
    groups = table.group_by(names, use_threads=False).aggregate(
        [("dice", "mean"), ("source_accuracy", "min")]
    )
    cells: dict[tuple[str, ...], dict[int, dict[int, tuple[float | None, float]]]] = {}
    for row in _rows(groups, [*names, "dice_mean", "source_accuracy_min"]):
        epoch, seed, dice, accuracy = row[5:]
        cells.setdefault(row[:5], {}).setdefault(epoch, {})[seed] = (dice, _number(accuracy))
    untrained = {(*key[:3], key[4]): of[0] for key, of in cells.items() if 0 in of}
    found = {}
    for key, checkpoints in cells.items():
        if set(checkpoints) == {0}:
            continue  # no pretraining of its own: it only serves the other schemes
        if (shared := untrained.get((*key[:3], key[4]))) is not None:
            checkpoints.setdefault(0, shared)
        found[key] = {
            epoch: (tuple(of[seed][0] for seed in sorted(of)), next(iter(of.values()))[1])
            for epoch, of in checkpoints.items()
        }
    return found


def _rows(table: pa.Table, columns: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    return zip(*(table[name].to_pylist() for name in columns), strict=True)


def recorded(
    ledger: Ledger, scorings: Sequence[ScoringUnit], trials: Sequence[DownstreamUnit]
) -> tuple[pa.Table, pa.Table]:
    """Return what the ledger has of a study as the two tables of `read_published`.

    Args:
        ledger: The results.
        scorings: Scorings of the study; those that are not in the ledger give no rows.
        trials: Downstream trials of the study; those that are not in the ledger have nulls for metrics.
    """
    return _recorded_scores(ledger, scorings), _recorded_trials(ledger, trials)


def _recorded_scores(ledger: Ledger, scorings: Sequence[ScoringUnit]) -> pa.Table:
    table = ledger.read("robustness", [unit.key for unit in scorings]).combine_chunks()
    import pyarrow.compute as pc  # slow to import, and nobody who only reads a name needs it

    score = pc.list_flatten(table["scores"])
    of = table.select(["dataset", "encoder", "scheme", "epoch"]).take(pc.list_parent_indices(table["scores"]))
    for name in ("distance", "margin", "level", "pooled", "score", "standard_error"):
        of = of.append_column(name, pc.struct_field(score, name))
    return of


def _recorded_trials(ledger: Ledger, trials: Sequence[DownstreamUnit]) -> pa.Table:
    done = ledger.read("downstream", [unit.key for unit in trials]).select(["key", *METRICS]).to_pylist()
    metrics = {row.pop("key"): row for row in done}
    accuracy = _source_accuracies(ledger, trials)
    nothing = dict.fromkeys(METRICS)
    rows = [
        {
            **vars(unit.configuration),
            "encoder": unit.encoder,
            "seed": unit.seed,
            "source_accuracy": accuracy.get(_epoch_key(unit)),
            **metrics.get(unit.key, nothing),
        }
        for unit in trials
    ]
    return pa.Table.from_pylist(rows, schema=_TRIALS)


def _epoch_key(unit: DownstreamUnit) -> str:
    c = unit.configuration
    return PretrainingUnit(study=unit.study, encoder=unit.encoder, scheme=c.scheme).epoch_key(c.epoch)


def _source_accuracies(ledger: Ledger, trials: Sequence[DownstreamUnit]) -> dict[str, float]:
    keys = dict.fromkeys(_epoch_key(unit) for unit in trials)
    table = ledger.read("pretraining", keys)
    return dict(zip(table["key"].to_pylist(), table["val/top1"].to_pylist(), strict=True))


_TRIALS = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "dataset", "encoder", "scheme", "protocol")),
        ("epoch", pa.int64()),
        ("seed", pa.int64()),
        *((name, pa.float64()) for name in ("source_accuracy", *METRICS)),
    ]
)
