"""Classification: a label per image, trained with the cross-entropy and judged by the accuracy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from raytransfer.evaluation.tasks.base import Drawing, PrimaryMetric
from raytransfer.metrics.names import CLASSIFICATION_METRICS

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from raytransfer.data.arrays import ClassificationTarget
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.evaluation.tasks.base import Augment, Logits
    from raytransfer.metrics.classification import ClassificationMetrics
    from raytransfer.models.classification import ClassificationModel
    from raytransfer.models.encoder import Encoder

RANDOM_CLASSES = 4
EXAMPLES_SHOWN = 12


class Classification:
    """A label per image; see `ClassificationMetrics` for what its metrics are.

    A model is an encoder with a linear layer on its last level, averaged over space, and is called like the
    encoder. A segmentation model's name means its encoder.
    """

    name = "classification"
    metric_names = CLASSIFICATION_METRICS
    primary_metric = PrimaryMetric("accuracy", "accuracy")
    curves = (("train/loss",), ("test/accuracy", "test/balanced_accuracy", "test/auroc"))

    def model_name(self, model: str) -> str:
        """Return the encoder that a name means."""
        from raytransfer.models.names import encoder_named_by

        return encoder_named_by(model)

    def build_model(self, model: str, encoder: Encoder, num_classes: int) -> ClassificationModel:
        """Return an encoder with a fresh linear head."""
        from raytransfer.errors import InputError
        from raytransfer.models.classification import ClassificationModel

        if encoder.name != model:
            raise InputError(f"model {model!r} needs encoder {model!r}, got {encoder.name!r}")
        return ClassificationModel(encoder, num_classes)

    def served_model(self, model: ClassificationModel) -> nn.Module:
        """Return the model with a softmax: class probabilities (N, C)."""
        from torch import nn

        return nn.Sequential(model, nn.Softmax(1))

    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the cross-entropy, averaged over images."""
        from torch.nn.functional import cross_entropy

        return cross_entropy

    def metrics(self, num_classes: int, device: str | torch.device) -> ClassificationMetrics:
        """Return metrics over all images of a test split."""
        from raytransfer.metrics.classification import ClassificationMetrics

        return ClassificationMetrics(num_classes, device=device)

    def augmentation(self, settings: DownstreamSettings, data: ClassificationTarget, *, seed: int) -> Augment:
        """Return random changes to an image: those of segmentation, without a mask."""
        from raytransfer.evaluation.augmentation import downstream_augmentation

        pipeline = downstream_augmentation(settings, data, seed=seed)

        def augment(image: NDArray[np.float32], label: Any) -> tuple[NDArray[np.float32], Any]:
            return pipeline(image=image)["image"], label

        return augment

    def draw_examples(
        self, data: ClassificationTarget, logits: Logits, *, batch_size: int, title: str
    ) -> Drawing | None:
        """Return what draws test images, evenly over the split, with the true and the predicted class."""
        import numpy as np

        from raytransfer.evaluation.predictions import draw_classified

        shown = np.unique(np.linspace(0, len(data.test) - 1, EXAMPLES_SHOWN).round().astype(int))
        images, labels = (np.stack(part) for part in zip(*(data.test[i] for i in shown), strict=True))
        probabilities = np.concatenate(
            [
                logits(images[start : start + batch_size]).softmax(1).cpu().numpy()
                for start in range(0, len(images), batch_size)
            ]
        )
        return partial(
            draw_classified,
            images=images,
            labels=labels,
            probabilities=probabilities,
            class_names=data.class_names,
            title=title,
        )

    def random_data(self, num_images: int, image_size: int) -> ClassificationTarget:
        """Return random images with random labels."""
        import numpy as np

        from raytransfer.data.arrays import ClassificationTarget, LabelledImages

        rng = np.random.default_rng(0)
        split = LabelledImages(
            images=rng.uniform(size=(num_images, image_size, image_size, 1)).astype(np.float32),
            labels=rng.integers(0, RANDOM_CLASSES, num_images),
        )
        names = tuple(map(str, range(RANDOM_CLASSES)))
        return ClassificationTarget(
            name="random", class_names=names, train=split, test=split, image_size=image_size
        )


CLASSIFICATION = Classification()
