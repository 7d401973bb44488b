"""Settings of a pretraining."""

from dataclasses import dataclass

from raytransfer.settings import (
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_PROCESSES,
    MOST_SEED,
    require,
    require_from,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """The pretraining recipe (AdamW, linear warm-up, cosine decay per step, cross-entropy).

    The number of workers is part of the recipe. A batch has the same images whatever it is, but batch norm
    and mixing work on each worker's share of it, and a sum over other parts has other last digits. With
    `min_workers` the number may change during the training, so that a seed no longer gives one result.
    """

    epochs: int = setting(20, "epochs of a whole pretraining")
    series: tuple[int, ...] = setting((0, 1, 2, 5, 10, 20), "epochs whose encoder is kept; 0 is untrained")
    batch_size: int = setting(64, "images per optimiser step, over all workers")
    learning_rate: float = setting(2e-3, "base learning rate of AdamW")
    weight_decay: float = setting(0.05, "weight decay of AdamW")
    warmup_epochs: int = setting(2, "epochs of linear warm-up from 1e-6 times the base rate")
    label_smoothing: float = setting(0.1, "label smoothing of the cross-entropy, in [0, 1)")
    augmentation: float = setting(
        1.0, "factor on the ranges, probabilities and magnitude of the scheme's augmentation, in [0, 1]"
    )
    stochastic_depth: float = setting(
        0.0, "rate of the last block's stochastic depth (resnet50, swin), in [0, 1)"
    )
    chunk_size: int = setting(0, "most images of a worker in one forward pass; 0: its whole share of a batch")
    num_workers: int = setting(2, "data-parallel workers (Ray Train)")
    min_workers: int = setting(
        0, "least workers to go on with where the cluster has no room for num_workers; 0: always num_workers"
    )
    seed: int = setting(0, "seed of initialisation, order and augmentation")

    def __post_init__(self) -> None:
        require_from(1, "pretraining.epochs", self.epochs, MOST_EPOCHS)
        series = self.series
        require(
            bool(series) and list(series) == sorted(set(series)) and series[0] >= 0,
            "pretraining.series", series, "increasing epochs from 0 up",
        )  # fmt: skip
        require(series[-1] <= self.epochs, "pretraining.series", series, f"within {self.epochs} epochs")
        require_from(1, "pretraining.num_workers", self.num_workers, MOST_PROCESSES)
        require(
            0 <= self.min_workers <= self.num_workers,
            "pretraining.min_workers", self.min_workers, f"between 0 and num_workers={self.num_workers}",
        )  # fmt: skip
        require(
            self.batch_size >= self.num_workers and self.batch_size % self.num_workers == 0,
            "pretraining.batch_size", self.batch_size, f"a multiple of num_workers={self.num_workers}",
        )  # fmt: skip
        require_from(1, "pretraining.batch_size", self.batch_size, MOST_IMAGES)
        require(self.learning_rate > 0, "pretraining.learning_rate", self.learning_rate, "positive")
        require(self.weight_decay >= 0, "pretraining.weight_decay", self.weight_decay, "at least 0")
        require(
            0 <= self.warmup_epochs <= self.epochs,
            "pretraining.warmup_epochs", self.warmup_epochs, f"between 0 and epochs={self.epochs}",
        )  # fmt: skip
        require(
            0 <= self.label_smoothing < 1, "pretraining.label_smoothing", self.label_smoothing, "in [0, 1)"
        )
        require(0 <= self.augmentation <= 1, "pretraining.augmentation", self.augmentation, "in [0, 1]")
        require(
            0 <= self.stochastic_depth < 1,
            "pretraining.stochastic_depth", self.stochastic_depth, "in [0, 1)",
        )  # fmt: skip
        require_from(0, "pretraining.chunk_size", self.chunk_size, MOST_IMAGES)
        require_from(0, "pretraining.seed", self.seed, MOST_SEED)
