import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from raytransfer.data.arrays import ClassificationTarget, SegmentationData
from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.errors import InputError
from raytransfer.evaluation.protocols.linear_probe import LINEAR_PROBE, PENALTIES, fit_probe
from raytransfer.evaluation.settings import DownstreamSettings
from raytransfer.evaluation.testing import predict_logits
from raytransfer.models.registry import create_encoder
from raytransfer.runtime.seeding import seeded


def _blobs(classes: list[int], each: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat(classes, each)
    features = rng.normal(3, 20, size=(len(labels), 6)) + 9 * np.eye(6)[labels]
    features[:, 5] = 1.0  # tells nothing
    return features, labels


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [[0, 1, 2], [0, 1]])
def test_the_layer_predicts_what_scikit_learn_does(classes: list[int]) -> None:
    features, labels = _blobs(classes)
    weight, bias, penalty, loss = fit_probe(features, labels, num_classes=len(classes), seed=3)
    folds = StratifiedKFold(5, shuffle=True, random_state=3)

    def model(c: float):
        return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))

    means = [cross_val_score(model(c), features, labels, cv=folds).mean() for c in PENALTIES]
    assert penalty == PENALTIES[int(np.argmax(means))]
    expected = model(penalty).fit(features, labels).predict_proba(features)
    assert _softmax(features @ weight.T + bias) == pytest.approx(expected, abs=1e-9)
    assert loss == pytest.approx(log_loss(labels, expected))
    assert not weight[:, 5].any()


def test_a_class_without_training_images_is_never_predicted() -> None:
    features, labels = _blobs([0, 3])
    weight, bias, _, _ = fit_probe(features, labels, num_classes=4, seed=0)
    probabilities = torch.from_numpy(features @ weight.T + bias).float().softmax(1)
    assert probabilities[:, [1, 2]].max() == 0
    assert probabilities.sum(1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 0, 0, 1]])
def test_what_nothing_can_be_chosen_by_is_refused(labels: list[int]) -> None:
    with pytest.raises(InputError, match="needs two classes and two training images of each"):
        fit_probe(np.random.default_rng(0).normal(size=(4, 2)), np.array(labels), num_classes=2, seed=0)


@pytest.fixture(scope="module")
def planes() -> ClassificationTarget:
    return load_target("mni152-planes", TargetSettings(image_size=32, slice_step=10))


def test_a_probe_of_an_encoder_leaves_it_as_it_is(planes: ClassificationTarget) -> None:
    with seeded(0):
        encoder = create_encoder("unet-micro").train()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    recipe = DownstreamSettings()
    probe = LINEAR_PROBE.start("unet-micro", encoder, recipe, planes, seed=0, device="cpu")
    metrics = probe.step()
    assert all(torch.equal(before[name], tensor) for name, tensor in probe.model.encoder.state_dict().items())

    def features(images) -> np.ndarray:
        batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        with torch.inference_mode():
            return encoder.eval()(batch).mean((2, 3)).double().numpy()

    regression = make_pipeline(
        StandardScaler(), LogisticRegression(C=metrics["train/penalty_c"], max_iter=2000)
    ).fit(features([planes.train[i][0] for i in range(len(planes.train))]), planes.train.labels)
    images = np.stack([planes.test[i][0] for i in range(len(planes.test))])
    expected = regression.predict_proba(features(images))
    ours = predict_logits(probe.model, images, "cpu").softmax(1).numpy()
    assert ours == pytest.approx(expected, abs=1e-3)
    assert metrics["test/accuracy"] == (expected.argmax(1) == planes.test.labels).mean()


def test_the_recipe_does_not_count(planes: ClassificationTarget) -> None:
    assert LINEAR_PROBE.num_steps(DownstreamSettings(epochs=7)) == 1
    assert LINEAR_PROBE.settings(DownstreamSettings()) == LINEAR_PROBE.settings(DownstreamSettings(epochs=7))


def test_segmentation_is_refused_in_a_line(target: SegmentationData) -> None:
    with pytest.raises(InputError, match="predicts one label per image, not segmentation"):
        LINEAR_PROBE.start(
            "unet-micro", create_encoder("unet-micro"), DownstreamSettings(), target, seed=0, device="cpu"
        )
