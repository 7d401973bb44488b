"""Settings of a pretraining."""

from typing import Annotated, Self

from pydantic import model_validator

from raytransfer.errors import require
from raytransfer.settings import (
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_PROCESSES,
    Seed,
    must,
    setting,
    settings,
)

Series = Annotated[
    tuple[int, ...],
    must(
        lambda epochs: bool(epochs) and list(epochs) == sorted(set(epochs)) and epochs[0] >= 0,
        "increasing epochs from 0 up",
    ),
]


@settings("pretraining")
class PretrainingSettings:
    """The pretraining recipe (AdamW, linear warm-up, cosine decay per step, cross-entropy).

    The number of workers is part of the recipe. A batch has the same images whatever it is, but batch norm
    and mixing work on each worker's share of it, and a sum over other parts has other last digits. With
    `min_workers` the number may change during the training, so that a seed no longer gives one result.
    """

    epochs: int = setting(20, "epochs of a whole pretraining", ge=1, le=MOST_EPOCHS)
    series: Series = setting((0, 1, 2, 5, 10, 20), "epochs whose encoder is kept; 0 is untrained")
    batch_size: int = setting(64, "images per optimiser step, over all workers", ge=1, le=MOST_IMAGES)
    learning_rate: float = setting(2e-3, "base learning rate of AdamW", gt=0)
    weight_decay: float = setting(0.05, "weight decay of AdamW", ge=0)
    warmup_epochs: int = setting(2, "epochs of linear warm-up from 1e-6 times the base rate")
    label_smoothing: float = setting(
        0.1, "label smoothing of the cross-entropy, in [0, 1)", ge=0, lt=1, rule="in [0, 1)"
    )
    augmentation: float = setting(
        1.0, "factor on the ranges, probabilities and magnitude of the scheme's augmentation, in [0, 1]",
        ge=0, le=1, rule="in [0, 1]",
    )  # fmt: skip
    stochastic_depth: float = setting(
        0.0, "rate of the last block's stochastic depth (resnet50, swin), in [0, 1)",
        ge=0, lt=1, rule="in [0, 1)",
    )  # fmt: skip
    chunk_size: int = setting(
        0, "most images of a worker in one forward pass; 0: its whole share of a batch", ge=0, le=MOST_IMAGES
    )
    num_workers: int = setting(2, "data-parallel workers (Ray Train)", ge=1, le=MOST_PROCESSES)
    min_workers: int = setting(
        0, "least workers to go on with where the cluster has no room for num_workers; 0: always num_workers"
    )
    seed: Seed = setting(0, "seed of initialisation, order and augmentation")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        require(
            self.series[-1] <= self.epochs, "pretraining.series", self.series, f"within {self.epochs} epochs"
        )
        require(
            0 <= self.min_workers <= self.num_workers,
            "pretraining.min_workers", self.min_workers, f"between 0 and num_workers={self.num_workers}",
        )  # fmt: skip
        require(
            self.batch_size % self.num_workers == 0,
            "pretraining.batch_size", self.batch_size, f"a multiple of num_workers={self.num_workers}",
        )  # fmt: skip
        require(
            0 <= self.warmup_epochs <= self.epochs,
            "pretraining.warmup_epochs", self.warmup_epochs, f"between 0 and epochs={self.epochs}",
        )  # fmt: skip
        return self
