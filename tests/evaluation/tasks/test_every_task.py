"""What every registered task keeps to."""

import numpy as np
import pytest
import torch

from raytransfer.data.registry import EMBEDDED_TARGETS, load_target, target_task
from raytransfer.data.settings import TargetSettings
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.registry import TASKS
from raytransfer.evaluation.testing import measure_test, predict_logits
from raytransfer.evaluation.trained import load_trained, save_trained
from raytransfer.models.registry import create_encoder

pytestmark = pytest.mark.parametrize("name", list(TASKS))


def test_it_goes_by_its_name_and_its_primary_metric_is_one_of_its_metrics(name: str) -> None:
    task = TASKS[name]
    assert task.name == name
    assert task.primary_metric.name in task.metric_names
    known = {"train/loss", *(f"test/{metric}" for metric in task.metric_names)}
    assert {metric for panel in task.curves for metric in panel} <= known


def test_random_data_train_a_model_that_comes_back_from_its_file(name: str, tmp_path) -> None:
    task = TASKS[name]
    data = task.random_data(4, 32)
    assert (data.task, len(data.train), data.image_size) == (name, 4, 32)
    augment = task.augmentation(DownstreamSettings(), data, seed=0)
    pairs = [augment(*data.train[index]) for index in range(4)]
    images, labels = (np.stack(part) for part in zip(*pairs, strict=True))
    model = task.build_model("unet-micro", create_encoder("unet-micro"), len(data.class_names))
    logits = model(torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1))
    loss = task.loss()(logits, torch.from_numpy(labels))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.dim() == 0
    tests = measure_test(model, data, batch_size=3, device="cpu")
    assert list(tests) == [f"test/{metric}" for metric in task.metric_names]
    assert 0 <= tests[f"test/{task.primary_metric.name}"] <= 1
    path = tmp_path / "model.safetensors"
    names = data.class_names
    save_trained(path, model, task=name, name="unet-micro", class_names=names, image_size=32)
    again, about = load_trained(path)
    assert about["task"] == name
    assert torch.equal(predict_logits(again, images, "cpu"), predict_logits(model, images, "cpu"))
    served = task.served_model(again)(torch.rand(2, 3, 32, 32))
    assert served.shape[:2] == (2, len(names))


def test_data_say_the_task_that_the_registry_says(name: str) -> None:
    for target in EMBEDDED_TARGETS:
        if target_task(target) == name:
            data = load_target(target, TargetSettings(image_size=32, slice_step=10))
            assert (data.name, data.task) == (target, name)
            assert data.train_images[0].shape == (32, 32, 1)
