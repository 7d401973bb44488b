"""What every registered protocol keeps to, on every task that it evaluates."""

import json

import pytest
import torch

from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.settings import DEFAULT_PROTOCOLS, DownstreamSettings
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.evaluation.testing import measure_test
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded

TARGETS = {"segmentation": "mni152", "classification": "mni152-planes"}
RECIPE = DownstreamSettings(epochs=2, batch_size=16)


def _evaluates(protocol: str, task: str) -> bool:
    try:
        PROTOCOLS[protocol].check(task)
    except InputError:
        return False
    return True


PAIRS = [(p, t) for p in PROTOCOLS for t in TASKS if _evaluates(p, t)]


def _start(protocol: str, task: str, *, seed: int = 0):
    data = load_target(TARGETS[task], TargetSettings(image_size=32, slice_step=10))
    with seeded(1):
        encoder = create_encoder("unet-micro")
    return PROTOCOLS[protocol].start("unet-micro", encoder, RECIPE, data, seed=seed, device="cpu"), data


def test_every_task_has_a_target_here_and_a_protocol() -> None:
    assert set(TARGETS) == set(TASKS)
    assert {task for _, task in PAIRS} == set(TASKS)
    assert set(DEFAULT_PROTOCOLS) <= set(PROTOCOLS)
    assert all(_evaluates(protocol, task) for protocol in DEFAULT_PROTOCOLS for task in TASKS)


@pytest.mark.parametrize(("protocol", "task"), PAIRS)
def test_its_steps_have_the_metrics_of_the_task_and_its_model_gives_the_last(
    protocol: str, task: str
) -> None:
    evaluation, data = _start(protocol, task)
    steps = [evaluation.step() for _ in range(PROTOCOLS[protocol].num_steps(RECIPE))]
    expected = {"train/loss", *(f"test/{metric}" for metric in TASKS[task].metric_names)}
    for step in steps:
        assert expected <= set(step)
        assert all(name.startswith(("train/", "test/")) for name in step)
        assert all(isinstance(value, float) for value in step.values())
    again = measure_test(evaluation.model, data, batch_size=16, device="cpu")
    assert again == pytest.approx({name: steps[-1][name] for name in again}, nan_ok=True)
    assert torch.device(evaluation.device).type == "cpu"


@pytest.mark.parametrize(("protocol", "task"), PAIRS)
def test_same_seed_same_numbers(protocol: str, task: str) -> None:
    first, second = (_start(protocol, task)[0].step() for _ in range(2))
    assert repr(first) == repr(second)


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_its_settings_are_plain_values_by_section(protocol: str) -> None:
    settings = PROTOCOLS[protocol].settings(RECIPE)
    assert json.loads(json.dumps(settings)) == settings
    assert all(isinstance(section, dict) for section in settings.values())


@pytest.mark.parametrize(("protocol", "task"), PAIRS)
def test_a_pass_over_the_images_can_be_measured(protocol: str, task: str) -> None:
    encoder, data = create_encoder("unet-micro"), TASKS[task].random_data(2, 32)
    one_pass = PROTOCOLS[protocol].one_pass("unet-micro", encoder, RECIPE, data, device="cpu")
    one_pass()
    one_pass()
