"""Settings of a downstream training."""

from dataclasses import dataclass

from raytransfer.settings import (
    MOST_EPOCHS,
    MOST_IMAGES,
    require,
    require_from,
    setting,
)

DEFAULT_PROTOCOLS = ("fine_tuning", "frozen")


@dataclass(frozen=True, kw_only=True)
class DownstreamSettings:
    """The downstream recipe (SGD, polynomial decay per step, soft Dice with background)."""

    epochs: int = setting(8, "epochs of a downstream training")
    batch_size: int = setting(8, "images per optimiser step")
    learning_rate: float = setting(0.05, "base learning rate of SGD")
    momentum: float = setting(0.9, "momentum of SGD")
    weight_decay: float = setting(1e-4, "weight decay of SGD")
    poly_exponent: float = setting(0.9, "exponent of the polynomial decay")
    rotation: float = setting(180.0, "largest rotation of a training image, degrees either way")
    flip: float = setting(0.5, "probability of a vertical flip of a training image")

    def __post_init__(self) -> None:
        require_from(1, "downstream.epochs", self.epochs, MOST_EPOCHS)
        require_from(1, "downstream.batch_size", self.batch_size, MOST_IMAGES)
        require(self.learning_rate > 0, "downstream.learning_rate", self.learning_rate, "positive")
        require(0 <= self.momentum < 1, "downstream.momentum", self.momentum, "in [0, 1)")
        require(self.weight_decay >= 0, "downstream.weight_decay", self.weight_decay, "at least 0")
        require(self.poly_exponent >= 0, "downstream.poly_exponent", self.poly_exponent, "at least 0")
        require(0 <= self.rotation <= 180, "downstream.rotation", self.rotation, "between 0 and 180")
        require(0 <= self.flip <= 1, "downstream.flip", self.flip, "a probability")
