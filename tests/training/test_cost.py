from raytransfer.config import DownstreamConfig, PretrainingConfig
from raytransfer.training.cost import pretraining_seconds_per_image, seconds_per_image


def test_a_step_is_timed() -> None:
    assert 0 < seconds_per_image("unet-micro", DownstreamConfig(), image_size=64, frozen=True) < 10


def test_a_step_of_a_pretraining_is_timed() -> None:
    for scheme in ("simple", "advanced"):
        speed = pretraining_seconds_per_image(
            "unet-micro", scheme, PretrainingConfig(), image_size=32, num_classes=20
        )
        assert 0 < speed < 10
