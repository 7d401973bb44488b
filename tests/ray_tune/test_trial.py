from pathlib import Path
from typing import Any

from raytransfer.config import StudyConfig
from raytransfer.metrics import METRICS
from raytransfer.ray_tune.trial import DownstreamTrial
from raytransfer.results import Storage, configurations, downstream_units, result_row


def test_a_finished_trial_that_is_begun_again_gives_its_result(tmp_path: Path) -> None:
    """Its last answer got lost with the network: Tune takes it for lost."""
    study = StudyConfig(seeds=(5,))
    (unit,) = downstream_units(
        study, [next(configurations(study))], {("unet-micro", "simple"): {0: "a" * 64}}
    )
    history = [
        {"epoch": epoch, "train/loss": 0.5, **{f"test/{name}": epoch / 8 for name in METRICS}}
        for epoch in (1, 2)
    ]
    row = result_row(
        key=unit.key, settings=unit.settings, seconds=1.0, **vars(unit.configuration), encoder=unit.encoder,
        encoder_sha256=unit.encoder_sha256, seed=unit.seed, history=history, **dict.fromkeys(METRICS, 0.25),
    )  # fmt: skip
    Storage(tmp_path).ledger.append("downstream", row)

    class Trial(DownstreamTrial):
        def setup(self, config: dict[str, Any]) -> None:
            super().setup(config, units={unit.key: unit}, data={}, root=tmp_path)

    result = Trial({"trial": {"key": unit.key}}).train()
    assert {name: result[name] for name in ("epoch", "done", "test/dice")} == {
        "epoch": 2, "done": True, "test/dice": 0.25,
    }  # fmt: skip
