"""How far segmentation metrics rank trainings alike: the thesis's Figure 1.6."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from raytransfer.metrics.names import METRICS
from raytransfer.metrics.ranking import spearman


def agreement_rows(trials: pa.Table) -> list[dict[str, Any]]:
    """Return Spearman's rank correlation of every two metrics over the trainings of each dataset.

    Trainings of all models, checkpoints and protocols count; for two metrics, those that have both. None
    where fewer than three have, or one of the metrics is the same in all.

    Args:
        trials: One row per training.
    """
    training = ["model", "dataset", "scheme", "protocol", "epoch", "seed"]  # two rows of one are the same
    distinct = trials.group_by(training, use_threads=False).aggregate([(name, "mean") for name in METRICS])
    trials = distinct.rename_columns([name.removesuffix("_mean") for name in distinct.column_names])
    rows = []
    for dataset in sorted(trials["dataset"].unique().to_pylist()):
        of = trials.filter(pc.equal(trials["dataset"], dataset))
        values = {name: of[name].to_numpy(zero_copy_only=False).astype(float) for name in METRICS}
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
