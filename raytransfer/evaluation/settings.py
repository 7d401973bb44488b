"""Settings of a downstream training."""

from raytransfer.settings import MOST_EPOCHS, MOST_IMAGES, setting, settings

DEFAULT_PROTOCOLS = ("fine_tuning", "frozen")


@settings("downstream")
class DownstreamSettings:
    """The downstream recipe (SGD, polynomial decay per step, soft Dice with background)."""

    epochs: int = setting(8, "epochs of a downstream training", ge=1, le=MOST_EPOCHS)
    batch_size: int = setting(8, "images per optimiser step", ge=1, le=MOST_IMAGES)
    learning_rate: float = setting(0.05, "base learning rate of SGD", gt=0)
    momentum: float = setting(0.9, "momentum of SGD", ge=0, lt=1, rule="in [0, 1)")
    weight_decay: float = setting(1e-4, "weight decay of SGD", ge=0)
    poly_exponent: float = setting(0.9, "exponent of the polynomial decay", ge=0)
    rotation: float = setting(
        180.0, "largest rotation of a training image, degrees either way",
        ge=0, le=180, rule="between 0 and 180",
    )  # fmt: skip
    flip: float = setting(
        0.5, "probability of a vertical flip of a training image", ge=0, le=1, rule="a probability"
    )
