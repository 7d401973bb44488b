import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics as sklearn_metrics

from raytransfer.data.arrays import ClassificationTarget
from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.errors import InputError
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.tasks.classification import CLASSIFICATION
from raytransfer.evaluation.training import DownstreamTraining
from raytransfer.metrics.classification import ClassificationMetrics
from raytransfer.models.classification import ClassificationModel
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded


@pytest.fixture(scope="module")
def planes() -> ClassificationTarget:
    return load_target("mni152-planes", TargetSettings(image_size=32, slice_step=10))


def _measure(probabilities: np.ndarray, labels: list[int], batch: int = 100) -> dict[str, float]:
    metrics = ClassificationMetrics(probabilities.shape[1])
    for start in range(0, len(labels), batch):
        part = slice(start, start + batch)
        metrics.update(torch.from_numpy(probabilities[part]), torch.tensor(labels[part]))
    return metrics.compute()


def test_the_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 60)
    logits = rng.normal(size=(60, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    guesses = probabilities.argmax(1)
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, guesses),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, guesses),
        "auroc": sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr"),
        "macro_f1": sklearn_metrics.f1_score(labels, guesses, average="macro"),
    }
    assert _measure(probabilities, labels.tolist()) == pytest.approx(expected, rel=1e-6)
    assert _measure(probabilities, labels.tolist(), batch=7) == _measure(probabilities, labels.tolist())


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        # of three classes, the last is in no image; one image is taken for it
        (
            [0, 0, 1, 1],
            {"accuracy": 0.75, "balanced_accuracy": 0.75, "auroc": 1.0, "macro_f1": (1 + 2 / 3) / 2},
        ),
        # all images of one class: no pair to order
        ([0, 0, 0, 0], {"accuracy": 0.5, "balanced_accuracy": 0.5, "auroc": math.nan, "macro_f1": 2 / 3}),
    ],
)
def test_a_class_that_is_not_there_is_left_out(labels: list[int], expected: dict[str, float]) -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.3, 0.6]])
    assert _measure(probabilities, labels) == pytest.approx(expected, nan_ok=True)


def test_before_the_first_image_there_is_no_value() -> None:
    assert all(map(math.isnan, ClassificationMetrics(2).compute().values()))


@pytest.mark.parametrize(
    ("probabilities", "labels", "says"),
    [
        (torch.full((2, 3), 0.5), torch.tensor([0, 1]), "must have shape"),
        (torch.tensor([[math.nan, 0.5]]), torch.tensor([0]), "NaN"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([2]), "labels must be 0 to 1"),
    ],
)
def test_what_cannot_be_counted_is_refused(
    probabilities: torch.Tensor, labels: torch.Tensor, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        ClassificationMetrics(2).update(probabilities, labels)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("resnet-micro", "resnet-micro"), ("resnet-unet-micro", "resnet-micro"), ("unet-micro", "unet-micro"),
     ("smp/fpn", "timm/resnet18"), ("timm/resnet10t", "timm/resnet10t")],
)  # fmt: skip
def test_a_name_means_an_encoder(name: str, encoder: str) -> None:
    assert CLASSIFICATION.model_name(name) == encoder


def test_what_names_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="unknown model 'resnet_micro': did you mean 'resnet-micro'"):
        CLASSIFICATION.model_name("resnet_micro")
    with pytest.raises(InputError, match="needs encoder 'unet-micro', got 'resnet-micro'"):
        CLASSIFICATION.build_model("unet-micro", create_encoder("resnet-micro"), 3)


def test_a_model_is_a_linear_layer_on_the_mean_of_the_last_level() -> None:
    model = ClassificationModel(create_encoder("unet-micro"), 3).eval()
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        features = model.encoder(images).flatten(2).mean(2)
        assert torch.allclose(model(images), features @ model.head.weight.T + model.head.bias, atol=1e-6)
        served = CLASSIFICATION.served_model(model)(images)
    assert torch.allclose(served.sum(1), torch.ones(2))


def test_the_loss_is_the_cross_entropy() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    probabilities = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = sklearn_metrics.log_loss([0, 0], probabilities, labels=[0, 1])
    assert float(CLASSIFICATION.loss()(logits, labels)) == pytest.approx(expected)


def test_training_learns_and_shows_examples(planes: ClassificationTarget, tmp_path) -> None:
    with seeded(0):
        encoder = create_encoder("unet-micro")
    recipe = DownstreamSettings(epochs=4, batch_size=8, rotation=0.0, flip=0.0)
    training = DownstreamTraining("unet-micro", encoder, recipe, planes, frozen=False, seed=0)
    losses = [training.train_epoch()["train/loss"] for _ in range(4)]
    assert losses[-1] < losses[0]
    drawing = CLASSIFICATION.draw_examples(
        planes, lambda images: torch.eye(3)[[0] * len(images)], batch_size=4, title="planes"
    )
    drawing(tmp_path / "p.png")
    assert np.asarray(Image.open(tmp_path / "p.png")).std() > 10


def test_changes_keep_the_label_and_the_size(planes: ClassificationTarget) -> None:
    augment = CLASSIFICATION.augmentation(DownstreamSettings(), planes, seed=0)
    image, label = planes.train[0]
    changed, kept = augment(image, label)
    assert (changed.shape, kept) == (image.shape, label)
    assert not np.array_equal(changed, image)
