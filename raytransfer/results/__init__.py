"""The tables: schemas, the Parquet ledger, the units of work and their keys."""

from raytransfer.results.ledger import DamagedLedgerError, Ledger
from raytransfer.results.provenance import git_sha, library_versions, result_row
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
    "Configuration",
    "DamagedLedgerError",
    "DownstreamUnit",
    "Encoders",
    "Ledger",
    "PretrainingUnit",
    "ScoringUnit",
    "Storage",
    "configurations",
    "downstream_units",
    "git_sha",
    "library_versions",
    "pretraining_units",
    "result_row",
    "scoring_units",
    "write_json",
]
