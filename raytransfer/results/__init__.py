"""The tables: schemas, the Parquet ledger, the units of work and their keys, recorded curves."""

from raytransfer.results.curves import Choice, Curve, Trained, curves, incomplete, recorded, trained
from raytransfer.results.durations import EpochSeconds, epoch_seconds, pretraining_epochs
from raytransfer.results.ledger import DamagedLedgerError, Ledger
from raytransfer.results.provenance import git_sha, library_versions, result_row
from raytransfer.results.published import read_published
from raytransfer.results.schemas import SCHEMAS
from raytransfer.results.signals import POOLINGS, Signal, read_signal, rule_and_signal
from raytransfer.results.storage import Storage, write_json
from raytransfer.results.units import (
    Configuration,
    DownstreamUnit,
    Encoders,
    PretrainingUnit,
    ScoringUnit,
    configurations,
    downstream_units,
    expected_series,
    pretraining_units,
    scoring_units,
)

__all__ = [
    "POOLINGS",
    "SCHEMAS",
    "Choice",
    "Configuration",
    "Curve",
    "DamagedLedgerError",
    "DownstreamUnit",
    "Encoders",
    "EpochSeconds",
    "Ledger",
    "PretrainingUnit",
    "ScoringUnit",
    "Signal",
    "Storage",
    "Trained",
    "configurations",
    "curves",
    "downstream_units",
    "epoch_seconds",
    "expected_series",
    "git_sha",
    "incomplete",
    "library_versions",
    "pretraining_epochs",
    "pretraining_units",
    "read_published",
    "read_signal",
    "recorded",
    "result_row",
    "rule_and_signal",
    "scoring_units",
    "trained",
    "write_json",
]
