"""The downstream loop: train a segmentation model on the target data; plain torch, one process."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.data.arrays import SegmentationData
from raytransfer.evaluation.augmentation import downstream_augmentation
from raytransfer.evaluation.losses import soft_dice_loss
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.metrics.segmentation import SegmentationMetrics, dice_per_image
from raytransfer.models.encoder import Encoder
from raytransfer.models.registry import create_segmentation_model
from raytransfer.runtime.schedules import polynomial
from raytransfer.runtime.seeding import derived_seed, seeded


class DownstreamTraining:
    """One downstream training, epoch by epoch.

    The seed decides the decoder's initialisation, the order of the images and their augmentation; it is the
    same for every checkpoint. A frozen encoder is frozen: no gradient, no moving batch-norm statistics, no
    stochastic depth.

    Args:
        model: Name for `create_segmentation_model`.
        encoder: The pretrained encoder; it becomes part of the model and is changed unless frozen.
        config: The recipe.
        data: The target data.
        frozen: Whether only the decoder is trained.
        seed: See above.
        device: Where to train.

    Raises:
        InputError: There is no such model, or the encoder is not its encoder.
    """

    def __init__(
        self,
        model: str,
        encoder: Encoder,
        config: DownstreamSettings,
        data: SegmentationData,
        *,
        frozen: bool,
        seed: int,
        device: str | torch.device = "cpu",
    ) -> None:
        self.config, self.data, self.frozen, self.seed, self.device = config, data, frozen, seed, device
        self.epoch = 0
        with seeded(seed):
            self.model = create_segmentation_model(
                model, num_classes=len(data.class_names), encoder=encoder
            ).to(device)
        self.model.encoder.requires_grad_(not frozen)
        self._optimizer = torch.optim.SGD(
            [p for p in self.model.parameters() if p.requires_grad],
            lr=config.learning_rate, momentum=config.momentum, weight_decay=config.weight_decay,
        )  # fmt: skip
        steps_per_epoch = -(-len(data.train) // config.batch_size)
        self._schedule = polynomial(
            self._optimizer, total_steps=config.epochs * steps_per_epoch, exponent=config.poly_exponent
        )
        self._loss = soft_dice_loss()

    def train_epoch(self) -> dict[str, float]:
        """Train for one epoch over all training images.

        Returns:
            {"train/loss"}: the Dice loss, averaged over images.

        Raises:
            FloatingPointError: The loss is NaN or infinite.
        """
        data, config = self.data, self.config
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(data.train))
        augment = downstream_augmentation(config, data, seed=derived_seed(self.seed, self.epoch))
        summed = 0.0
        self.model.train()
        if self.frozen:
            self.model.encoder.eval()
        with seeded(self.seed, self.epoch):
            for start in range(0, len(order), config.batch_size):
                chosen = order[start : start + config.batch_size]
                items = (data.train[index] for index in chosen)
                pairs = [augment(image=image, mask=mask) for image, mask in items]
                images = self._to_input(np.stack([pair["image"] for pair in pairs]))
                masks = torch.from_numpy(np.stack([pair["mask"] for pair in pairs])).to(self.device)
                loss = self._loss(self._forward(images), masks[:, None])
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
        """Return {"test/<name>"} over the test images for every name in `raytransfer.metrics.METRICS`.

        See `SegmentationMetrics` for what they are; a NaN is a metric that the test images do not define.

        Raises:
            ValueError: The network gives NaN.
        """
        metrics = SegmentationMetrics(len(self.data.class_names), device=self.device)
        test, size = self.data.test, self.config.batch_size
        for start in range(0, len(test), size):
            images, masks = zip(*(test[i] for i in range(start, min(start + size, len(test)))), strict=True)
            probabilities = self._probabilities(np.stack(images))
            metrics.update(probabilities, torch.from_numpy(np.stack(masks)).long())
        return {f"test/{name}": value for name, value in metrics.compute().items()}

    def image_dices(self) -> NDArray[np.float64]:
        """Return the Dice of every test image (M,); see `dice_per_image`."""
        found, test, size = [], self.data.test, self.config.batch_size
        for start in range(0, len(test), size):
            images, masks = zip(*(test[i] for i in range(start, min(start + size, len(test)))), strict=True)
            predictions = self.predict(np.stack(images))
            found.append(dice_per_image(predictions, np.stack(masks), len(self.data.class_names)))
        return np.concatenate(found)

    @torch.inference_mode()
    def predict(self, images: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return predicted labels (N, H, W) for images (N, H, W, C) in [0, 1], C = 1 or 3."""
        self.model.eval()
        return self.model(self._to_input(images)).argmax(1).cpu().numpy()

    @torch.inference_mode()
    def _probabilities(self, images: NDArray[np.float32]) -> Tensor:
        self.model.eval()
        return self.model(self._to_input(images)).softmax(1)

    def _forward(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(not self.frozen):
            levels = self.model.encoder.forward_levels(images)
        return self.model.decode(levels)

    def _to_input(self, images: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
