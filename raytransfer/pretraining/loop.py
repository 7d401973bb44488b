"""The pretraining loop: one process, or one of several data-parallel ones; plain torch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from raytransfer.data.sources.augmentation import batch_augmentation, image_augmentation, image_evaluation
from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import InputError
from raytransfer.models.encoder import Encoder
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.batches import BATCH_STREAM, read_batches
from raytransfer.pretraining.processes import summed_over_processes
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.schedules import warmup_cosine
from raytransfer.runtime.seeding import seeded


class EncoderClassifier(nn.Module):
    """An encoder with global average pooling and a linear layer on its last level.

    Args:
        encoder: The encoder to pretrain.
        num_classes: Classes of the source data.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.level_channels[-1], num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return class logits (N, num_classes) for images (N, in_chans, H, W) in [0, 1]."""
        return self.head(self.encoder(x).mean((2, 3)))


class Pretraining:
    """One pretraining, epoch by epoch.

    Initialisation is a function of the seed; the order of the images of (seed, epoch); an image's crop, flip
    and RandAugment of (seed, epoch, index); mixing and erasing of (seed, epoch, rank, step); stochastic depth
    of (seed, epoch, rank). So a pretraining that goes on from `state_dict` gives the numbers it would have
    given, and so does one whose images other processes read. It may go on in another number of processes: a
    step uses the same images, each process an equal share of them or nearly so (whole pairs of mixed images).
    What then differs is what a process does to its share: batch norm's statistics, mixing and erasing,
    stochastic depth, and the last digits of sums.

    Args:
        encoder: Name for `create_encoder`.
        scheme: Pretraining scheme.
        config: The recipe.
        data: The source data.
        rank: This process among the data-parallel ones.
        num_processes: How many there are; `config.num_workers` by default.
        device: Where to train.
        loader_workers: Processes that read and augment images; 0 does it in this one.
        parallel: Wraps the classifier for data parallelism, for example in DistributedDataParallel.

    Raises:
        InputError: There is no such encoder or scheme, or fewer training images than `batch_size`, or
            "advanced", which mixes images in pairs, has an odd number of them per worker.
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
        parallel: Callable[[nn.Module], nn.Module] = lambda model: model,
    ) -> None:
        self.config, self.data, self.rank, self.device = config, data, rank, device
        self.loader_workers = loader_workers
        self.epoch = 0
        self._num_processes = num_processes or config.num_workers
        self._augment_image = image_augmentation(
            scheme, image_size=data.image_size, strength=config.augmentation
        )
        self._augment_batch = batch_augmentation(
            scheme, num_classes=len(data.class_names), device=device, strength=config.augmentation
        )
        share = config.batch_size // config.num_workers
        if scheme == "advanced" and share % 2:
            raise InputError(
                f"pretraining.batch_size={config.batch_size} gives each of {config.num_workers} workers "
                f"{share} images, an odd number, but scheme 'advanced' mixes them in pairs"
            )
        together = 2 if scheme == "advanced" else 1
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
        options: dict[str, Any] = (
            {"stochastic_depth": config.stochastic_depth} if config.stochastic_depth > 0 else {}
        )
        with seeded(config.seed):
            network = create_encoder(encoder, **options)
            self.classifier = EncoderClassifier(network, len(data.class_names)).to(device)
        self._model = parallel(self.classifier)
        self._optimizer = torch.optim.AdamW(
            self.classifier.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.999),
            weight_decay=config.weight_decay,
        )
        self._schedule = warmup_cosine(
            self._optimizer,
            warmup_steps=config.warmup_epochs * self._steps,
            total_steps=config.epochs * self._steps,
        )
        self._loss = nn.CrossEntropyLoss(label_smoothing=config.label_smoothing)

    @property
    def encoder(self) -> Encoder:
        """The encoder being pretrained."""
        return self.classifier.encoder

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch.

        Every optimiser step uses `batch_size` images over all processes; images that do not fill a batch
        wait for another epoch's order.

        Returns:
            {"train/loss", "train/top1", "learning_rate"}; the rate is that of the last step.

        Raises:
            FloatingPointError: The loss is NaN or infinite.
        """
        seed, epoch, rank = self.config.seed, self.epoch, self.rank
        order = np.random.default_rng([seed, epoch]).permutation(len(self.data.train))
        steps = order[: self._steps * self.config.batch_size].reshape(self._steps, -1)
        batches = read_batches(
            self.data.train,
            list(steps[:, self._share]),
            self._augment_image,
            seed=(seed, epoch),
            workers=self.loader_workers,
        )
        totals = torch.zeros(3, dtype=torch.float64)
        rate = 0.0
        self._model.train()
        with seeded(seed, epoch, rank):
            for step, (images, labels) in enumerate(batches):
                inputs, targets = self._to_input(images), labels.to(self.device)
                with seeded(seed, epoch, rank, BATCH_STREAM, step, cuda=False):
                    inputs, targets = self._augment_batch(inputs, targets)
                self._optimizer.zero_grad(set_to_none=True)
                totals += self._accumulate_gradients(inputs, targets)
                self._optimizer.step()
                rate = float(self._schedule.get_last_lr()[0])
                self._schedule.step()
        self.epoch += 1
        count, summed_loss, top1 = summed_over_processes(totals).tolist()
        if not np.isfinite(summed_loss):
            raise FloatingPointError(f"pretraining loss is {summed_loss} in epoch {self.epoch}")
        return {"train/loss": summed_loss / count, "train/top1": top1 / count, "learning_rate": rate}

    def _accumulate_gradients(self, images: Tensor, labels: Tensor) -> Tensor:
        """Add the gradient of the mean loss of a step's images, chunk by chunk; return the totals.

        Every chunk weighs as much as it has images, so the mean over the processes is the gradient of the
        whole batch, but for batch norm, whose statistics are each chunk's. (The reference cleared the
        gradients before the last chunk and so trained on that one alone.)
        """
        count, size = len(images), self.config.chunk_size or len(images)
        share = self.config.batch_size / self._num_processes  # of the mean that gradients are brought to
        totals = torch.zeros(3, dtype=torch.float64)
        for start in range(0, count, size):
            chunk, targets = images[start : start + size], labels[start : start + size]
            with self._synchronising(start + size >= count):
                logits = self._model(chunk)
                loss = self._loss(logits, targets)
                (loss * (len(chunk) / share)).backward()
            totals += _totals(loss.detach(), logits.detach(), targets)[:3]
        return totals

    def _synchronising(self, last: bool) -> AbstractContextManager[Any]:
        """Let processes exchange gradients in a step's last chunk only."""
        no_sync = getattr(self._model, "no_sync", None)
        return nullcontext() if last or no_sync is None else no_sync()

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Return {"val/loss", "val/top1", "val/top5"} over the validation images, shared among processes."""
        totals = torch.zeros(4, dtype=torch.float64)
        self.classifier.eval()
        mine = np.arange(self.rank, len(self.data.val), self._num_processes)
        size = self.config.chunk_size or self.config.batch_size // self.config.num_workers
        batches = read_batches(
            self.data.val,
            [mine[start : start + size] for start in range(0, len(mine), size)],
            image_evaluation(image_size=self.data.image_size),
            workers=self.loader_workers,
        )
        for images, labels in batches:
            targets = labels.to(self.device)
            logits = self.classifier(self._to_input(images))
            totals += _totals(self._loss(logits, targets), logits, targets)
        count, loss, top1, top5 = summed_over_processes(totals).tolist()
        return {"val/loss": loss / count, "val/top1": top1 / count, "val/top5": top5 / count}

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on after the last whole epoch."""
        return {
            "epoch": self.epoch,
            "classifier": self.classifier.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from another process's `state_dict()`."""
        self.epoch = state["epoch"]
        self.classifier.load_state_dict(state["classifier"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])

    def _to_input(self, images: Tensor) -> Tensor:
        return images.to(self.device).float() / 255


def _totals(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Return (count, summed loss, top-1 hits, top-5 hits) of a batch; a mixed label is its largest part."""
    classes = labels.argmax(1) if labels.ndim == 2 else labels
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices == classes[:, None]
    count = len(labels)
    return torch.tensor(
        [count, float(loss) * count, int(top5[:, 0].sum()), int(top5.any(1).sum())], dtype=torch.float64
    )
