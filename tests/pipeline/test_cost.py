import pytest

from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.pipeline.cost import pretraining_seconds_per_image, seconds_per_image
from raytransfer.pretraining.settings import PretrainingSettings


@pytest.mark.parametrize(("task", "protocol"), [(task, protocol) for task in TASKS for protocol in PROTOCOLS])
def test_a_step_is_timed(task: str, protocol: str) -> None:
    try:
        PROTOCOLS[protocol].check(task)
    except InputError:
        return
    speed = seconds_per_image("unet-micro", DownstreamSettings(), image_size=64, task=task, protocol=protocol)
    assert 0 < speed < 10


def test_a_step_of_a_pretraining_is_timed() -> None:
    for scheme in ("simple", "advanced"):
        speed = pretraining_seconds_per_image(
            "unet-micro", scheme, PretrainingSettings(), image_size=32, num_classes=20
        )
        assert 0 < speed < 10
