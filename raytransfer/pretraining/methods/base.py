"""What a pretraining method is. Nothing here needs torch until a method is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from raytransfer.pretraining.settings import PretrainingSettings

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from raytransfer.data.sources.augmentation import ViewTransform
    from raytransfer.data.sources.images import ClassificationData, ImageSource
    from raytransfer.models.encoder import Encoder


RATE = "learning_rate"
"""What a pretraining epoch reports beside its method's metrics, which are `train/...` and `val/...`."""


def is_metric(name: str) -> bool:
    """Return whether something in a pretraining's report is a metric of it, whatever the method."""
    return name == RATE or name.startswith(("train/", "val/"))


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a method is built with.

    Attributes:
        recipe: The recipe of all methods.
        options: The method's own `Options`, None where it takes none.
        augmentation: Name of the scheme's augmentation, see `image_augmentation`.
        strength: Factor on its ranges and probabilities, in [0, 1].
        image_size: Side of the squares that the encoder sees, pixels.
        num_classes: Classes of the source data.
        total_steps: Optimiser steps of the whole pretraining.
        device: Where it trains.
    """

    recipe: PretrainingSettings
    options: Any
    augmentation: str
    strength: float
    image_size: int
    num_classes: int
    total_steps: int
    device: str | torch.device


class Batch(NamedTuple):
    """A process's images of an optimiser step, or a part of them.

    Attributes:
        views: One or several views of every image, each float (N, 3, S, S) in [0, 1]; S may differ per view.
        labels: int64 (N,), or mixed (N, C). Methods without labels do not read them.
    """

    views: tuple[Tensor, ...]
    labels: Tensor

    def part(self, start: int, stop: int) -> Batch:
        """Return a slice of the images."""
        return Batch(tuple(view[start:stop] for view in self.views), self.labels[start:stop])


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What one forward pass gives.

    Attributes:
        loss: Mean loss over the images, with its graph.
        sums: Metric -> its sum over the images; reported as a mean over images, `train/<metric>`.
    """

    loss: Tensor
    sums: Mapping[str, float] = field(default_factory=dict)


class SourceReader(Protocol):
    """Reads unchanged source images, each process its share of them."""

    data: ClassificationData

    def batches(
        self, images: ImageSource, indices: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """Yield this process's positions in `indices`, float images (N, 3, S, S), labels (N,)."""


class Method(Protocol):
    """A pretraining method. A class that inherits from this says only what is special about it.

    A method keeps no state: what it learns is in the module's parameters and buffers, which are saved and
    restored. It draws random numbers from the global generators only, which the loop has seeded.

    Attributes:
        Options: The settings of this method alone, None where it takes none; see `raytransfer.options`.
        primary_metric: The metric of `evaluate` that says how good an encoder is on the source data, higher
            is better, as the ledger has it: `val/<metric>`.
        whole_batch: Whether the loss compares images with each other, so that a process's share of a batch
            must not be cut into chunks.
        least_images: Images that a forward pass needs at least.
        packages: Packages to import that `pip install raytransfer` does not bring.
        views: Makes the views of an image (H, W, 3): uint8 tensors (3, S, S). Runs in processes that read.
    """

    Options: ClassVar[type[Any] | None] = None
    primary_metric: ClassVar[str]
    whole_batch: ClassVar[bool] = False
    least_images: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ()
    views: ViewTransform

    def __init__(self, setup: Setup) -> None: ...

    def augment_batch(self, batch: Batch) -> Batch:
        """Change a process's share of a batch, on the device, before it is cut into chunks."""
        return batch

    def build(self, encoder: Encoder) -> nn.Module:
        """Return the module to train, with the encoder as its attribute `encoder`.

        Parameters that gradients must not change have `requires_grad` unset.
        """
        ...

    def step(self, module: nn.Module, batch: Batch) -> StepResult:
        """Compute the loss of a batch or of a chunk of it.

        Args:
            module: That of `build`, or what wraps it for data parallelism: call it once, with all views.
            batch: On the device.
        """
        ...

    def after_step(self, module: nn.Module, step: int) -> None:
        """Change the module after an optimiser step, for example a target network that follows the encoder.

        Args:
            module: That of `build`, unwrapped.
            step: How many steps of the whole pretraining came before, from 0.
        """

    def evaluate(self, module: nn.Module, source: SourceReader) -> dict[str, float]:
        """Measure the encoder on the source's validation images, together with all other processes.

        Args:
            module: That of `build`, unwrapped, in evaluation mode; no gradients are recorded.
            source: Reads the images.

        Returns:
            Metric -> value, the same in all processes; reported as `val/<metric>`.
        """
        ...
