"""What a kind of target task is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:  # importing them takes seconds, which commands that train nothing are spared
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from raytransfer.data.arrays import TargetData
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.models.encoder import Encoder
    from raytransfer.models.target_model import TargetModel

    Augment = Callable[[NDArray[np.float32], Any], tuple[NDArray[np.float32], Any]]
    Logits = Callable[[NDArray[np.float32]], Tensor]

Drawing = Callable[[str | os.PathLike[str] | IO[bytes]], None]
"""Writes a PNG into a file."""


class PrimaryMetric(NamedTuple):
    """The metric that stands for a task: the performance that checkpoints are compared by.

    It is in [0, 1] and higher is better: the transferability indicator score is a ratio of two of them.

    Attributes:
        name: Its key among the task's metrics, for example "dice".
        label: What people call it, for example "Dice".
    """

    name: str
    label: str


class Metrics(Protocol):
    """Metrics of a test split, counted batch by batch; how it is cut into batches does not matter."""

    def update(self, probabilities: Tensor, labels: Tensor) -> None:
        """Count a batch: class probabilities (N, C, ...) and labels (N, ...), integers from 0 to C - 1."""

    def compute(self) -> Mapping[str, float]:
        """Return a value per metric; NaN is a metric that the labels do not define."""


class Task(Protocol):
    """A kind of target task. Its labels are integers: one per pixel, or one per image.

    Attributes:
        name: Its name in `TASKS`; target data say theirs.
        metric_names: The metrics of its tests, in the order in which they are shown.
        primary_metric: The one that checkpoints are compared by.
        curves: Learning curves that are drawn: the metrics of each panel, "train/loss" or "test/<metric>".
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """See above."""

    @property
    def primary_metric(self) -> PrimaryMetric:
        """See above."""

    @property
    def curves(self) -> tuple[tuple[str, ...], ...]:
        """See above."""

    def model_name(self, model: str) -> str:
        """Return the name of the model that a study's model name means for this task.

        Raises:
            InputError: It names no model for this task.
        """

    def build_model(self, model: str, encoder: Encoder, num_classes: int) -> TargetModel:
        """Build a model over an encoder, which becomes part of it; weights from torch's global generator.

        Args:
            model: Name of the model.
            encoder: The (pretrained) encoder.
            num_classes: Labels there are.

        Raises:
            InputError: There is no such model, or the encoder is not its encoder.
        """

    def served_model(self, model: TargetModel) -> nn.Module:
        """Return what users of a trained model get: a module of images (N, 3, H, W) in [0, 1]."""

    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss of a batch: a function of logits (N, C, ...) and labels (N, ...)."""

    def metrics(self, num_classes: int, device: str | torch.device) -> Metrics:
        """Return metrics, nothing counted yet, with a value for each of `metric_names`."""

    def augmentation(self, settings: DownstreamSettings, data: TargetData, *, seed: int) -> Augment:
        """Return random changes to a training item.

        Returns:
            A function of an item's image, float32 (h, w, C) in [0, 1], and label, that gives both again,
            the image with sides of `data.image_size`.

        Raises:
            InputError: The data cannot be changed that way.
        """

    def draw_examples(
        self, data: TargetData, logits: Logits, *, batch_size: int, title: str
    ) -> Drawing | None:
        """Return what draws examples of predictions on test images; None where there is nothing to show.

        Args:
            data: The target data.
            logits: Gives logits (N, C, ...) for images (N, H, W, 1 or 3) in [0, 1].
            batch_size: Images that it is given at a time.
            title: Stands above.
        """

    def random_data(self, num_images: int, image_size: int) -> TargetData:
        """Return as many random training and test images with labels, to measure what training costs."""
