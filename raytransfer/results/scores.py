"""Scores as they stand in rows of the ledger, and back."""

from collections.abc import Mapping
from typing import Any

from raytransfer.transferability.indicators.base import Score, Scores, ScoreSpec, spec_of_columns


def score_entries(scores: Scores) -> list[dict[str, Any]]:
    """Return the column "scores" of a row of kind "score"; the row's own "indicator" says of which."""
    return [
        {
            "level": spec.level,
            "pooled": spec.pooled,
            "options": spec.options_text,
            "value": score.value,
            "standard_error": score.standard_error,
            "num_images": score.num_images,
        }
        for spec, score in scores.items()
    ]


def read_scores(row: Mapping[str, Any]) -> dict[ScoreSpec, Score]:
    """Return the scores of a row of kind "score", in its order."""
    return {
        spec_of_columns(row["indicator"], of["level"], of["pooled"], of["options"]): Score(
            of["value"], of["standard_error"], of["num_images"]
        )
        for of in row["scores"]
    }
