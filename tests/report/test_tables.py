import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raytransfer.metrics.segmentation import METRICS
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.report.figures import draw_scores
from raytransfer.report.tables import answer_text
from raytransfer.results.curves import curves, recorded
from raytransfer.results.evaluations import evaluation_row
from raytransfer.results.ledger import Ledger
from raytransfer.results.provenance import result_row
from raytransfer.results.units import configurations, evaluation_units, scoring_units
from raytransfer.statistics.answer import Answer, recommend
from raytransfer.statistics.curves import Curve
from raytransfer.statistics.selection import BEST, LAST, PEAK
from raytransfer.statistics.signals import Signal
from raytransfer.study import Study

STUDY = Study(models=("unet-micro",), seeds=(0, 1), pretraining=PretrainingSettings(series=(0, 1, 5, 20)))
ENCODERS = {("unet-micro", "simple"): {0: "a" * 64, 1: "b" * 64, 5: "c" * 64, 20: "d" * 64}}
DICE = {0: (0.5, 0.7), 1: (0.7, 0.7), 5: (0.8, 0.8), 20: (0.7, 0.8)}
SCORES = {  # epoch: (not pooled, pooled)
    0: (0.9, 0.5), 1: (0.6, 0.5), 5: (0.5, 0.6), 20: (0.7, 0.55),
}  # fmt: skip


def _trials() -> list:
    return evaluation_units(STUDY, configurations(STUDY), ENCODERS)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    ledger = Ledger(tmp_path)
    for unit in scoring_units(STUDY, ENCODERS):
        scores = [
            {"options": "distance=cosine, margin=0.5", "level": -2, "pooled": pooled, "value": score,
             "standard_error": 0.01, "num_images": 100}
            for pooled, score in zip((False, True), SCORES[unit.epoch], strict=True)
        ]  # fmt: skip
        ledger.append("score", result_row(
            key=unit.key, settings={}, seconds=1.0, encoder=unit.encoder, scheme="simple", epoch=unit.epoch,
            dataset="mni152", encoder_sha256=unit.encoder_sha256, indicator="robustness",
            scores=scores,
        ))  # fmt: skip
    for unit in _trials():
        dice = DICE[unit.configuration.epoch][unit.seed]
        metrics = dict.fromkeys(METRICS, 0.5) | {"dice": dice, "jaccard": dice / (2 - dice)}
        last = {"epoch": 1, "train/loss": 0.5, **{f"test/{name}": metrics[name] for name in METRICS}}
        ledger.append("evaluation", evaluation_row(unit, [last], seconds=1.0))
    return ledger


def _answer(ledger: Ledger) -> tuple[Answer, list[Curve]]:
    complete = curves(*recorded(ledger, scoring_units(STUDY, ENCODERS), _trials()))
    return recommend(complete, Signal.of_study(STUDY.robustness)), complete


def test_the_answer_is_what_a_person_computes_by_hand(ledger: Ledger) -> None:
    full, decoder_only = _answer(ledger)[0].summaries
    assert (full.curve.protocol, decoder_only.curve.protocol) == ("fine_tuning", "frozen")
    assert full.curve.performance[0] == pytest.approx(0.6)
    assert full.curve.spread[0] == pytest.approx(0.2 / math.sqrt(2))
    assert (full.best, full.epoch(LAST)) == (5, 20)
    assert (full.epoch(BEST), full.epoch(PEAK)) == (20, 1), "epoch 0 has the best score but is no candidate"
    assert (decoder_only.epoch(BEST), decoder_only.epoch(PEAK)) == (5, 5)
    assert full.selected[BEST].tis == pytest.approx(0.75 / 0.8)
    assert full.curve.tis(0) == pytest.approx(0.6 / 0.8)
    assert decoder_only.selected[BEST].tis == 1
    assert math.isnan(full.curve.tis(None))


def test_the_text_has_every_number(ledger: Ledger) -> None:
    text = answer_text(*_answer(ledger))
    for part in (
        "0.600 ± 0.141",
        "0.938  (epoch 20)",
        "0.875  (epoch 1)",
        "0.750",
        "over 2 seeds",
        "epoch 5",
    ):
        assert part in text, part
    mean = [line.split() for line in text.splitlines() if line.startswith("mean")]
    assert mean == [["mean", "0.969", "0.938", "0.938", "0.750"]]


def test_an_incomplete_group_gives_no_answer(ledger: Ledger) -> None:
    trial = next(
        u for u in _trials() if u.configuration.protocol == "fine_tuning" and u.configuration.epoch == 5
    )
    ledger.path("evaluation", trial.key).unlink()
    assert [summary.curve.protocol for summary in _answer(ledger)[0].summaries] == ["frozen"]


@pytest.mark.parametrize("name", ["answer.png", "answer.svg"])
def test_the_figure_is_drawn(ledger: Ledger, tmp_path: Path, name: str) -> None:
    draw_scores(tmp_path / name, _answer(ledger)[0].summaries)
    if name.endswith("png"):
        assert np.asarray(Image.open(tmp_path / name)).std() > 10
    else:
        assert "<svg" in (tmp_path / name).read_text()
