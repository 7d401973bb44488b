import io
from dataclasses import replace

import pytest
import torch

from raytransfer.config import InputError, PretrainingConfig
from raytransfer.data import ClassificationData
from raytransfer.training.pretraining import Pretraining

RECIPE = PretrainingConfig(epochs=3, series=(0, 3), warmup_epochs=1, batch_size=20, num_workers=1)


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


def test_resumed_is_undisturbed(source: ClassificationData) -> None:
    whole = _epochs(Pretraining("unet-micro", "simple", RECIPE, source), 3)
    first = Pretraining("unet-micro", "simple", RECIPE, source)
    part = _epochs(first, 1)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = Pretraining("unet-micro", "simple", RECIPE, source)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert second.epoch == 1
    assert part + _epochs(second, 2) == whole


def test_global_generators_are_left_alone(source: ClassificationData) -> None:
    before = torch.get_rng_state()
    _epochs(Pretraining("unet-micro", "simple", RECIPE, source), 1)
    assert torch.equal(before, torch.get_rng_state())


def test_evaluation_counts_every_validation_image_once(source: ClassificationData) -> None:
    """Against a plain pass over the validation set."""
    training = Pretraining("unet-micro", "simple", RECIPE, source)
    metrics = training.evaluate()
    with torch.inference_mode():
        images = torch.from_numpy(source.val.images).permute(0, 3, 1, 2) / 255
        logits = training.classifier.eval()(images)
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
        Pretraining("unet-micro", "simpel", RECIPE, source).train_epoch()


def test_a_diverged_training_is_an_error(source: ClassificationData) -> None:
    training = Pretraining("unet-micro", "simple", replace(RECIPE, learning_rate=1e30), source)
    with pytest.raises(FloatingPointError, match="pretraining loss is"):
        _epochs(training, 3)
