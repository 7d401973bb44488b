"""Settings of the robustness indicator."""

import math
from dataclasses import dataclass

from raytransfer.errors import unknown_name
from raytransfer.settings import (
    MOST_IMAGES,
    MOST_PROCESSES,
    MOST_SEED,
    require,
    require_from,
    setting,
)

POOLINGS = {
    "frozen": ("frozen",),
    "always": ("fine_tuning", "frozen"),
    "never": (),
    "fine_tuning": ("fine_tuning",),
}
"""Name -> protocols in which representations are averaged over space."""

MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""The margins of the thesis's ablation."""

DISTANCES = ("cosine", "l2", "pearson")
"""Names of the distances between representations."""


@dataclass(frozen=True, kw_only=True)
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
    level: int = setting(
        -2,
        "encoder level that chooses checkpoints: 1 has the highest resolution, -2 is second to last",
        changes_results=False,
    )
    pooled: str = setting(
        "frozen",
        "where features averaged over space choose: frozen, fine_tuning, always or never",
        changes_results=False,
    )
    margins: tuple[float, ...] = setting(MARGINS, "margins that are scored")
    seed: int = setting(0, "seed of the colour jitter and of the pairing")
    batch_size: int = setting(
        16,
        "images per forward pass; changes speed, not scores: 4 is fastest at 224 px on a CPU",
        changes_results=False,
    )
    num_workers: int = setting(
        1, "tasks that share the scoring of a checkpoint; changes speed, not scores", changes_results=False
    )
    mixed_precision: bool = setting(
        True, "whether encoders compute in float16 where scoring has a GPU; changes scores by 1e-4 or so"
    )

    def __post_init__(self) -> None:
        margins = self.margins
        require(
            len(set(margins)) == len(margins) > 0 and all(0 <= margin < math.inf for margin in margins),
            "robustness.margins", margins, "at least 0, without repeats",
        )  # fmt: skip
        require(
            self.margin in margins, "robustness.margin", self.margin, f"one of robustness.margins={margins}"
        )
        if self.pooled not in POOLINGS:
            raise unknown_name("robustness.pooled", self.pooled, POOLINGS)
        require(self.level != 0, "robustness.level", self.level, "from 1 up, or negative from the end")
        require_from(1, "robustness.batch_size", self.batch_size, MOST_IMAGES)
        require_from(1, "robustness.num_workers", self.num_workers, MOST_PROCESSES)
        require_from(0, "robustness.seed", self.seed, MOST_SEED)

    def level_number(self, num_levels: int) -> int:
        """Return `level` counted from 1 in an encoder with so many levels; it may not exist there."""
        return self.level if self.level > 0 else num_levels + 1 + self.level
