import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightly.utils.debug import std_of_l2_normalized
from torch import nn

from raytransfer.data.sources.images import ClassificationData
from raytransfer.models.registry import create_encoder
from raytransfer.pretraining.batches import SharedReader
from raytransfer.pretraining.loop import Pretraining
from raytransfer.pretraining.methods.base import Batch, Setup
from raytransfer.pretraining.methods.simsiam import SimSiam, SimSiamOptions, simsiam_loss
from raytransfer.pretraining.nearest_neighbours import knn_classifier
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.runtime.seeding import seeded

OPTIONS = SimSiamOptions(projection_size=64, prediction_size=16, neighbours=5)
RECIPE = PretrainingSettings(
    epochs=6, series=(0, 6), warmup_epochs=0, batch_size=40, num_workers=1, learning_rate=2e-3
)


def _method(options: SimSiamOptions = OPTIONS) -> SimSiam:
    return SimSiam(
        Setup(
            recipe=RECIPE,
            options=options,
            augmentation="contrastive",
            strength=1.0,
            image_size=32,
            num_classes=3,
            total_steps=4,
            device="cpu",
        )
    )


def test_loss_and_gradients_are_those_of_the_reference(shared: Path) -> None:
    """The public code's and lightly's value; gradients of a linear encoder and predictor, with the stop."""
    folder = shared / "reference" / "selfsupervised"
    values = json.loads((folder / "loss_values.json").read_text())["simsiam"]
    case = {name: torch.from_numpy(array) for name, array in np.load(folder / "loss_cases.npz").items()}
    loss = simsiam_loss(case["z1"], case["p1"], case["z2"], case["p2"])
    assert float(loss) == pytest.approx(values["loss_official"], abs=1e-12)
    w, p = case["net_w"].requires_grad_(), case["net_p"].requires_grad_()
    z1, z2 = case["net_x1"] @ w, case["net_x2"] @ w
    loss = simsiam_loss(z1, z1 @ p, z2, z2 @ p)
    loss.backward()
    assert loss.item() == pytest.approx(values["net_loss"], abs=1e-12)
    torch.testing.assert_close(w.grad, case["net_grad_w_stop"], rtol=0, atol=1e-12)
    torch.testing.assert_close(p.grad, case["net_grad_p_stop"], rtol=0, atol=1e-12)
    assert not torch.allclose(w.grad, case["net_grad_w_nostop"], atol=1e-3)


def test_a_step_is_the_formula_with_no_gradient_through_the_projections() -> None:
    """Against the cosines written out, with the targets computed apart, without a graph."""
    method = _method()
    with seeded(0):
        module = method.build(create_encoder("swin-micro")).double()
        views = torch.rand(2, 8, 3, 32, 32, dtype=torch.float64)
    method.step(module, Batch(tuple(views), torch.zeros(8))).loss.backward()
    found = {name: value.grad.clone() for name, value in module.named_parameters() if value.grad is not None}
    module.zero_grad()

    def unit(x: torch.Tensor) -> torch.Tensor:
        return x / x.square().sum(1, keepdim=True).sqrt()

    projection, prediction = module.heads
    with torch.no_grad():
        targets = [unit(projection(module.encoder(view).mean((2, 3)))) for view in views]
    total = torch.zeros((), dtype=torch.float64)
    for view, target in zip(views, targets[::-1], strict=True):
        predicted = unit(prediction(projection(module.encoder(view).mean((2, 3)))))
        total = total - (predicted * target).sum(1).mean() / 2
    total.backward()
    assert found
    for name, value in module.named_parameters():
        torch.testing.assert_close(found[name], value.grad, rtol=1e-7, atol=1e-12)


def test_two_views_of_an_image_are_functions_of_the_seed() -> None:
    views = _method().views
    image = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)

    def seen(seed: int) -> tuple[torch.Tensor, ...]:
        with seeded(seed, cuda=False):
            return views(image)

    first, second = seen(0)
    assert first.shape == second.shape == (3, 32, 32)
    assert not torch.equal(first, second)
    assert all(map(torch.equal, seen(0), (first, second)))
    assert not torch.equal(seen(1)[0], first)


def test_neighbours_vote_by_similarity() -> None:
    """Against the weights exp(s / 0.1) of the five nearest, added up per class by hand."""
    rng = np.random.default_rng(0)
    bank, asked = rng.standard_normal((40, 6)), rng.standard_normal((30, 6))
    labels = rng.integers(0, 4, 40)
    found = knn_classifier(bank, labels, 5).predict(asked)
    similarity = (asked / np.linalg.norm(asked, axis=1)[:, None]) @ (bank.T / np.linalg.norm(bank, axis=1))
    for row, predicted in zip(similarity, found, strict=True):
        nearest = np.argsort(-row)[:5]
        votes = np.bincount(labels[nearest], np.exp(row[nearest] / 0.1), minlength=4)
        assert predicted == votes.argmax()


class _Fixed(nn.Module):
    """Gives the same projections whatever the features, or what a function makes of them."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(x)


def _measured(source: ClassificationData, method: SimSiam, module: nn.Module) -> dict[str, float]:
    reader = SharedReader(source, rank=0, num_processes=1, batch_size=7, device="cpu", workers=0)
    with torch.inference_mode():
        return method.evaluate(module.eval(), reader)


def test_the_spread_of_projections_tells_a_collapse(source: ClassificationData) -> None:
    method = _method()
    with seeded(0):
        module = method.build(create_encoder("unet-micro"))
        noise = torch.randn(1000, 64)
    images = torch.from_numpy(source.val.images).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        projections = module.eval().heads[0](module.features(images))
    expected = float(std_of_l2_normalized(projections))
    assert _measured(source, method, module)["projection_std"] == pytest.approx(expected, rel=1e-4)
    module.heads[0] = _Fixed(lambda x: torch.ones(len(x), 64))
    assert _measured(source, method, module)["projection_std"] == pytest.approx(0, abs=1e-6)
    rows = iter(noise)
    module.heads[0] = _Fixed(lambda x: torch.stack([next(rows) for _ in x]))
    healthy = _measured(source, method, module)["projection_std"]
    assert healthy == pytest.approx(1 / math.sqrt(64), rel=0.1)


def test_few_training_images_vote_where_that_is_asked(source: ClassificationData) -> None:
    method = _method(replace(OPTIONS, neighbours=50, knn_images=3))
    with seeded(0):
        module = method.build(create_encoder("unet-micro"))
    assert 0 <= _measured(source, method, module)["knn_top1"] <= 1


def test_it_learns_without_collapsing(source: ClassificationData) -> None:
    training = Pretraining("resnet-micro", "simsiam", RECIPE, source)
    losses, spreads = [], []
    for _ in range(RECIPE.epochs):
        losses.append(training.train_epoch()["train/loss"])
        spreads.append(training.evaluate()["val/projection_std"])
    assert all(-1 <= loss <= 1 for loss in losses)
    assert losses[-1] < losses[0] - 0.1
    assert spreads[-1] > 0.25 / math.sqrt(SimSiamOptions().projection_size)
