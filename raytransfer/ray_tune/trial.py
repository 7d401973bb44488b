"""One downstream trial as a Tune class Trainable, so that actors are reused from trial to trial."""

import time
from functools import partial
from typing import Any

import numpy as np
import ray
from ray import tune

from raytransfer.data.arrays import SegmentationData
from raytransfer.evaluation.learning_curves import draw_learning_curves
from raytransfer.evaluation.predictions import best_median_worst, draw_predictions
from raytransfer.evaluation.training import DownstreamTraining
from raytransfer.metrics.segmentation import METRICS
from raytransfer.models.checkpoints import load_encoder
from raytransfer.models.trained import save_trained
from raytransfer.ray_train.failed import failed_by
from raytransfer.ray_tune.failed_trials import failed_result
from raytransfer.results.best_seed import keep_best_model
from raytransfer.results.provenance import git_sha, library_versions, result_row
from raytransfer.results.storage import Storage
from raytransfer.results.units import DownstreamUnit
from raytransfer.runtime.devices import usable_device
from raytransfer.runtime.gpu_metrics import gpu_metrics
from raytransfer.storage.files import StoragePath, atomic_write, write_json
from raytransfer.storage.retrying import retry_on_storage_error

CURVES = (("train/loss",), ("test/dice", "test/jaccard", "test/mcc"))


class TrialRun:
    """A unit in training: an epoch per call, and at the end pictures, model, config and ledger row.

    Args:
        unit: What to train.
        data: The target data.
        storage: Where its encoder is, and where results go.

    Raises:
        CorruptCheckpointError: The encoder cannot be read.
        ReplacedCheckpointError: The encoder is not the one the unit names.
        UnusableGpuError: It asks for a GPU, and torch can use none here.
    """

    def __init__(self, unit: DownstreamUnit, data: SegmentationData, storage: Storage) -> None:
        self._unit, self._data, self._storage = unit, data, storage
        self._started = time.monotonic()
        self._history: list[dict[str, Any]] = []
        trained = unit.configuration
        gpus = unit.study.resources.gpus_per_trial
        device = usable_device(gpus, f"resources.gpus_per_trial={gpus:g}")
        path = storage.series(unit.encoder, trained.scheme).path(trained.epoch)
        encoder, _ = load_encoder(path, sha256=unit.encoder_sha256)
        self._training = DownstreamTraining(
            trained.model,
            encoder,
            unit.study.downstream,
            data,
            frozen=trained.protocol == "frozen",
            seed=unit.seed,
            device=device,
        )

    def step(self) -> dict[str, Any]:
        """Train and test for one epoch; return its metrics, those of its GPU, "epoch" and "done"."""
        with gpu_metrics(self._training.device) as system:
            metrics = {**self._training.train_epoch(), **self._training.evaluate()}
        result = {"epoch": self._training.epoch, **metrics}
        self._history.append(result)
        done = self._training.epoch >= self._unit.study.downstream.epochs
        if done:
            patience = self._unit.study.resources.storage_patience
            retry_on_storage_error(lambda: self._finish(metrics), seconds=patience)
        return {**result, **system, "done": done}

    def _finish(self, metrics: dict[str, float]) -> None:
        unit, test = self._unit, self._data.test
        folder = self._storage.trial_folder(unit.key)
        origin = {"git_sha": git_sha(), "versions": library_versions(), "results": metrics}
        write_json(folder / "config.json", {**unit.settings, **origin})
        title = f"{unit.name}: Dice {metrics['test/dice']:.3f}"
        dices = self._training.image_dices()
        if shown := best_median_worst(dices):
            images, masks = (np.stack(part) for part in zip(*(test[i] for i in shown.values()), strict=True))
            predictions = partial(
                draw_predictions,
                images=images,
                masks=masks,
                predictions=self._training.predict(images),
                class_names=self._data.class_names,
                columns=[f"{rank}: {dices[index]:.3f}" for rank, index in shown.items()],
                title=title,
            )
            atomic_write(folder / "predictions.png", predictions)
        by_epoch = {row["epoch"]: row for row in self._history}
        curves = partial(draw_learning_curves, epochs=by_epoch, panels=CURVES, title=title)
        atomic_write(folder / "curves.png", curves)
        save_trained(
            self._storage.trained(unit.key),
            self._training.model,
            name=unit.configuration.model,
            class_names=self._data.class_names,
            image_size=self._data.image_size,
        )
        row = result_row(
            key=unit.key, settings=unit.settings, seconds=time.monotonic() - self._started,
            **vars(unit.configuration), encoder=unit.encoder, encoder_sha256=unit.encoder_sha256,
            seed=unit.seed, history=self._history, **{name: metrics[f"test/{name}"] for name in METRICS},
        )  # fmt: skip
        self._storage.ledger.append("downstream", row)
        keep_best_model(unit, self._storage)


class DownstreamTrial(tune.Trainable):
    """Tune's side of `TrialRun`: an epoch per step, the process reused for the next trial.

    What a trial raises is its last result, see `raytransfer.ray_tune.failed_trials`.
    """

    def setup(
        self,
        config: dict[str, Any],
        units: dict[str, DownstreamUnit] | None = None,
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
        """Train and test for one epoch."""
        try:
            if self._trial_run is None:
                # Where its last answer got lost with the network, Tune begins a finished trial again.
                for row in self._ledger.read("downstream", [self._key]).to_pylist():
                    return {**row["history"][-1], "done": True}
                self._trial_run = self._begin(self._key)
            return self._trial_run.step()
        except Exception as error:
            self._trial_run = None  # its memory is for the next trial
            return failed_result(failed_by(error))
