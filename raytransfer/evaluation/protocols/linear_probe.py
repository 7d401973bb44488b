"""Linear probe: logistic regression on the features of the encoder as it is.

The features are the last level averaged over space, of every training image once, without augmentation,
standardised by the training images' mean and standard deviation. The strength of the L2 penalty is chosen by
stratified cross-validation on the training images, by accuracy; of equals the strongest, as scikit-learn
chooses. Neighbouring slices of one volume may stand in different folds: the choice may then be of too weak a
penalty, but the test is of other images.

Source: Alain and Bengio, Understanding intermediate layers using linear classifier probes (2016); the
penalty chosen on training data as in Kornblith et al., Do better ImageNet models transfer better? (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from raytransfer.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from raytransfer.data.arrays import TargetData
    from raytransfer.evaluation.settings import DownstreamSettings
    from raytransfer.models.classification import ClassificationModel
    from raytransfer.models.encoder import Encoder

FOLDS = 5
PENALTIES = tuple(10.0**power for power in range(-4, 3))
"""Values of scikit-learn's C, the inverse of the strength of the penalty."""
MOST_ITERATIONS = 2000


class LinearProbe:
    """Evaluates an encoder in one step, see the module; of classification.

    The result is a model like those of the other protocols: the standardisation and the regression together
    are one linear layer. Its step adds "train/penalty_c", the C chosen; "train/loss" is the mean
    cross-entropy of the training images, without the penalty.
    """

    def check(self, task: str) -> None:
        """Refuse what is not classification."""
        if task != "classification":
            raise InputError(f"a linear probe predicts one label per image, not {task}")

    def settings(self, recipe: DownstreamSettings) -> dict[str, Any]:
        """Return what the probe depends on, to which the recipe does not belong."""
        return {"linear_probe": {"folds": FOLDS, "penalties": list(PENALTIES)}}

    def num_steps(self, recipe: DownstreamSettings) -> int:
        """Return 1."""
        return 1

    def start(
        self,
        model: str,
        encoder: Encoder,
        recipe: DownstreamSettings,
        data: TargetData,
        *,
        seed: int,
        device: str | torch.device,
    ) -> _Probing:
        """Begin a probe; the seed decides the folds, and of the recipe only the batch size is used."""
        self.check(data.task)
        return _Probing(model, encoder, data, batch_size=recipe.batch_size, seed=seed, device=device)

    def one_pass(
        self, model: str, encoder: Encoder, recipe: DownstreamSettings, data: TargetData, *, device: str
    ) -> Callable[[], object]:
        """Return the computation of the features, which takes the time."""
        probing = self.start(model, encoder, recipe, data, seed=0, device=device)
        return probing.features


class _Probing:
    """A linear probe under way."""

    def __init__(
        self,
        model: str,
        encoder: Encoder,
        data: TargetData,
        *,
        batch_size: int,
        seed: int,
        device: str | torch.device,
    ) -> None:
        from raytransfer.evaluation.tasks.classification import CLASSIFICATION

        self.device = device
        self._data, self._batch_size, self._seed = data, batch_size, seed
        # The head's first weights are replaced, so they need no seed.
        self.model: ClassificationModel = CLASSIFICATION.build_model(
            model, encoder, len(data.class_names)
        ).to(device)
        self.model.requires_grad_(False)

    def features(self) -> NDArray[np.float64]:
        """Return the features (N, C) of the training images, as models see them."""
        import numpy as np
        import torch

        from raytransfer.evaluation.testing import to_input
        from raytransfer.models.classification import pooled_features

        images, found = self._data.train_images, []
        encoder = self.model.encoder.eval()
        with torch.inference_mode():
            for start in range(0, len(images), self._batch_size):
                stop = min(start + self._batch_size, len(images))
                batch = np.stack([images[index] for index in range(start, stop)])
                levels = encoder.forward_levels(to_input(batch, self.device))
                found.append(pooled_features(levels).double().cpu().numpy())
        return np.concatenate(found)

    def step(self) -> dict[str, float]:
        """Fit the probe and test it."""
        import numpy as np

        from raytransfer.evaluation.testing import measure_test

        features = self.features()
        labels = np.array([self._data.train[index][1] for index in range(len(self._data.train))])
        weight, bias, penalty, loss = fit_probe(
            features, labels, num_classes=len(self._data.class_names), seed=self._seed
        )
        self._set_head(weight, bias)
        tests = measure_test(self.model, self._data, batch_size=self._batch_size, device=self.device)
        return {"train/loss": loss, "train/penalty_c": penalty, **tests}

    def _set_head(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> None:
        import torch

        with torch.no_grad():
            self.model.head.weight.copy_(torch.from_numpy(weight))
            self.model.head.bias.copy_(torch.from_numpy(bias))


def fit_probe(
    features: NDArray[np.float64], labels: NDArray[np.int64], *, num_classes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Fit a logistic regression to standardised features, its penalty chosen by cross-validation.

    - A feature that is the same in all images gets weight 0.
    - Of a class with fewer images than folds, some folds have none; with a single image of some class, or
      where only one class is there, there is nothing to choose by, and InputError is raised.
    - A class without training images is never predicted: its bias is so low that its probability is 0.

    Args:
        features: (N, C).
        labels: (N,), from 0.
        num_classes: Classes there are, those without images included.
        seed: Of the folds.

    Returns:
        Weight (num_classes, C) and bias (num_classes,) of a linear layer on the features as they were given,
        the C chosen, and the mean cross-entropy of the training images.

    Raises:
        InputError: A class has a single image, or only one class is there.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2 or counts.min() < 2:
        raise InputError(
            "a linear probe needs two classes and two training images of each, got "
            f"{dict(zip(classes.tolist(), counts.tolist(), strict=True))} images by label"
        )
    folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    search = GridSearchCV(pipeline, {"logisticregression__C": list(PENALTIES)}, cv=folds, scoring="accuracy")
    with threadpool_limits(1):  # more threads are slower on so little, and would round otherwise
        search.fit(features, labels)
    scaler, regression = search.best_estimator_
    weight, bias = regression.coef_, regression.intercept_
    if len(classes) == 2:  # scikit-learn gives the logit of the second class
        weight, bias = np.concatenate([0 * weight, weight]), np.concatenate([0 * bias, bias])
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    whole_weight = np.zeros((num_classes, features.shape[1]))
    whole_bias = np.full(num_classes, bias.min() - NEVER)
    whole_weight[classes], whole_bias[classes] = weight, bias
    loss = float(log_loss(labels, search.predict_proba(features), labels=classes))
    return whole_weight, whole_bias, float(search.best_params_["logisticregression__C"]), loss


NEVER = 1e6
"""Below the other biases, so that a softmax in float32 gives 0."""

LINEAR_PROBE = LinearProbe()
