import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raytransfer.metrics.segmentation import METRICS
from raytransfer.pretraining.settings import PretrainingSettings
from raytransfer.report.figures import draw_answers
from raytransfer.report.summary import answers, summary
from raytransfer.results.ledger import Ledger
from raytransfer.results.provenance import result_row
from raytransfer.results.units import configurations, downstream_units, scoring_units
from raytransfer.study import Study

STUDY = Study(models=("unet-micro",), seeds=(0, 1), pretraining=PretrainingSettings(series=(0, 1, 5, 20)))
ENCODERS = {("unet-micro", "simple"): {0: "a" * 64, 1: "b" * 64, 5: "c" * 64, 20: "d" * 64}}
DICE = {0: (0.5, 0.7), 1: (0.7, 0.7), 5: (0.8, 0.8), 20: (0.7, 0.8)}
SCORES = {  # epoch: (not pooled, pooled)
    0: (0.9, 0.5), 1: (0.6, 0.5), 5: (0.5, 0.6), 20: (0.7, 0.55),
}  # fmt: skip


def _trials() -> list:
    return downstream_units(STUDY, configurations(STUDY), ENCODERS)


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
        ledger.append("downstream", result_row(
            key=unit.key, settings={}, seconds=1.0, **vars(unit.configuration), encoder="unet-micro",
            encoder_sha256=unit.encoder_sha256, seed=unit.seed, history=[last], **metrics,
        ))  # fmt: skip
    return ledger


def _answers(ledger: Ledger) -> list:
    return answers(ledger, scoring_units(STUDY, ENCODERS), _trials())


def test_the_answer_is_what_a_person_computes_by_hand(ledger: Ledger) -> None:
    full, decoder_only = _answers(ledger)
    assert (full.curve.protocol, decoder_only.curve.protocol) == ("fine_tuning", "frozen")
    assert full.curve.dice[0] == pytest.approx(0.6)
    assert full.curve.spread[0] == pytest.approx(0.2 / math.sqrt(2))
    assert (full.best, full.last) == (5, 20)
    assert (full.chosen, full.first_peak) == (20, 1), "epoch 0 has the best score but is no candidate"
    assert (decoder_only.chosen, decoder_only.first_peak) == (5, 5)
    assert full.curve.tis(full.chosen) == pytest.approx(0.75 / 0.8)
    assert full.curve.tis(0) == pytest.approx(0.6 / 0.8)
    assert decoder_only.curve.tis(decoder_only.chosen) == 1
    assert math.isnan(full.curve.tis(None))


def test_the_text_has_every_number(ledger: Ledger) -> None:
    text = summary(_answers(ledger))
    for part in (
        "0.600 ± 0.141",
        "0.938  (epoch 20)",
        "0.875  (epoch 1)",
        "0.750",
        "over 2 seeds",
        "epoch 5",
    ):
        assert part in text, part


def test_an_incomplete_group_gives_no_answer(ledger: Ledger) -> None:
    trial = next(
        u for u in _trials() if u.configuration.protocol == "fine_tuning" and u.configuration.epoch == 5
    )
    ledger.path("downstream", trial.key).unlink()
    assert [answer.curve.protocol for answer in _answers(ledger)] == ["frozen"]


@pytest.mark.parametrize("name", ["answer.png", "answer.svg"])
def test_the_figure_is_drawn(ledger: Ledger, tmp_path: Path, name: str) -> None:
    draw_answers(tmp_path / name, _answers(ledger))
    if name.endswith("png"):
        assert np.asarray(Image.open(tmp_path / name)).std() > 10
    else:
        assert "<svg" in (tmp_path / name).read_text()
