"""The tables: schemas, the Parquet ledger, the units of work and their keys, recorded curves."""

from raytransfer.results.best_seed import all_seeds_finished, best_seed, keep_best_model
from raytransfer.results.curves import Choice, Curve, Trained, curves, incomplete, recorded, trained
from raytransfer.results.durations import EpochSeconds, epoch_seconds, pretraining_epochs
from raytransfer.results.failures import Failure, Failures
from raytransfer.results.judgements import Judgement, judge
from raytransfer.results.ledger import DamagedLedgerError, Ledger
from raytransfer.results.live import (
    METRIC,
    STANDARD_ERROR,
    live_curves,
    scored_epochs,
    target_name,
    target_names,
    target_scores,
)
from raytransfer.results.patience import patiently
from raytransfer.results.provenance import git_sha, library_versions, result_row, scoring_row
from raytransfer.results.published import read_published
from raytransfer.results.schemas import SCHEMAS
from raytransfer.results.signals import Signal, read_signal, rule_and_signal
from raytransfer.results.storage import Storage
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
    "METRIC",
    "SCHEMAS",
    "STANDARD_ERROR",
    "Choice",
    "Configuration",
    "Curve",
    "DamagedLedgerError",
    "DownstreamUnit",
    "Encoders",
    "EpochSeconds",
    "Failure",
    "Failures",
    "Judgement",
    "Ledger",
    "PretrainingUnit",
    "ScoringUnit",
    "Signal",
    "Storage",
    "Trained",
    "all_seeds_finished",
    "best_seed",
    "configurations",
    "curves",
    "downstream_units",
    "epoch_seconds",
    "expected_series",
    "git_sha",
    "incomplete",
    "judge",
    "keep_best_model",
    "library_versions",
    "live_curves",
    "patiently",
    "pretraining_epochs",
    "pretraining_units",
    "read_published",
    "read_signal",
    "recorded",
    "result_row",
    "rule_and_signal",
    "scored_epochs",
    "scoring_row",
    "scoring_units",
    "target_name",
    "target_names",
    "target_scores",
    "trained",
]
