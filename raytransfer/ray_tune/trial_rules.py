"""Stopping rules of many trials, fed with Tune's results, saved in a file per trial after every decision.

What becomes of unusual results, beside what `raytransfer.scheduling.rules` says of scores:

- The metric `<metric>` is one target; metrics `<metric>/...` are several, and then `<metric>` itself, what is
  reported for other schedulers, is not looked at.
- A target that a result lacks does not learn of that epoch; one that comes later gets its rule then.
- A result with no target at all, or without the time attribute, decides nothing.
- After all targets of a trial have stopped, it stays stopped.
"""

import copy
import json
import math
import posixpath
import uuid
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import pyarrow.fs
from ray.tune.utils import flatten_dict

from raytransfer.errors import InputError
from raytransfer.results.live import STANDARD_ERROR
from raytransfer.scheduling.registry import restored
from raytransfer.scheduling.rules import StoppingRule


class TrialRules:
    """One fresh rule per trial and target; a trial goes on until its last target stops.

    Args:
        rule: Builds a fresh rule, or is one, that is copied.
        time_attr: Result that counts epochs.
        metric: Result that holds the score, or the part before "/" of several.
        mode: "max" where higher scores are better, "min" where lower ones are.

    Raises:
        InputError: There is no such mode.
    """

    def __init__(
        self, rule: Callable[[], StoppingRule] | StoppingRule, *, time_attr: str, metric: str, mode: str
    ) -> None:
        if mode not in ("max", "min"):
            raise InputError(f"mode must be 'max' or 'min', got {mode!r}")
        self._make = (lambda: copy.deepcopy(rule)) if isinstance(rule, StoppingRule) else rule
        self._time_attr, self._metric, self._mode = time_attr, metric, mode
        self._trials: dict[str, dict[str, StoppingRule]] = {}
        self._files: tuple[pyarrow.fs.FileSystem, str] | None = None

    def save_under(self, folder: str, filesystem: pyarrow.fs.FileSystem | None = None) -> None:
        """Save every trial's rules under a folder from now on, and take up what is there.

        Args:
            folder: Path on the file system.
            filesystem: The local one where None.
        """
        self._files = (filesystem or pyarrow.fs.LocalFileSystem(), folder)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the files have: Tune keeps older copies of its stopper."""
        return {**self.__dict__, "_trials": {}} if self._files else self.__dict__

    def stops(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Take in a trial's result and return whether the trial is to stop.

        Raises:
            InputError: The trial's file is not one of these rules', or a rule needs what the result lacks.
        """
        rules = self._rules(trial_id)
        result = flatten_dict(dict(result))
        scores = self._scores(result)
        epoch = result.get(self._time_attr)
        if epoch is not None and scores:
            for target, (score, standard_error) in scores.items():
                rule = rules.setdefault(target, self._make())
                rule.update(epoch, score, standard_error)
            self._save(trial_id)
        return bool(rules) and all(rule.stopped for rule in rules.values())

    def selected(self, trial_id: str) -> dict[str, int | None]:
        """Return target -> the epoch whose checkpoint a trial would transfer to it."""
        return {target: rule.selected_epoch for target, rule in self._rules(trial_id).items()}

    def _scores(self, result: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
        """Return target -> (score, standard error), higher being better."""
        several = [n for n in result if n.startswith(f"{self._metric}/") and not n.endswith(STANDARD_ERROR)]
        targets = several or [name for name in (self._metric,) if name in result]
        sign = 1 if self._mode == "max" else -1
        return {
            name: (sign * result[name], result.get(name + STANDARD_ERROR, math.nan))
            for name in targets
            if isinstance(result[name], Real)
        }

    def _identity(self) -> dict[str, Any]:
        made = self._make().state()
        rule = {"rule": made["rule"], **made["arguments"]}
        return {"rule": rule, "time_attr": self._time_attr, "metric": self._metric, "mode": self._mode}

    def _rules(self, trial_id: str) -> dict[str, StoppingRule]:
        if trial_id not in self._trials:
            self._trials[trial_id] = self._read(trial_id)
        return self._trials[trial_id]

    def _path(self, trial_id: str) -> tuple[pyarrow.fs.FileSystem, str]:
        filesystem, folder = self._files or (None, "")
        return filesystem, posixpath.join(folder, f"{trial_id}.json")

    def _save(self, trial_id: str) -> None:
        if self._files is None:
            return
        filesystem, path = self._path(trial_id)
        targets = {target: rule.state() for target, rule in self._trials[trial_id].items()}
        filesystem.create_dir(posixpath.dirname(path), recursive=True)
        partial = f"{path}.{uuid.uuid4().hex}.partial"
        with filesystem.open_output_stream(partial) as file:
            file.write(json.dumps({**self._identity(), "targets": targets}).encode())
        filesystem.move(partial, path)

    def _read(self, trial_id: str) -> dict[str, StoppingRule]:
        if self._files is None:
            return {}
        filesystem, path = self._path(trial_id)
        if filesystem.get_file_info(path).type is pyarrow.fs.FileType.NotFound:
            return {}
        with filesystem.open_input_stream(path) as file:
            content = file.read()
        try:
            saved = json.loads(content)
            rules = {target: restored(state) for target, state in saved.pop("targets").items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is not the saved state of a stopping rule ({error}): delete it, and the trial's "
                "decisions start afresh"
            ) from error
        if saved != self._identity():
            raise InputError(
                f"{path} was saved by {saved}, not {self._identity()}: use the same rule, or delete it, and "
                "the trial's decisions start afresh"
            )
        return rules
