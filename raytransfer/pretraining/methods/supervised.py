"""Supervised pretraining: classification of the source images by cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from raytransfer.pretraining.methods.base import Batch, Method, Setup, SourceReader, StepResult

if TYPE_CHECKING:
    from torch import Tensor, nn

    from raytransfer.models.encoder import Encoder


class Supervised(Method):
    """Cross-entropy of a linear layer on the averaged last level.

    Metrics: "top1" of the training, by the largest part of a mixed label; "loss" (with the label smoothing of
    the training), "top1" and "top5" of the validation, top5 among fewer than five classes being 1.
    """

    primary_metric: ClassVar[str] = "val/top1"

    def __init__(self, setup: Setup) -> None:
        from torch.nn import CrossEntropyLoss

        from raytransfer.data.sources.augmentation import Views, batch_augmentation, image_augmentation

        self.views = Views(
            image_augmentation(setup.augmentation, image_size=setup.image_size, strength=setup.strength)
        )
        self._mix = batch_augmentation(
            setup.augmentation,
            num_classes=setup.num_classes,
            device=setup.device,
            strength=setup.strength,
        )
        self._loss = CrossEntropyLoss(label_smoothing=setup.recipe.label_smoothing)
        self._num_classes = setup.num_classes

    def augment_batch(self, batch: Batch) -> Batch:
        """Mix and erase the images, where the augmentation does."""
        (images,), labels = batch
        images, labels = self._mix(images, labels)
        return Batch((images,), labels)

    def build(self, encoder: Encoder) -> nn.Module:
        """Return the encoder with a linear classifier."""
        from raytransfer.pretraining.networks import EncoderClassifier

        return EncoderClassifier(encoder, self._num_classes)

    def step(self, module: nn.Module, batch: Batch) -> StepResult:
        """Return the cross-entropy and how many top-1 predictions are right."""
        (images,), labels = batch
        logits = module(images)
        loss = self._loss(logits, labels)
        top1, _ = _hits(logits.detach(), labels)
        return StepResult(loss=loss, sums={"top1": top1})

    def evaluate(self, module: nn.Module, source: SourceReader) -> dict[str, float]:
        """Return "loss", "top1" and "top5" over the validation images."""
        import numpy as np
        import torch

        from raytransfer.pretraining.processes import summed_over_processes

        totals = torch.zeros(4, dtype=torch.float64)
        images = source.data.val
        for _, inputs, labels in source.batches(images, np.arange(len(images))):
            logits = module(inputs)
            count, loss = len(labels), float(self._loss(logits, labels))
            totals += torch.tensor([count, loss * count, *_hits(logits, labels)], dtype=torch.float64)
        count, *sums = summed_over_processes(totals).tolist()
        return {name: value / count for name, value in zip(("loss", "top1", "top5"), sums, strict=True)}


def _hits(logits: Tensor, labels: Tensor) -> tuple[int, int]:
    """Return how many top-1 and top-5 predictions of a batch are right; a mixed label is its largest part."""
    classes = labels.argmax(1) if labels.ndim == 2 else labels
    top5 = logits.topk(min(5, logits.shape[1]), dim=1).indices == classes[:, None]
    return int(top5[:, 0].sum()), int(top5.any(1).sum())
