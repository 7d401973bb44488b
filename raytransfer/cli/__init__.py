"""The command line of the experiments: options, and the checks that run before any work starts."""

import os

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from raytransfer.cli.checks import check_signal
from raytransfer.cli.command import main, main_on_records
from raytransfer.cli.options import filled, read_by, whole_number
from raytransfer.cli.records import Records
from raytransfer.cli.session import Session

__all__ = [
    "Records",
    "Session",
    "check_signal",
    "filled",
    "main",
    "main_on_records",
    "read_by",
    "whole_number",
]
