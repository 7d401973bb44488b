"""What a training costs, measured here and extrapolated: nothing is assumed about the machine."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from raytransfer.data.sources.images import ArrayImages, ClassificationData
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.models.names import encoder_named_by
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.seeding import seeded

CPU_PIXELS = 2 * 224 * 224
"""Pixels per step that are timed without a GPU; a whole batch would take minutes."""


def _images_per_step(batch_size: int, image_size: int, device: str) -> int:
    """Return how many images are timed at once: an even number, which mixing needs, or a single image."""
    most = max(2, CPU_PIXELS // image_size**2) if device == "cpu" else batch_size
    size = min(batch_size, most)
    return size - size % 2 if size > 1 else size


def _seconds_of_a_step(train_epoch: Callable[[], object]) -> float:
    """Time an epoch that is one batch, after another in which buffers and kernels are set up."""
    train_epoch()
    began = time.perf_counter()
    train_epoch()
    return time.perf_counter() - began


def seconds_per_image(
    model: str, config: DownstreamSettings, *, image_size: int, task: str, protocol: str
) -> float:
    """Time what a step of an evaluation does, on random images, and return seconds per training image.

    Args:
        model: Name of a model of the task.
        config: The recipe of downstream training; its batch size counts on a GPU.
        image_size: Side of the images, pixels.
        task: Kind of target task.
        protocol: Evaluation protocol.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = _images_per_step(config.batch_size, image_size, device)
    data = TASKS[task].random_data(size, image_size)
    with seeded(0):
        encoder = create_encoder(encoder_named_by(model))
    one_pass = PROTOCOLS[protocol].one_pass(model, encoder, config, data, device=device)
    return _seconds_of_a_step(one_pass) / size


def pretraining_seconds_per_image(
    encoder: str, scheme: str, config: PretrainingSettings, *, image_size: int, num_classes: int
) -> float:
    """Time an optimiser step on random images and return seconds per training image, in one process.

    Reading images from files and validation are not timed.

    Args:
        encoder: Name for `create_encoder`.
        scheme: Pretraining scheme.
        config: The recipe; its batch, or chunk, counts on a GPU.
        image_size: Side of the images, pixels.
        num_classes: Classes of the source data.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    share = config.batch_size // config.num_workers
    size = _images_per_step(min(config.chunk_size or share, share), image_size, device)
    rng = np.random.default_rng(0)
    images = ArrayImages(
        images=rng.integers(0, 256, (size, image_size, image_size, 3), np.uint8),
        labels=rng.integers(0, num_classes, size),
    )
    data = ClassificationData(
        name="random",
        class_names=tuple(map(str, range(num_classes))),
        train=images,
        val=images,
        image_size=image_size,
    )
    recipe = replace(
        config, epochs=2, series=(2,), warmup_epochs=0, batch_size=size, num_workers=1, min_workers=0
    )
    training = Pretraining(encoder, scheme, recipe, data, device=device)
    return _seconds_of_a_step(training.train_epoch) / size
