"""What MLflow is told of a unit of work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from raytransfer.storage.files import StoragePath

KINDS = ("pretraining", "score", "evaluation", "early-stopping")
"""Each is one MLflow experiment, `raytransfer-<kind>`."""

FINAL_PERFORMANCE = "summary/final_performance"
"""An evaluation's primary metric after its last step: what runs are listed by."""

FILTERS = ("encoder", "scheme", "epoch", "dataset", "protocol", "seed", "model")
"""Params by which people filter; they are tags too."""

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What MLflow shows of one unit of work, all of it so far: a later record stands for the earlier ones.

    Attributes:
        kind: One of `KINDS`.
        key: Key of the unit; found again by it. "" is the command's own run, which takes artifacts only.
        name: Run name for people.
        params: Its settings; see `FILTERS`.
        epochs: Epoch -> metrics, at the step of that epoch; shown as the artifact curves.csv too.
        summary: What one sorts by, at the step of the last epoch; logged when the run ends.
        documents: Artifacts by name, as JSON values: config.json, the resolved settings, and others.
        artifacts: Local file or folder -> folder among the run's artifacts, "" for the top; those that are
            not there are left out.
        pictures: Artifacts by name that are drawn when the run ends: functions of the file.
        model: File of `save_trained` that the run should have as an MLflow model.
    """

    kind: str
    key: str
    name: str
    params: Mapping[str, Any]
    epochs: Mapping[int, Mapping[str, float]]
    summary: Mapping[str, float] = field(default_factory=dict)
    documents: Mapping[str, Mapping[str, Any]]
    artifacts: Mapping[StoragePath, str] = field(default_factory=dict)
    pictures: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    model: StoragePath | None = None


@dataclass(frozen=True, kw_only=True)
class Update:
    """A record on its way to MLflow.

    Attributes:
        record: The unit so far.
        status: What its run is now.
        reason: Why it failed or was stopped, "" where it did not.
        times: Epoch -> when it was reported, milliseconds since 1970. The same for every attempt: MLflow
            stores an identical value once, so an attempt whose answer got lost can be repeated.
    """

    record: RunRecord
    status: Status
    reason: str = ""
    times: Mapping[int, int]

    @property
    def ends(self) -> bool:
        """Whether the run is over."""
        return self.status != "RUNNING"
