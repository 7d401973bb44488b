"""The tables: schemas, the Parquet ledger, the units of work and their keys, recorded curves."""

from raytransfer.results.best_seed import all_seeds_finished, best_seed, keep_best_model
from raytransfer.results.curves import Choice, Curve, curves, incomplete, recorded
from raytransfer.results.durations import EpochSeconds, epoch_seconds
from raytransfer.results.ledger import DamagedLedgerError, Ledger
from raytransfer.results.provenance import git_sha, library_versions, result_row
from raytransfer.results.published import read_published
from raytransfer.results.signals import Signal, read_signal, rule_and_signal
from raytransfer.results.storage import Storage, write_json
from raytransfer.results.units import (
    Configuration,
    DownstreamUnit,
    Encoders,
    PretrainingUnit,
    ScoringUnit,
    configurations,
    downstream_units,
    pretraining_units,
    scoring_units,
)

__all__ = [
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
    "all_seeds_finished",
    "best_seed",
    "configurations",
    "curves",
    "downstream_units",
    "epoch_seconds",
    "git_sha",
    "incomplete",
    "keep_best_model",
    "library_versions",
    "pretraining_units",
    "read_published",
    "read_signal",
    "recorded",
    "result_row",
    "rule_and_signal",
    "scoring_units",
    "write_json",
]
