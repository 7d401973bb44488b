"""Predictions and metrics of a model on target images; plain torch, one process."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from raytransfer.data.arrays import TargetData
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.models.target_model import TargetModel


def to_input(images: NDArray[np.float32], device: str | torch.device) -> Tensor:
    """Return images (N, H, W, C), C = 1 or 3, as a network takes them: (N, 3, H, W)."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


@torch.inference_mode()
def predict_logits(model: TargetModel, images: NDArray[np.float32], device: str | torch.device) -> Tensor:
    """Return logits (N, C, ...) for images (N, H, W, 1 or 3) in [0, 1]."""
    model.eval()
    logits: Tensor = model(to_input(images, device))
    return logits


@torch.inference_mode()
def measure_test(
    model: TargetModel, data: TargetData, *, batch_size: int, device: str | torch.device
) -> dict[str, float]:
    """Return {"test/<name>"} over the test images for every metric of the data's task.

    A NaN is a metric that the test images do not define.

    Args:
        model: The model, on the device.
        data: The target data.
        batch_size: Images at a time; it does not matter but for memory and speed.
        device: Where to compute.

    Raises:
        ValueError: The model gives NaN.
    """
    metrics = TASKS[data.task].metrics(len(data.class_names), device)
    test = data.test
    for start in range(0, len(test), batch_size):
        items = (test[index] for index in range(start, min(start + batch_size, len(test))))
        images, labels = (np.stack(part) for part in zip(*items, strict=True))
        probabilities = predict_logits(model, images, device).softmax(1)
        metrics.update(probabilities, torch.from_numpy(labels).long())
    return {f"test/{name}": value for name, value in metrics.compute().items()}
