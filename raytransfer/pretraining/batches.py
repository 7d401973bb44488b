"""Batches of source images, read and augmented in this process or in others."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from raytransfer.data.sources.augmentation import Views, ViewTransform, image_evaluation
from raytransfer.data.sources.images import ClassificationData, ImageSource
from raytransfer.runtime.seeding import seeded

PIECE = 64
"""Images a reading process hands over at a time: a batch of thousands is read by all of them at once."""

IMAGE_STREAM, BATCH_STREAM = 1, 2
"""Part of a seed that tells the random numbers of an image (seed, epoch, index, ...) from a batch's."""


class _TransformedImages(Dataset[tuple[tuple[Tensor, ...], int]]):
    """Views of images as networks see them; random changes are functions of (*seed, index)."""

    def __init__(self, source: ImageSource, views: ViewTransform, seed: tuple[int, ...]) -> None:
        self.source, self.views, self.seed = source, views, seed

    def __getitem__(self, index: int) -> tuple[tuple[Tensor, ...], int]:
        image = self.source.image(index)
        with seeded(*self.seed, index, IMAGE_STREAM, cuda=False):
            return self.views(image), int(self.source.labels[index])


def read_batches(
    source: ImageSource,
    batches: Sequence[NDArray[np.int64]],
    views: ViewTransform,
    *,
    seed: tuple[int, ...] = (),
    workers: int = 0,
) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Read batches in order.

    Args:
        source: The images.
        batches: Indices of the images of every batch.
        views: Applied to each image; a view has the same size for all images.
        seed: An image's random changes are a function of this and its index, whoever reads it.
        workers: Processes that read ahead; 0 reads in this one when asked.

    Yields:
        The views, each uint8 (N, 3, H, W), and int64 labels (N,).
    """
    pieces = [batch[start : start + PIECE] for batch in batches for start in range(0, len(batch), PIECE)]
    loader = DataLoader(
        _TransformedImages(source, views, seed),
        batch_sampler=[piece.tolist() for piece in pieces],
        num_workers=workers,
        generator=torch.Generator(),  # or it would draw from the global one
    )
    read = iter(loader)
    for batch in batches:
        images, labels = zip(*(next(read) for _ in range(0, len(batch), PIECE)), strict=True)
        yield tuple(torch.cat(view) for view in zip(*images, strict=True)), torch.cat(labels)


class SharedReader:
    """Reads images as they are for evaluation, each process its share of them.

    Args:
        data: The source data.
        rank: This process.
        num_processes: How many there are.
        batch_size: Images at a time.
        device: Where the images go.
        workers: As in `read_batches`.
    """

    def __init__(
        self,
        data: ClassificationData,
        *,
        rank: int,
        num_processes: int,
        batch_size: int,
        device: str | torch.device,
        workers: int,
    ) -> None:
        self.data, self.device = data, device
        self._rank, self._num_processes = rank, num_processes
        self._batch_size, self._workers = batch_size, workers

    def batches(
        self, images: ImageSource, indices: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """Yield this process's images.

        Args:
            images: Where from.
            indices: Of all images that the processes read together.

        Yields:
            Positions in `indices`, float images (N, 3, S, S) in [0, 1] and labels (N,).
        """
        mine = np.arange(self._rank, len(indices), self._num_processes)
        parts = [mine[start : start + self._batch_size] for start in range(0, len(mine), self._batch_size)]
        views = Views(image_evaluation(image_size=self.data.image_size))
        read = read_batches(images, [indices[part] for part in parts], views, workers=self._workers)
        for part, ((inputs,), labels) in zip(parts, read, strict=True):
            yield part, to_input(inputs, self.device), labels.to(self.device)


def to_input(images: Tensor, device: str | torch.device) -> Tensor:
    """Return uint8 images as float in [0, 1] on a device."""
    return images.to(device).float() / 255
