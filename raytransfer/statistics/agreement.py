"""How far segmentation metrics rank trainings alike: the thesis's Figure 1.6."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raytransfer.metrics.names import SEGMENTATION_METRICS as METRICS
from raytransfer.metrics.ranking import spearman

TRAINING = ("model", "dataset", "scheme", "protocol", "epoch", "seed")


def agreement_rows(trials: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return Spearman's rank correlation of every two metrics over the trainings of each dataset.

    Trainings of all models, checkpoints and protocols count, two rows of one training once; for two metrics,
    those that have both. None where fewer than three have, or one of the metrics is the same in all.

    Args:
        trials: One row per training: `TRAINING` and the metrics, None where there is none.
    """
    distinct = list({tuple(trial[name] for name in TRAINING): trial for trial in trials}.values())
    rows = []
    for dataset in sorted({trial["dataset"] for trial in distinct}):
        of_dataset = [trial for trial in distinct if trial["dataset"] == dataset]
        values = {name: np.array([trial[name] for trial in of_dataset], dtype=float) for name in METRICS}
        for first in METRICS:
            for second in METRICS:
                both = np.isfinite(values[first]) & np.isfinite(values[second])
                a, b = values[first][both], values[second][both]
                varies = len(a) > 2 and np.ptp(a) > 0 and np.ptp(b) > 0
                rows.append(
                    {
                        "dataset": dataset, "first": first, "second": second, "trainings": len(a),
                        "spearman": spearman(a.tolist(), b.tolist()) if varies else None,
                    }
                )  # fmt: skip
    return rows
