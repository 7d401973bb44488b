"""Settings of the robustness indicator."""

from typing import Annotated, Self

from pydantic import model_validator

from raytransfer.errors import require, unknown_name
from raytransfer.settings import (
    MOST_IMAGES,
    MOST_PROCESSES,
    Seed,
    must,
    setting,
    settings,
)

POOLINGS = {
    "frozen": ("frozen",),
    "always": ("fine_tuning", "frozen"),
    "never": (),
    "fine_tuning": ("fine_tuning",),
}
"""Name -> protocols in which representations are averaged over space."""

DISTANCE_NAMES = ("cosine", "l2", "pearson")

MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The margins of the thesis's ablation."""

Margins = Annotated[
    tuple[float, ...],
    must(
        lambda margins: len(set(margins)) == len(margins) > 0 and min(margins) >= 0,
        "at least 0, without repeats",
    ),
]
Level = Annotated[int, must(lambda level: level != 0, "from 1 up, or negative from the end")]


@settings("robustness")
class RobustnessSettings:
    """The robustness indicator: thesis, eq. 4.2, with its defaults.

    Every distance, level and pooling is scored; `distance`, `margin`, `level` and `pooled` say which of the
    scores chooses checkpoints.
    """

    distance: str = setting(
        "cosine", "distance that chooses checkpoints: cosine, l2 or pearson", changes_results=False
    )
    margin: float = setting(
        0.5, "margin of the hinge that chooses checkpoints, one of `margins`", changes_results=False
    )
    level: Level = setting(
        -2,
        "encoder level that chooses checkpoints: 1 has the highest resolution, -2 is second to last",
        changes_results=False,
    )
    pooled: str = setting(
        "frozen",
        "where features averaged over space choose: frozen, fine_tuning, always or never",
        changes_results=False,
    )
    margins: Margins = setting(MARGINS, "margins that are scored")
    seed: Seed = setting(0, "seed of the colour jitter and of the pairing")
    batch_size: int = setting(
        16,
        "images per forward pass; changes speed, not scores: 4 is fastest at 224 px on a CPU",
        changes_results=False, ge=1, le=MOST_IMAGES,
    )  # fmt: skip
    num_workers: int = setting(
        1, "tasks that share the scoring of a checkpoint; changes speed, not scores",
        changes_results=False, ge=1, le=MOST_PROCESSES,
    )  # fmt: skip
    mixed_precision: bool = setting(
        True, "whether encoders compute in float16 where scoring has a GPU; changes scores by 1e-4 or so"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        require(
            self.margin in self.margins,
            "robustness.margin", self.margin, f"one of robustness.margins={self.margins}",
        )  # fmt: skip
        if self.pooled not in POOLINGS:
            raise unknown_name("robustness.pooled", self.pooled, POOLINGS)
        return self
