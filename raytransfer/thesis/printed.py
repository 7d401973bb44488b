"""What the thesis printed and its published tables can be held against."""

from collections.abc import Mapping, Sequence
from typing import Any

from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import ACCURACY, LAST

IMAGENET_ACCURACY = {
    ("acdc", "fine_tuning"): 0.982,
    ("acdc", "frozen"): 0.950,
    ("covid-qu-ex", "fine_tuning"): 0.982,
    ("covid-qu-ex", "frozen"): 0.953,
}
"""Table 4.1, "ImageNet accuracy": (dataset, protocol) -> TIS of the checkpoint that is best on ImageNet."""


def side_by_side(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the thesis's values of choosing by ImageNet accuracy beside those that its rows give.

    Args:
        rows: Of `rule_rows` and `accuracy_rows`, by dataset.
    """
    means = {(row["rule"], row["dataset"], row["protocol"]): row["mean"] for row in rows}
    return [
        {
            "dataset": dataset, "protocol": protocol, "thesis_imagenet_accuracy": printed,
            "recomputed_best_source_accuracy": means.get((ACCURACY, dataset, protocol)),
            "recomputed_last_checkpoint": means[LAST, dataset, protocol],
        }
        for (dataset, protocol), printed in IMAGENET_ACCURACY.items()
        if (LAST, dataset, protocol) in means
    ]  # fmt: skip


def why_they_differ(curves: Sequence[Curve]) -> str:
    """Return what the rows say about the difference."""
    last = sum(curve.source_accuracy[-1] >= max(curve.source_accuracy) for curve in curves)
    return (
        f"In {last} of {len(curves)} configurations the last checkpoint has the highest ImageNet accuracy, "
        "so choosing by that accuracy is choosing the last checkpoint, and the published rows give it the "
        "values of the last two columns. The thesis's Table 4.1 prints lower ones, which these rows do not "
        "give; how they were computed is not published. Comparisons on this page use the recomputed values."
    )


def looks_ahead(curves: Sequence[Curve]) -> list[str]:
    """Return warnings of checkpoints whose scores are the same under every parameter choice.

    No two encoders score alike in everything: one of the two was scored under the name of the other, and a
    choice among the earlier epochs may look into the future.
    """
    equal_series: dict[tuple[str, int, int], int] = {}
    pretrainings = {(curve.dataset, curve.encoder, curve.scheme): curve for curve in curves}
    for curve in pretrainings.values():
        for i, first in enumerate(curve.epochs):
            for k in range(i + 1, len(curve.epochs)):
                if all(scores[i] == scores[k] for scores in curve.scores.values()):
                    key = (curve.dataset, first, curve.epochs[k])
                    equal_series[key] = equal_series.get(key, 0) + len(curve.scores)
    series = {
        dataset: sum(len(c.scores) for (scored, *_), c in pretrainings.items() if scored == dataset)
        for dataset, *_ in pretrainings
    }
    warnings = []
    for (dataset, first, second), count in equal_series.items():
        share = f"all {count}" if count == series[dataset] else f"{count} of {series[dataset]}"
        equal = f"{dataset}: the scores of epochs {first} and {second} are exactly equal in {share} series"
        warnings.append(
            f"{equal}. One of the two was scored with the other’s weights, so what is chosen there with "
            "“epoch 0 included” (“epoch 0 too”) looks into the future and is not to be relied on."
            if first == 0
            else f"{equal}: one of the two was not scored by itself."
        )
    return warnings
