import math
from pathlib import Path

from raytransfer.pretraining.schemes import SCHEMES
from raytransfer.report.figures import draw_pretraining
from raytransfer.results.durations import pretraining_epochs, source_curves
from raytransfer.results.ledger import Ledger
from raytransfer.results.provenance import result_row
from raytransfer.results.units import pretraining_units
from raytransfer.study import Study


def test_methods_of_any_kind_stand_in_one_picture(tmp_path: Path) -> None:
    ledger, units = Ledger(tmp_path), pretraining_units(Study(models=("unet-micro",), schemes=tuple(SCHEMES)))
    for unit in units:
        for epoch in (1, 2):
            metrics = {"train/loss": 1 / epoch, "learning_rate": 0.1, unit.primary_metric: epoch / 4}
            ledger.append("pretraining", result_row(
                key=unit.epoch_key(epoch), settings={}, seconds=1.0, encoder=unit.encoder, epoch=epoch,
                scheme=unit.scheme, pretraining=unit.key, source="photographs", encoder_sha256="",
                metrics=metrics,
            ))  # fmt: skip
    rows = source_curves(pretraining_epochs(ledger, units))
    assert [(row["scheme"], row["epoch"]) for row in rows] == [(s, e) for s in SCHEMES for e in (1, 2)]
    for row in rows:
        assert (row["train/loss"], row["val/top1"]) == (1 / row["epoch"], row["epoch"] / 4)
        assert math.isnan(row["train/top1"])
        assert math.isnan(row["val/loss"])
    draw_pretraining(tmp_path / "pretraining.png", rows)
    assert (tmp_path / "pretraining.png").stat().st_size > 1000
