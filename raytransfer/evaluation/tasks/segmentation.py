"""Segmentation: a label per pixel, trained with the soft Dice loss and judged by the Dice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from raytransfer.errors import InputError
from raytransfer.evaluation.tasks.base import Drawing, PrimaryMetric
from raytransfer.metrics.names import SEGMENTATION_METRICS

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from raytransfer.data.arrays import SegmentationData
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.evaluation.tasks.base import Augment, Logits
    from raytransfer.metrics.segmentation import SegmentationMetrics
    from raytransfer.models.encoder import Encoder
    from raytransfer.models.segmentation import SegmentationModel

RANDOM_CLASSES = 4


class Segmentation:
    """A label per pixel, label 0 the background; see `SegmentationMetrics` for what its metrics are."""

    name = "segmentation"
    metric_names = SEGMENTATION_METRICS
    primary_metric = PrimaryMetric("dice", "Dice")
    curves = (("train/loss",), ("test/dice", "test/jaccard", "test/mcc"))

    def model_name(self, model: str) -> str:
        """Return the name of a segmentation model as it is; an encoder alone segments nothing."""
        from raytransfer.models.names import MODEL_ENCODERS, encoder_named_by, encoder_of

        if model not in MODEL_ENCODERS and encoder_named_by(model) == model:
            raise InputError(f"model {model!r} is an encoder without a decoder, which cannot segment")
        encoder_of(model)
        return model

    def build_model(self, model: str, encoder: Encoder, num_classes: int) -> SegmentationModel:
        """Return a segmentation model with a fresh decoder."""
        from raytransfer.models.registry import create_segmentation_model

        return create_segmentation_model(model, num_classes=num_classes, encoder=encoder)

    def served_model(self, model: SegmentationModel) -> SegmentationModel:
        """Return the model: logits (N, C, H, W)."""
        return model

    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the soft Dice loss, background included."""
        from raytransfer.evaluation.losses import soft_dice_loss

        dice = soft_dice_loss()
        return lambda logits, masks: dice(logits, masks[:, None])

    def metrics(self, num_classes: int, device: str | torch.device) -> SegmentationMetrics:
        """Return metrics over all pixels of a test split."""
        from raytransfer.metrics.segmentation import SegmentationMetrics

        return SegmentationMetrics(num_classes, device=device)

    def augmentation(self, settings: DownstreamSettings, data: SegmentationData, *, seed: int) -> Augment:
        """Return random changes to an image and its mask."""
        from raytransfer.evaluation.augmentation import downstream_augmentation

        pipeline = downstream_augmentation(settings, data, seed=seed)

        def augment(image: NDArray[np.float32], mask: Any) -> tuple[NDArray[np.float32], Any]:
            pair = pipeline(image=image, mask=mask)
            return pair["image"], pair["mask"]

        return augment

    def draw_examples(
        self, data: SegmentationData, logits: Logits, *, batch_size: int, title: str
    ) -> Drawing | None:
        """Return what draws the test images with the best, the median and the worst Dice."""
        import numpy as np

        from raytransfer.evaluation.predictions import best_median_worst, draw_predictions

        dices = image_dices(data, logits, batch_size=batch_size)
        shown = best_median_worst(dices)
        if not shown:
            return None
        images, masks = (np.stack(part) for part in zip(*(data.test[i] for i in shown.values()), strict=True))
        return partial(
            draw_predictions,
            images=images,
            masks=masks,
            predictions=logits(images).argmax(1).cpu().numpy(),
            class_names=data.class_names,
            columns=[f"{rank}: {dices[index]:.3f}" for rank, index in shown.items()],
            title=title,
        )

    def random_data(self, num_images: int, image_size: int) -> SegmentationData:
        """Return random images with random masks."""
        import numpy as np

        from raytransfer.data.arrays import SegmentationData, Split

        rng = np.random.default_rng(0)
        shape = (num_images, image_size, image_size)
        split = Split(
            images=rng.uniform(size=(*shape, 1)).astype(np.float32),
            masks=rng.integers(0, RANDOM_CLASSES, shape).astype(np.uint8),
        )
        names = tuple(map(str, range(RANDOM_CLASSES)))
        return SegmentationData(
            name="random", class_names=names, train=split, test=split, image_size=image_size
        )


def image_dices(data: SegmentationData, logits: Logits, *, batch_size: int) -> NDArray[np.float64]:
    """Return the Dice of every test image (M,); see `dice_per_image`."""
    import numpy as np

    from raytransfer.metrics.segmentation import dice_per_image

    def dices() -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(data.test), batch_size):
            items = (data.test[index] for index in range(start, min(start + batch_size, len(data.test))))
            images, masks = (np.stack(part) for part in zip(*items, strict=True))
            yield dice_per_image(logits(images).argmax(1).cpu().numpy(), masks, len(data.class_names))

    return np.concatenate(list(dices()))


SEGMENTATION = Segmentation()
