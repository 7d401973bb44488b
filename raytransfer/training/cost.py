"""What a downstream trial costs, measured here and extrapolated: nothing is assumed about the machine."""

import time

import numpy as np
import torch

from raytransfer.config import DownstreamConfig
from raytransfer.data import SegmentationData, Split
from raytransfer.models import create_encoder, encoder_of
from raytransfer.training.downstream import DownstreamTraining
from raytransfer.training.seeding import seeded

NUM_CLASSES = 4
CPU_BATCH = 1
"""Images per step that are timed without a GPU; a whole batch would take minutes."""


def seconds_per_image(model: str, config: DownstreamConfig, *, image_size: int, frozen: bool) -> float:
    """Time an optimiser step on random images and return seconds per training image.

    Args:
        model: Name for `create_segmentation_model`.
        config: The recipe; its batch size counts on a GPU.
        image_size: Side of the images, pixels.
        frozen: Whether only the decoder is trained.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = config.batch_size if device == "cuda" else min(config.batch_size, CPU_BATCH)
    rng = np.random.default_rng(0)
    shape = (size, image_size, image_size)
    split = Split(
        images=rng.uniform(size=(*shape, 1)).astype(np.float32),
        masks=rng.integers(0, NUM_CLASSES, shape).astype(np.uint8),
    )
    data = SegmentationData(
        name="random",
        class_names=tuple(map(str, range(NUM_CLASSES))),
        train=split,
        test=split,
        image_size=image_size,
    )
    with seeded(0):
        encoder = create_encoder(encoder_of(model))
    training = DownstreamTraining(model, encoder, config, data, frozen=frozen, seed=0, device=device)
    training.train_epoch()  # one batch: buffers and kernels are set up
    began = time.perf_counter()
    training.train_epoch()
    return (time.perf_counter() - began) / size
