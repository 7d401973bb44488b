"""How well features tell classes apart, without training: the nearest neighbours vote."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 0.1
"""A neighbour at cosine similarity s weighs exp(s / TEMPERATURE) (Wu et al., arXiv:1805.01978, sec. 3.4)."""


def knn_classifier(features: NDArray[np.float32], labels: NDArray[np.int64], neighbours: int) -> Any:
    """Return scikit-learn's classifier of features by cosine similarity.

    Args:
        features: (N, C), of the images that vote.
        labels: (N,), their classes.
        neighbours: How many vote for one image, at most N.
    """
    from sklearn.neighbors import KNeighborsClassifier

    # With 1 - s for distance, a factor that is the same for all neighbours is left out.
    classifier = KNeighborsClassifier(
        neighbours, metric="cosine", algorithm="brute", weights=lambda d: np.exp(-d / TEMPERATURE)
    )
    return classifier.fit(features, labels)
