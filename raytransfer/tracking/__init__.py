"""MLflow: the runs that people compare."""

from raytransfer.tracking.records import downstream_record, pretraining_record, scoring_record
from raytransfer.tracking.runs import KINDS, RunRecord
from raytransfer.tracking.tracker import Tracker

__all__ = [
    "KINDS",
    "RunRecord",
    "Tracker",
    "downstream_record",
    "pretraining_record",
    "scoring_record",
]
