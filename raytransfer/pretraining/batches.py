"""Batches of source images, read and augmented in this process or in others."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from raytransfer.data.sources.augmentation import ImageTransform
from raytransfer.data.sources.images import ImageSource
from raytransfer.runtime.seeding import seeded

PIECE = 64
"""Images a reading process hands over at a time: a batch of thousands is read by all of them at once."""

IMAGE_STREAM, BATCH_STREAM = 1, 2
"""Part of a seed that tells the random numbers of an image (seed, epoch, index, ...) from a batch's."""


class _TransformedImages(Dataset[tuple[Tensor, int]]):
    """Images as networks see them; random changes are functions of (*seed, index)."""

    def __init__(self, source: ImageSource, transform: ImageTransform, seed: tuple[int, ...]) -> None:
        self.source, self.transform, self.seed = source, transform, seed

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.source.image(index)
        with seeded(*self.seed, index, IMAGE_STREAM, cuda=False):
            return self.transform(image), int(self.source.labels[index])


def read_batches(
    source: ImageSource,
    batches: Sequence[NDArray[np.int64]],
    transform: ImageTransform,
    *,
    seed: tuple[int, ...] = (),
    workers: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read batches in order.

    Args:
        source: The images.
        batches: Indices of the images of every batch.
        transform: Applied to each image; gives equal sizes.
        seed: An image's random changes are a function of this and its index, whoever reads it.
        workers: Processes that read ahead; 0 reads in this one when asked.

    Yields:
        uint8 images (N, 3, H, W) and int64 labels (N,).
    """
    pieces = [batch[start : start + PIECE] for batch in batches for start in range(0, len(batch), PIECE)]
    loader = DataLoader(
        _TransformedImages(source, transform, seed),
        batch_sampler=[piece.tolist() for piece in pieces],
        num_workers=workers,
        generator=torch.Generator(),  # or it would draw from the global one
    )
    read = iter(loader)
    for batch in batches:
        images, labels = zip(*(next(read) for _ in range(0, len(batch), PIECE)), strict=True)
        yield torch.cat(images), torch.cat(labels)
