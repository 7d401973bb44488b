import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from raytransfer.data.arrays import SegmentationData
from raytransfer.evaluation.learning_curves import draw_learning_curves
from raytransfer.evaluation.protocols.registry import PROTOCOLS
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.segmentation import image_dices
from raytransfer.evaluation.testing import predict_logits
from raytransfer.evaluation.training import DownstreamTraining
from raytransfer.models.names import encoder_of
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded

RECIPE = DownstreamSettings(epochs=3, batch_size=8)
MODELS = ("unet-micro", "resnet-unet-micro", "swin-unet-micro")


def _training(
    target: SegmentationData, model: str = "unet-micro", *, frozen: bool = False, seed: int = 0
) -> DownstreamTraining:
    with seeded(0):
        encoder = create_encoder(encoder_of(model), **({"drop_path_rate": 0.5} if "swin" in model else {}))
    return DownstreamTraining(model, encoder, RECIPE, target, frozen=frozen, seed=seed)


@pytest.mark.parametrize("model", MODELS)
def test_frozen_means_frozen(target: SegmentationData, model: str) -> None:
    """No weight and no batch-norm statistic of the encoder moves, and no path is dropped."""
    training = _training(target, model, frozen=True)
    before = copy.deepcopy(training.model.state_dict())
    images = torch.from_numpy(target.train.images[:2]).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    levels = training.model.encoder.eval().forward_levels(images)
    seen = []
    training.model.encoder.register_forward_pre_hook(lambda module, _: seen.append(module.training))
    training.model.decoder.register_forward_pre_hook(lambda module, _: seen.append(not module.training))
    training.train_epoch()
    assert not any(seen), "the encoder ran in training protocol or the decoder did not"
    after = training.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any(name.startswith("encoder.") for name in changed)
    assert not training.model.encoder.training
    again = training.model.encoder.forward_levels(images)
    assert all(torch.equal(a, b) for a, b in zip(levels, again, strict=True))


def test_full_training_moves_the_encoder(target: SegmentationData) -> None:
    training = _training(target)
    before = copy.deepcopy(training.model.encoder.state_dict())
    training.train_epoch()
    after = training.model.encoder.state_dict()
    assert all(not torch.equal(before[n], after[n]) for n in before if n.endswith("weight"))


@pytest.mark.parametrize("frozen", [True, False])
def test_same_seed_same_numbers(target: SegmentationData, frozen: bool) -> None:
    histories = []
    for seed in (0, 0, 1):
        training = _training(target, frozen=frozen, seed=seed)
        histories.append([{**training.train_epoch(), **training.evaluate()} for _ in range(2)])
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


def test_the_decoder_starts_alike_for_every_checkpoint(target: SegmentationData) -> None:
    trainings = []
    for encoder_seed in (0, 1):
        with seeded(encoder_seed):
            encoder = create_encoder("unet-micro")
        trainings.append(
            DownstreamTraining("unet-micro", encoder, RECIPE, target, frozen=False, seed=5).model
        )
    for ours, theirs in zip(
        trainings[0].decoder.parameters(), trainings[1].decoder.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_training_learns(target: SegmentationData) -> None:
    training = _training(target)
    losses = [training.train_epoch()["train/loss"] for _ in range(3)]
    assert losses[-1] < losses[0]
    metrics = training.evaluate()
    assert 0 <= metrics["test/jaccard"] <= metrics["test/dice"] <= 1
    logits = predict_logits(training.model, target.test.images, "cpu")
    assert logits.shape == (len(target.test), 3, 64, 64)
    assert set(np.unique(logits.argmax(1))) <= {0, 1, 2}


def test_the_dataset_is_not_changed(target: SegmentationData) -> None:
    before = target.train.images.copy(), target.train.masks.copy()
    _training(target).train_epoch()
    assert np.array_equal(before[0], target.train.images)
    assert np.array_equal(before[1], target.train.masks)


def test_learning_curves_are_a_picture(tmp_path) -> None:
    epochs = {epoch: {"train/loss": 1 / epoch, "test/dice": 0.1 * epoch} for epoch in (1, 2, 3)}
    draw_learning_curves(tmp_path / "c.png", epochs, [["train/loss"], ["test/dice"]], title="curves")
    assert np.asarray(Image.open(tmp_path / "c.png")).std() > 10


@pytest.mark.parametrize("protocol", ["fine_tuning", "frozen"])
def test_the_numbers_of_the_first_edition(target: SegmentationData, protocol: str) -> None:
    """Recorded before tasks and protocols were told apart: two epochs, every metric, every image's Dice."""
    golden = json.loads((Path(__file__).parent / "golden/downstream_training.json").read_text())[protocol]
    with seeded(0):
        encoder = create_encoder("unet-micro")
    recipe = DownstreamSettings(epochs=2)
    evaluation = PROTOCOLS[protocol].start("unet-micro", encoder, recipe, target, seed=0, device="cpu")
    history = [{"epoch": epoch, **evaluation.step()} for epoch in (1, 2)]
    for ours, theirs in zip(history, golden["history"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=0)
    dices = image_dices(target, lambda images: predict_logits(evaluation.model, images, "cpu"), batch_size=8)
    assert dices.tolist() == pytest.approx(golden["image_dices"], rel=1e-12, abs=0, nan_ok=True)
