"""Training a model on the target data by gradient descent; plain torch, one process."""

import numpy as np
import torch
from torch import Tensor

from raytransfer.data.arrays import TargetData
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.evaluation.testing import measure_test, to_input
from raytransfer.models.encoder import Encoder
from raytransfer.runtime.schedules import polynomial
from raytransfer.runtime.seeding import derived_seed, seeded


class DownstreamTraining:
    """One downstream training, epoch by epoch.

    The seed decides the initialisation of what comes after the encoder, the order of the images and their
    augmentation; it is the same for every checkpoint. A frozen encoder is frozen: no gradient, no moving
    batch-norm statistics, no stochastic depth.

    Args:
        model: Name of the model, as the data's task knows it.
        encoder: The pretrained encoder; it becomes part of the model and is changed unless frozen.
        config: The recipe.
        data: The target data.
        frozen: Whether only what comes after the encoder is trained.
        seed: See above.
        device: Where to train.

    Attributes:
        model: The model in training.
        epoch: Epochs trained so far.

    Raises:
        InputError: There is no such model, or the encoder is not its encoder.
    """

    def __init__(
        self,
        model: str,
        encoder: Encoder,
        config: DownstreamSettings,
        data: TargetData,
        *,
        frozen: bool,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config, self.data, self.frozen, self.seed, self.device = config, data, frozen, seed, device
        self.epoch = 0
        self._task = TASKS[data.task]
        with seeded(seed):
            self.model = self._task.build_model(model, encoder, len(data.class_names)).to(device)
        self.model.encoder.requires_grad_(not frozen)
        self._optimizer = torch.optim.SGD(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay,
        )  # fmt: skip
        steps_per_epoch = -(-len(data.train) // config.batch_size)
        self._schedule = polynomial(
            self._optimizer, total_steps=config.epochs * steps_per_epoch, exponent=config.poly_exponent
        )
        self._loss = self._task.loss()

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch over all training images.

        Returns:
            {"train/loss"}: the task's loss, averaged over images.

        Raises:
            FloatingPointError: The loss is NaN or infinite.
        """
        data, config = self.data, self.config
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(data.train))
        augment = self._task.augmentation(config, data, seed=derived_seed(self.seed, self.epoch))
        summed = 0.0
        self.model.train()
        if self.frozen:
            self.model.encoder.eval()
        with seeded(self.seed, self.epoch):
            for start in range(0, len(order), config.batch_size):
                chosen = order[start : start + config.batch_size]
                pairs = [augment(*data.train[index]) for index in chosen]
                images = to_input(np.stack([image for image, _ in pairs]), self.device)
                labels = torch.from_numpy(np.stack([label for _, label in pairs])).to(self.device)
                loss = self._loss(self._forward(images), labels)
                self._optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self._optimizer.step()
                self._schedule.step()
                summed += float(loss.detach()) * len(chosen)
        self.epoch += 1
        if not np.isfinite(summed):
            raise FloatingPointError(f"downstream loss is {summed} in epoch {self.epoch}")
        return {"train/loss": summed / len(order)}

    def evaluate(self) -> dict[str, float]:
        """Return {"test/<name>"} over the test images for every metric of the task.

        A NaN is a metric that the test images do not define.

        Raises:
            ValueError: The network gives NaN.
        """
        return measure_test(self.model, self.data, batch_size=self.config.batch_size, device=self.device)

    def step(self) -> dict[str, float]:
        """Train for one epoch and test; return the metrics of both."""
        return {**self.train_epoch(), **self.evaluate()}

    def _forward(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(not self.frozen):
            levels = self.model.encoder.forward_levels(images)
        return self.model.decode(levels)
