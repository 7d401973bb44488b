"""What work that only reads is done with: a study's results, or the thesis's published tables."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pyarrow as pa

from raytransfer.commands import command
from raytransfer.errors import InputError
from raytransfer.pipeline.study import with_known_data
from raytransfer.results.curves import curves, incomplete, recorded
from raytransfer.results.durations import EpochSeconds, epoch_seconds, pretraining_epochs
from raytransfer.results.schemas import SCHEMAS
from raytransfer.results.storage import Storage
from raytransfer.results.units import (
    configurations,
    evaluation_units,
    expected_series,
    pretraining_units,
    scoring_units,
)
from raytransfer.statistics.curves import Curve
from raytransfer.study import Study

PUBLISHED_FILES = ("robustness_scores.csv", "downstream_scores.csv")


@dataclass(frozen=True, kw_only=True)
class Records:
    """What work that only reads is done with.

    Attributes:
        study: The resolved settings; of the published tables, `robustness` counts.
        curves: Recorded curves that are complete.
        epoch_seconds: (encoder, scheme) -> epoch -> seconds it took, as far as recorded.
        trials: The downstream trainings behind the curves, as `recorded` and `read_published` give them.
        pretraining: The ledger's rows of pretraining epochs; empty for the published tables.
        expected: What is complete when nothing is missing, as `expected_series`.
        missing: What is left out and why, a line each.
        fill: The command that computes what is missing.
        storage: Where the study is; None for the published tables.
    """

    study: Study
    curves: list[Curve]
    epoch_seconds: EpochSeconds
    trials: pa.Table
    pretraining: pa.Table
    expected: Mapping[tuple[str, str, str, str], tuple[int, ...]]
    missing: tuple[str, ...]
    fill: str
    storage: Storage | None


def published_tables(folder: Path) -> tuple[pa.Table, pa.Table]:
    """Read the thesis's published tables."""
    if not folder.is_dir():
        raise InputError(f"--published: there is no folder {folder}")
    for name in PUBLISHED_FILES:
        if not (folder / name).is_file():
            raise InputError(f"--published: there is no file {folder / name}")
    from raytransfer.thesis.published import read_published  # slow to import

    return read_published(*(folder / name for name in PUBLISHED_FILES))


def of_published(folder: Path, study: Study) -> Records:
    """Read the thesis's published tables."""
    scores, trials = published_tables(folder)
    names = (trials[name].unique().to_pylist() for name in ("model", "dataset", "scheme", "protocol"))
    epochs = tuple(sorted(trials["epoch"].unique().to_pylist()))
    return Records(
        study=study,
        curves=curves(scores, trials),
        epoch_seconds={},
        trials=trials,
        pretraining=SCHEMAS["pretraining"].empty_table(),
        expected=dict.fromkeys(product(*names), epochs),
        missing=tuple(incomplete(scores, trials)),
        fill=command("grid", "--preset", "thesis"),
        storage=None,
    )


def of_study(study: Study, storage: Storage, fill: str) -> Records:
    """Read the results of a study from the ledger, naming on stderr what it lacks.

    Args:
        study: The resolved settings.
        storage: Where the results are.
        fill: The command that computes what is missing.

    Raises:
        InputError: Nothing is recorded; the message says which command makes it.
    """
    expected = expected_series(study)
    study, missing = with_known_data(study)
    if not storage.ledger.root.is_dir():
        raise InputError(f"nothing is recorded under {storage.root}: {fill}")
    storage.ledger.check()
    units = pretraining_units(study)
    encoders = storage.catalog.encoders(units)
    trials = evaluation_units(study, configurations(study), encoders)
    tables = recorded(storage.ledger, scoring_units(study, encoders), trials)
    left_out = incomplete(*tables)
    for line in left_out:
        print(f"left out: {line}", file=sys.stderr)
    pretraining = pretraining_epochs(storage.ledger, units)
    if not any(table.num_rows for table in (*tables, pretraining)):
        raise InputError(f"nothing is recorded of this study under {storage.root}: {fill}")
    return Records(
        study=study,
        curves=curves(*tables),
        epoch_seconds=epoch_seconds(pretraining),
        trials=tables[1],
        pretraining=pretraining,
        expected=expected,
        missing=(*missing, *left_out),
        fill=fill,
        storage=storage,
    )
