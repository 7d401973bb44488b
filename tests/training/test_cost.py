from raytransfer.config import DownstreamConfig
from raytransfer.training.cost import seconds_per_image


def test_a_step_is_timed() -> None:
    assert 0 < seconds_per_image("unet-micro", DownstreamConfig(), image_size=64, frozen=True) < 10
