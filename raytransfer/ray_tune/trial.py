"""One evaluation as a Tune class Trainable, so that actors are reused from trial to trial."""

import time
from functools import partial
from typing import Any

import ray
from ray import tune

from raytransfer.data.arrays import TargetData
from raytransfer.evaluation.learning_curves import draw_learning_curves
from raytransfer.evaluation.testing import predict_logits
from raytransfer.evaluation.trained import save_trained
from raytransfer.models.checkpoints import load_encoder
from raytransfer.ray_train.failed import failed_by
from raytransfer.ray_tune.failed_trials import failed_result
from raytransfer.results.best_seed import keep_best_model
from raytransfer.results.evaluations import evaluation_row, read_history
from raytransfer.results.provenance import git_sha, library_versions
from raytransfer.results.storage import Storage
from raytransfer.results.units import EvaluationUnit
from raytransfer.runtime.devices import usable_device
from raytransfer.runtime.gpu_metrics import gpu_metrics
from raytransfer.storage.files import StoragePath, atomic_write, write_json
from raytransfer.storage.retrying import retry_on_storage_error


class TrialRun:
    """A unit under way: a step per call, and at the end pictures, model, config and ledger row.

    Args:
        unit: What to evaluate.
        data: The target data.
        storage: Where its encoder is, and where results go.

    Raises:
        CorruptCheckpointError: The encoder cannot be read.
        ReplacedCheckpointError: The encoder is not the one the unit names.
        UnusableGpuError: It asks for a GPU, and torch can use none here.
    """

    def __init__(self, unit: EvaluationUnit, data: TargetData, storage: Storage) -> None:
        self._unit, self._data, self._storage = unit, data, storage
        self._started = time.monotonic()
        self._history: list[dict[str, Any]] = []
        evaluated = unit.configuration
        gpus = unit.study.resources.gpus_per_trial
        device = usable_device(gpus, f"resources.gpus_per_trial={gpus:g}")
        path = storage.series(unit.encoder, evaluated.scheme).path(evaluated.epoch)
        encoder, _ = load_encoder(path, sha256=unit.encoder_sha256)
        self._evaluation = unit.protocol.start(
            evaluated.model, encoder, unit.study.downstream, data, seed=unit.seed, device=device
        )

    def step(self) -> dict[str, Any]:
        """Do one step; return its metrics, those of its GPU, "epoch" and "done"."""
        with gpu_metrics(self._evaluation.device) as system:
            metrics = self._evaluation.step()
        result = {"epoch": len(self._history) + 1, **metrics}
        self._history.append(result)
        done = len(self._history) >= self._unit.num_steps
        if done:
            patience = self._unit.study.resources.storage_patience
            retry_on_storage_error(lambda: self._finish(dict(metrics)), seconds=patience)
        return {**result, **system, "done": done}

    def _finish(self, metrics: dict[str, float]) -> None:
        unit, data, task = self._unit, self._data, self._unit.task
        model, device = self._evaluation.model, self._evaluation.device
        folder = self._storage.trial_folder(unit.key)
        origin = {"git_sha": git_sha(), "versions": library_versions(), "results": metrics}
        write_json(folder / "config.json", {**unit.settings, **origin})
        primary = task.primary_metric
        title = f"{unit.name}: {primary.label} {metrics[f'test/{primary.name}']:.3f}"
        examples = task.draw_examples(
            data,
            lambda images: predict_logits(model, images, device),
            batch_size=unit.study.downstream.batch_size,
            title=title,
        )
        if examples is not None:
            atomic_write(folder / "predictions.png", examples)
        by_epoch = {row["epoch"]: row for row in self._history}
        curves = partial(draw_learning_curves, epochs=by_epoch, panels=task.curves, title=title)
        atomic_write(folder / "curves.png", curves)
        save_trained(
            self._storage.trained(unit.key),
            model,
            task=task.name,
            name=unit.configuration.model,
            class_names=data.class_names,
            image_size=data.image_size,
        )
        row = evaluation_row(unit, self._history, seconds=time.monotonic() - self._started)
        self._storage.ledger.append("evaluation", row)
        keep_best_model(unit, self._storage)


class EvaluationTrial(tune.Trainable):
    """Tune's side of `TrialRun`: one of its steps per step, the process reused for the next trial.

    What a trial raises is its last result, see `raytransfer.ray_tune.failed_trials`.
    """

    def setup(
        self,
        config: dict[str, Any],
        units: dict[str, EvaluationUnit] | None = None,
        data: dict[str, ray.ObjectRef] | None = None,
        root: StoragePath | None = None,
    ) -> None:
        """Take what all trials share from the object store.

        Args:
            config: {"trial": {"key": ...}} and what the reporter shows.
            units: Key -> unit, for all trials.
            data: Dataset -> reference to it; its arrays are mapped, not copied.
            root: Storage path.
        """
        if units is None or data is None or root is None:
            raise ValueError("units, data and root must be given, by tune.with_parameters")

        storage = Storage(root)

        def begin(key: str) -> TrialRun:
            unit = units[key]
            return TrialRun(unit, ray.get(data[unit.configuration.dataset]), storage)

        self._begin, self._ledger = begin, storage.ledger
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take up another trial in this process."""
        self._key: str = new_config["trial"]["key"]
        self._trial_run: TrialRun | None = None
        return True

    def step(self) -> dict[str, Any]:
        """Do one step."""
        try:
            if self._trial_run is None:
                # Where its last answer got lost with the network, Tune begins a finished trial again.
                history = read_history(self._ledger, self._key)
                if history is not None:
                    return {**history[-1], "done": True}
                self._trial_run = self._begin(self._key)
            return self._trial_run.step()
        except Exception as error:
            self._trial_run = None  # its memory is for the next trial
            return failed_result(failed_by(error))
