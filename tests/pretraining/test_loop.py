import io
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from raytransfer.data.sources.images import ClassificationData
from raytransfer.errors import InputError
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.settings import PretrainingSettings

RECIPE = PretrainingSettings(epochs=3, series=(0, 3), warmup_epochs=1, batch_size=20, num_workers=1)


def _epochs(training: Pretraining, count: int) -> list[dict[str, float]]:
    return [{**training.train_epoch(), **training.evaluate()} for _ in range(count)]


@pytest.mark.parametrize("encoder", ["unet-micro", "swin-micro"])
def test_same_seed_same_numbers(source: ClassificationData, encoder: str) -> None:
    first, second, other = (
        Pretraining(encoder, "simple", replace(RECIPE, seed=seed), source) for seed in (0, 0, 1)
    )
    history = _epochs(first, 2)
    assert history == _epochs(second, 2)
    assert history != _epochs(other, 2)
    assert history[1]["train/loss"] < history[0]["train/loss"]


@pytest.mark.parametrize("scheme", ["simple", "advanced"])
def test_resumed_is_undisturbed(source: ClassificationData, scheme: str) -> None:
    whole = _epochs(Pretraining("unet-micro", scheme, RECIPE, source), 3)
    first = Pretraining("unet-micro", scheme, RECIPE, source)
    part = _epochs(first, 1)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Pretraining("unet-micro", scheme, RECIPE, source)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.epoch == 1
    assert part + _epochs(second, 2) == whole


def test_global_generators_are_neither_changed_nor_read(source: ClassificationData) -> None:
    histories = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        histories.append(_epochs(Pretraining("unet-micro", "advanced", RECIPE, source), 1))
        after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
        assert torch.equal(before[0], after[0])
        assert before[1:] == after[1:]
    assert histories[0] == histories[1]


def test_who_reads_the_images_changes_nothing(source: ClassificationData) -> None:
    alone, helped = (
        Pretraining("unet-micro", "advanced", replace(RECIPE, batch_size=80), source, loader_workers=workers)
        for workers in (0, 2)
    )
    assert _epochs(alone, 2) == _epochs(helped, 2)


def test_images_are_augmented_alike_whatever_the_number_of_workers(source: ClassificationData) -> None:
    """The shares of several workers make up the batch of one, also where they are not equal."""
    config = replace(RECIPE, batch_size=20)
    batches = []
    for wanted, count in ((1, 1), (2, 2), (4, 3)):
        shares = []
        for rank in range(count):
            training = Pretraining(
                "unet-micro", "simple", replace(config, num_workers=wanted), source,
                rank=rank, num_processes=count,
            )  # fmt: skip
            seen = []
            training.module.register_forward_pre_hook(lambda _, args, seen=seen: seen.append(args[0]))
            training.train_epoch()
            shares.append(seen)
        batches.append([torch.cat(step) for step in zip(*shares, strict=True)])
    for one, two, three in zip(*batches, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_the_advanced_scheme_learns(source: ClassificationData) -> None:
    training = Pretraining("unet-micro", "advanced", replace(RECIPE, warmup_epochs=0, chunk_size=7), source)
    history = _epochs(training, 3)
    assert history[-1]["train/loss"] < history[0]["train/loss"]
    assert all(0 <= epoch["train/top1"] <= 1 for epoch in history)
    with pytest.raises(InputError, match=r"batch_size=15 .* 15 images, .* mixes them by 2"):
        Pretraining("unet-micro", "advanced", replace(RECIPE, batch_size=15), source)


def test_evaluation_counts_every_validation_image_once(source: ClassificationData) -> None:
    """Against a plain pass over the validation set."""
    training = Pretraining("unet-micro", "simple", RECIPE, source)
    metrics = training.evaluate()
    with torch.inference_mode():
        images = torch.from_numpy(source.val.images).permute(0, 3, 1, 2) / 255
        logits = training.module.eval()(images)
        labels = torch.from_numpy(source.val.labels)
        loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert metrics["val/loss"] == pytest.approx(float(loss), abs=1e-5)
    assert metrics["val/top1"] == pytest.approx(float((logits.argmax(1) == labels).double().mean()))
    assert metrics["val/top5"] >= metrics["val/top1"]


def test_wrong_names_and_sizes_are_named(source: ClassificationData) -> None:
    with pytest.raises(InputError, match="unknown encoder"):
        Pretraining("unet_micro", "simple", RECIPE, source)
    with pytest.raises(InputError, match=r"pretraining\.batch_size=1000 is more than the 80"):
        Pretraining("unet-micro", "simple", replace(RECIPE, batch_size=1000), source)
    with pytest.raises(InputError, match="unknown pretraining scheme 'simpel': did you mean 'simple'"):
        Pretraining("unet-micro", "simpel", RECIPE, source)


def test_a_diverged_training_is_an_error(source: ClassificationData) -> None:
    training = Pretraining("unet-micro", "simple", replace(RECIPE, learning_rate=1e30), source)
    with pytest.raises(FloatingPointError, match="pretraining loss is"):
        _epochs(training, 3)
