"""The pretraining loop: one process, or one of several data-parallel ones; plain torch."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import InputError
from raytransfer.models.encoder import Encoder
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.batches import BATCH_STREAM, SharedReader, read_batches, to_input
from raytransfer.pretraining.methods.base import RATE, Batch, Setup
from raytransfer.pretraining.processes import summed_over_processes
from raytransfer.pretraining.schemes import check_batches, scheme_named
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.schedules import warmup_cosine
from raytransfer.runtime.seeding import seeded

COUNT = "images"
"""Name of the number of images among sums over images."""


class Pretraining:
    """One pretraining, epoch by epoch.

    Initialisation is a function of the seed; the order of the images of (seed, epoch); an image's views
    of (seed, epoch, index); what is done to a batch, such as mixing, of (seed, epoch, rank, step);
    stochastic depth of (seed, epoch, rank). So a pretraining that goes on from `state_dict` gives the numbers
    it would have given, and so does one whose images other processes read. It may go on in another number of
    processes: a step uses the same images, each process an equal share of them or nearly so (whole groups of
    mixed images). What then differs is what a process does to its share: batch norm's statistics, mixing and
    erasing, stochastic depth, and the last digits of sums.

    Args:
        encoder: Name for `create_encoder`.
        scheme: Pretraining scheme, which names the method.
        config: The recipe.
        data: The source data.
        rank: This process among the data-parallel ones.
        num_processes: How many there are; `config.num_workers` by default.
        device: Where to train.
        loader_workers: Processes that read and augment images; 0 does it in this one.
        options: The method's own, its defaults where None.
        parallel: Wraps the method's module for data parallelism, for example in DistributedDataParallel.

    Raises:
        InputError: There is no such encoder or scheme, or fewer training images than `batch_size`, or the
            scheme cannot train on such batches, see `check_batches`.
    """

    def __init__(
        self,
        encoder: str,
        scheme: str,
        config: PretrainingSettings,
        data: ClassificationData,
        *,
        rank: int = 0,
        num_processes: int | None = None,
        device: str | torch.device = "cpu",
        loader_workers: int = 0,
        options: Any = None,
        parallel: Callable[[nn.Module], nn.Module] = lambda model: model,
    ) -> None:
        self.config, self.data, self.rank, self.device = config, data, rank, device
        self.loader_workers = loader_workers
        self.epoch = 0
        self._num_processes = num_processes or config.num_workers
        check_batches(scheme, config)
        recipe = scheme_named(scheme)
        together = recipe.images_per_mix
        bounds = [
            part * (config.batch_size // together) // self._num_processes * together
            for part in (rank, rank + 1)
        ]
        self._share = slice(*bounds)
        self._steps = len(data.train) // config.batch_size
        if self._steps == 0:
            raise InputError(
                f"pretraining.batch_size={config.batch_size} is more than the {len(data.train)} "
                "training images"
            )
        depth: dict[str, Any] = (
            {"stochastic_depth": config.stochastic_depth} if config.stochastic_depth > 0 else {}
        )
        own = options
        if own is None and recipe.strategy.Options is not None:
            own = recipe.strategy.Options()
        self._method = recipe.strategy(
            Setup(
                recipe=config,
                options=own,
                augmentation=recipe.augmentation,
                strength=config.augmentation,
                image_size=data.image_size,
                num_classes=len(data.class_names),
                total_steps=config.epochs * self._steps,
                device=device,
            )
        )
        with seeded(config.seed):
            self.module = self._method.build(create_encoder(encoder, **depth)).to(device)
        self._model = parallel(self.module)
        self._optimizer = torch.optim.AdamW(
            self.module.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=config.weight_decay,
        )
        self._schedule = warmup_cosine(
            self._optimizer,
            warmup_steps=config.warmup_epochs * self._steps,
            total_steps=config.epochs * self._steps,
        )
        self._reader = SharedReader(
            data,
            rank=rank,
            num_processes=self._num_processes,
            batch_size=config.chunk_size or config.batch_size // config.num_workers,
            device=device,
            workers=loader_workers,
        )

    @property
    def encoder(self) -> Encoder:
        """The encoder being pretrained."""
        return cast(Encoder, self.module.encoder)

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch.

        Every optimiser step uses `batch_size` images over all processes; images that do not fill a batch
        wait for another epoch's order.

        Returns:
            {"train/loss", "learning_rate"} and the method's other metrics, "train/<metric>"; losses and
            metrics are means over images, the rate is that of the last step.

        Raises:
            FloatingPointError: The loss is NaN or infinite.
        """
        seed, epoch, rank = self.config.seed, self.epoch, self.rank
        order = np.random.default_rng([seed, epoch]).permutation(len(self.data.train))
        steps = order[: self._steps * self.config.batch_size].reshape(self._steps, -1)
        batches = read_batches(
            self.data.train,
            list(steps[:, self._share]),
            self._method.views,
            seed=(seed, epoch),
            workers=self.loader_workers,
        )
        totals: dict[str, float] = {}
        rate = 0.0
        self._model.train()
        with seeded(seed, epoch, rank):
            for step, (views, labels) in enumerate(batches):
                inputs = tuple(to_input(view, self.device) for view in views)
                batch = Batch(inputs, labels.to(self.device))
                with seeded(seed, epoch, rank, BATCH_STREAM, step, cuda=False):
                    batch = self._method.augment_batch(batch)
                self._optimizer.zero_grad(set_to_none=True)
                _add(totals, self._accumulate_gradients(batch))
                self._optimizer.step()
                self._method.after_step(self.module, epoch * self._steps + step)
                rate = float(self._schedule.get_last_lr()[0])
                self._schedule.step()
        self.epoch += 1
        names = sorted(totals)
        values = torch.tensor([totals[name] for name in names], dtype=torch.float64)
        sums = dict(zip(names, summed_over_processes(values).tolist(), strict=True))
        count = sums.pop(COUNT)
        if not np.isfinite(sums["loss"]):
            raise FloatingPointError(f"pretraining loss is {sums['loss']} in epoch {self.epoch}")
        return {**{f"train/{name}": value / count for name, value in sums.items()}, RATE: rate}

    def _accumulate_gradients(self, batch: Batch) -> dict[str, float]:
        """Add the gradient of the mean loss of a step's images, chunk by chunk; return the totals.

        Every chunk weighs as much as it has images, so the mean over the processes is the gradient of the
        whole batch, but for batch norm, whose statistics are each chunk's. (The reference cleared the
        gradients before the last chunk and so trained on that one alone.)
        """
        count, size = len(batch.labels), self.config.chunk_size or len(batch.labels)
        share = self.config.batch_size / self._num_processes  # of the mean that gradients are brought to
        totals: dict[str, float] = {}
        for start in range(0, count, size):
            chunk = batch.part(start, start + size)
            images = len(chunk.labels)
            with self._synchronising(start + size >= count):
                found = self._method.step(self._model, chunk)
                (found.loss * (images / share)).backward()
            _add(totals, {COUNT: images, "loss": float(found.loss.detach()) * images, **found.sums})
        return totals

    def _synchronising(self, last: bool) -> AbstractContextManager[Any]:
        """Let processes exchange gradients in a step's last chunk only."""
        no_sync = getattr(self._model, "no_sync", None)
        return nullcontext() if last or no_sync is None else no_sync()

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return the method's metrics of the validation images, "val/<metric>", shared among processes."""
        self.module.eval()
        found = self._method.evaluate(self.module, self._reader)
        return {f"val/{name}": value for name, value in found.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on after the last whole epoch."""
        return {
            "epoch": self.epoch,
            "module": self.module.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from another process's `state_dict()`."""
        self.epoch = state["epoch"]
        self.module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])


def _add(totals: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        totals[name] = totals.get(name, 0.0) + value
