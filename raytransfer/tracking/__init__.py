"""MLflow: the runs that people compare."""

from raytransfer.tracking.records import (
    PRETRAINING_METRICS,
    downstream_record,
    pretraining_record,
    scoring_record,
    stopping_record,
)
from raytransfer.tracking.runs import KINDS, RunRecord
from raytransfer.tracking.tracker import Tracker, store_uri

__all__ = [
    "KINDS",
    "PRETRAINING_METRICS",
    "RunRecord",
    "Tracker",
    "downstream_record",
    "pretraining_record",
    "scoring_record",
    "stopping_record",
    "store_uri",
]
