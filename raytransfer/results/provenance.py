"""Where a result comes from: settings, the code's git revision, the libraries' versions."""

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from raytransfer.results.scores import score_entries
from raytransfer.results.units import ScoringUnit
from raytransfer.transferability.indicators.base import Scores

LIBRARIES = (
    "raytransfer", "torch", "torchvision", "timm", "segmentation-models-pytorch", "ray", "mlflow", "optuna",
    "pyarrow", "albumentations", "numpy",
)  # fmt: skip


@cache
def git_sha() -> str:
    """Return the revision of the checkout this code runs from, "-dirty" with changes, or "unknown"."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--match="],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip()


@cache
def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def result_row(*, key: str, settings: Mapping[str, Any], seconds: float, **columns: Any) -> dict[str, Any]:
    """Return a row for the ledger: the given columns and where they come from.

    Args:
        key: Key of the result.
        settings: Everything it depends on, plain JSON values.
        seconds: How long it took.
        **columns: The other columns of its kind's schema.
    """
    return {
        "key": key,
        "config": json.dumps(settings, sort_keys=True),
        "git_sha": git_sha(),
        "finished_at": datetime.now(UTC),
        "seconds": seconds,
        **columns,
    }


def scoring_row(unit: ScoringUnit, scores: Scores, *, seconds: float) -> dict[str, Any]:
    """Return the row of a scoring: the scores of every parameter choice."""
    return result_row(
        key=unit.key, settings=unit.settings, seconds=seconds,
        encoder=unit.encoder, scheme=unit.scheme, epoch=unit.epoch, dataset=unit.dataset,
        encoder_sha256=unit.encoder_sha256, indicator=unit.strategy.name, scores=score_entries(scores),
    )  # fmt: skip
