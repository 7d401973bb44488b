from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.pipeline.cost import pretraining_seconds_per_image, seconds_per_image
from raytransfer.pretraining.settings import PretrainingSettings


def test_a_step_is_timed() -> None:
    assert 0 < seconds_per_image("unet-micro", DownstreamSettings(), image_size=64, frozen=True) < 10


def test_a_step_of_a_pretraining_is_timed() -> None:
    for scheme in ("simple", "advanced"):
        speed = pretraining_seconds_per_image(
            "unet-micro", scheme, PretrainingSettings(), image_size=32, num_classes=20
        )
        assert 0 < speed < 10
