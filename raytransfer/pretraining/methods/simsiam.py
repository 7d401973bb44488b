"""SimSiam: two views of an image predict each other's projection (Chen and He, arXiv:2011.10566)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from raytransfer.pretraining.methods.base import Batch, Method, Setup, SourceReader, StepResult
from raytransfer.settings import MOST_IMAGES, setting, settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from raytransfer.models.encoder import Encoder


MOST_CHANNELS = 65_536


@settings("simsiam")
class SimSiamOptions:
    """What can be set of SimSiam."""

    projection_size: int = setting(2048, "width of the projection head, channels", ge=1, le=MOST_CHANNELS)
    prediction_size: int = setting(
        512, "width of the hidden layer of the prediction head, channels", ge=1, le=MOST_CHANNELS
    )
    neighbours: int = setting(
        20, "training images that vote for the class of a validation image", ge=1, le=MOST_IMAGES
    )
    knn_images: int = setting(
        10_000, "most training images that may vote, evenly spaced over them", ge=1, le=MOST_IMAGES
    )


class SimSiam(Method):
    """Negative cosine similarity between predictions and projections of two views, by lightly.

    L = -(cos(p1, stop z2) + cos(p2, stop z1)) / 2 (eq. 1 to 3), z the projections, p the predictions of two
    views; in [-1, 1]. No gradient passes through z. Labels are read by the evaluation only.

    What differs from the paper: the optimiser and the predictor's learning rate are those of the recipe, and
    batch norm's statistics are each process's own.

    Metrics of the validation: "knn_top1", see `SimSiamOptions`, and "projection_std", the standard deviation
    of the l2-normalised projections over the images, averaged over their d channels: about 1 / sqrt(d) for
    projections that differ, 0 where all images have the same (sec. 4.1).
    """

    Options = SimSiamOptions
    primary_metric: ClassVar[str] = "val/knn_top1"
    least_images: ClassVar[int] = 2  # batch norm of the heads
    packages: ClassVar[tuple[str, ...]] = ("lightly", "sklearn")

    def __init__(self, setup: Setup) -> None:
        from raytransfer.data.sources.augmentation import Views, image_augmentation

        self.options: SimSiamOptions = setup.options
        transform = image_augmentation(
            setup.augmentation, image_size=setup.image_size, strength=setup.strength
        )
        self.views = Views(transform, 2)

    def build(self, encoder: Encoder) -> nn.Module:
        """Return the encoder with lightly's projection and prediction heads."""
        from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead

        from raytransfer.pretraining.networks import EncoderWithHeads

        width, hidden = self.options.projection_size, self.options.prediction_size
        projection = SimSiamProjectionHead(encoder.level_channels[-1], width, width)
        return EncoderWithHeads(encoder, [projection, SimSiamPredictionHead(width, hidden, width)])

    def step(self, module: nn.Module, batch: Batch) -> StepResult:
        """Return the loss of the two views."""
        (z1, p1), (z2, p2) = module(*batch.views)
        return StepResult(loss=simsiam_loss(z1, p1, z2, p2))

    def evaluate(self, module: nn.Module, source: SourceReader) -> dict[str, float]:
        """Return "knn_top1" and "projection_std" over the validation images."""
        import numpy as np
        import torch
        from torch.nn.functional import normalize

        from raytransfer.pretraining.nearest_neighbours import knn_classifier
        from raytransfer.pretraining.networks import EncoderWithHeads
        from raytransfer.pretraining.processes import share_buffers, summed_over_processes

        network = cast(EncoderWithHeads, module)
        share_buffers(network)  # or features of different processes would not compare
        train, val = source.data.train, source.data.val
        spaced = np.linspace(0, len(train) - 1, min(len(train), self.options.knn_images))
        indices = spaced.round().astype(np.int64)
        bank = torch.zeros(len(indices), network.encoder.level_channels[-1])
        for positions, images, _ in source.batches(train, indices):
            bank[positions] = network.features(images).float().cpu()
        bank = summed_over_processes(bank)
        neighbours = min(self.options.neighbours, len(bank))
        classifier = knn_classifier(bank.numpy(), train.labels[indices], neighbours)
        totals = torch.zeros(2, dtype=torch.float64)
        sums = torch.zeros(2, self.options.projection_size, dtype=torch.float64)
        for _, images, labels in source.batches(val, np.arange(len(val))):
            features = network.features(images)
            predicted = classifier.predict(features.float().cpu().numpy())
            totals += torch.tensor([len(labels), int((predicted == labels.cpu().numpy()).sum())])
            z = normalize(network.heads[0](features), dim=1).double().cpu()
            sums += torch.stack([z.sum(0), z.square().sum(0)])
        count, hits = summed_over_processes(totals).tolist()
        total, squares = summed_over_processes(sums)
        variance = (squares - total.square() / count) / max(count - 1, 1)
        spread = float(variance.clamp(min=0).sqrt().mean())
        return {"knn_top1": hits / count, "projection_std": spread}


def simsiam_loss(z1: Tensor, p1: Tensor, z2: Tensor, p2: Tensor) -> Tensor:
    """Return the mean loss of two views (eq. 2 and 3).

    Args:
        z1: Projections (N, D) of the first view.
        p1: Their predictions (N, D).
        z2: Projections of the second view.
        p2: Their predictions.
    """
    from lightly.loss import NegativeCosineSimilarity

    distance = NegativeCosineSimilarity()
    return 0.5 * (distance(p1, z2.detach()) + distance(p2, z1.detach()))
