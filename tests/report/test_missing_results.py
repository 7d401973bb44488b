"""The report of a study with results missing, made by hand."""

import csv
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from raytransfer.errors import InputError
from raytransfer.metrics.segmentation import METRICS
from raytransfer.pipeline.records import Records
from raytransfer.pipeline.reporting import show_in_mlflow
from raytransfer.results.curves import curves, incomplete
from raytransfer.results.schemas import SCHEMAS
from raytransfer.results.storage import Storage
from raytransfer.study import Study


def _options(output: Path) -> Namespace:
    return Namespace(tracking_uri=None, output=output)


def _records(tmp_path: Path) -> Records:
    """Two models, two protocols, three checkpoints, two seeds; a training and a whole model are missing."""
    keys = [("unet-micro", "fine_tuning"), ("unet-micro", "frozen")]
    trials = [
        {
            "model": model,
            "dataset": "d<b>",
            "encoder": "unet-micro",
            "scheme": "simple",
            "protocol": protocol,
            "epoch": epoch,
            "seed": seed,
            "source_accuracy": 0.1 * epoch,
            **dict.fromkeys((*METRICS, "performance"), 0.5 + 0.01 * epoch + 0.001 * seed),
            "metric": "Dice",
        }
        for model, protocol in keys
        for epoch in (0, 1, 2)
        for seed in (0, 1)
    ]
    lost = trials[3]  # full, epoch 1, seed 1
    lost.update(dict.fromkeys((*METRICS, "performance")))
    scores = [
        {
            "dataset": "d<b>", "encoder": "unet-micro", "scheme": "simple", "epoch": epoch,
            "indicator": "robustness", "options": "distance=cosine, margin=0.5", "level": level,
            "pooled": pooled, "value": 0.1 * epoch,
            "standard_error": 0.01,
        }
        for epoch in (0, 1, 2)
        for level in (-5, -4, -3, -2, -1)
        for pooled in (False, True)
    ]  # fmt: skip
    tables = pa.Table.from_pylist(scores), pa.Table.from_pylist(trials)
    expected = {
        (model, "d<b>", "simple", protocol): (0, 1, 2)
        for model in ("unet-micro", "swin-unet-micro")
        for protocol in ("fine_tuning", "frozen")
    }
    return Records(
        study=Study(), curves=curves(*tables), epoch_seconds={}, trials=tables[1],
        pretraining=SCHEMAS["pretraining"].empty_table(), expected=expected,
        missing=tuple(incomplete(*tables)), fill="python experiments/grid.py --set 'seeds=[0,1]'",
        storage=Storage(tmp_path / "study"),
    )  # fmt: skip


def test_missing_cells_are_shown_with_what_fills_them(report, open_page, tmp_path: Path, capsys) -> None:
    records = _records(tmp_path)
    assert [curve.protocol for curve in records.curves] == ["frozen"]
    assert report.experiment(records, _options(tmp_path)) == 0
    page = open_page(tmp_path / "report.html")
    last = {line["protocol"].text.strip(): line for line in page.table("fully_pretrained")}
    assert last["fine_tuning"]["unet-micro"].number == pytest.approx(0.5205), "the last checkpoint is there"
    top = {line["protocol"].text.strip(): line for line in page.table("best_checkpoint")}
    assert top["frozen"]["unet-micro"].number == pytest.approx(0.5205)
    missing = [last["fine_tuning"]["swin-unet-micro"], top["fine_tuning"]["unet-micro"]]
    missing += [page.table("indicators_by_model")[0]["swin-unet-micro, fine_tuning"]]
    for cell in missing:
        assert cell.text.strip() == "missing"
        assert cell.attributes["title"] == records.fill
    assert len([row for row in page.table("answer_by_configuration") if row["best"].text == "missing"]) == 3
    section = page.by_id("missing").text
    assert records.fill in section
    assert "unet-micro d<b> simple fine_tuning: trainings are missing of epoch 1" in section
    assert "swin-unet-micro d<b> simple fine_tuning: trainings are missing of epoch 0, 1, 2" in section
    answer = page.by_id("answer").text
    assert "Take epoch 2" in answer
    assert "d<b>: which checkpoint to take" in answer, "names are text, never markup"
    with (tmp_path / "tables/best_checkpoint.csv").open(newline="") as file:
        lines = {(row["protocol"], row["model"]): row for row in csv.DictReader(file)}
    assert lines["fine_tuning", "unet-micro"]["dice"] == ""
    assert "report:" in capsys.readouterr().out


def test_where_nothing_is_complete_the_page_says_what_fills_it(report, open_page, tmp_path: Path) -> None:
    whole = _records(tmp_path)
    lost = [
        dict(row, **dict.fromkeys((*METRICS, "performance"))) if row["epoch"] else row
        for row in whole.trials.to_pylist()
    ]
    records = replace(whole, curves=[], trials=pa.Table.from_pylist(lost, schema=whole.trials.schema))
    assert report.experiment(records, _options(tmp_path)) == 0
    page = open_page(tmp_path / "report.html")
    assert "Nothing can be said yet: no configuration is complete." in page.by_id("answer").text
    assert (
        "unet-micro d<b> simple fine_tuning: trainings are missing of epoch 1, 2"
        in page.by_id("missing").text
    )
    assert records.fill in page.by_id("missing").text
    scratch = {line["protocol"].text.strip(): line for line in page.table("from_scratch")}
    assert scratch["fine_tuning"]["unet-micro"].number == pytest.approx(0.5005), "what is there is shown"
    nothing = replace(records, trials=whole.trials.slice(0, 0))
    assert report.experiment(nothing, _options(tmp_path)) == 0
    assert "Nothing can be said yet" in open_page(tmp_path / "report.html").by_id("answer").text


def test_it_is_shown_in_mlflow_where_the_study_has_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    shown = []

    class Tracker:
        def __init__(self, uri: str, *, artifact_root: Path, own: bool) -> None:
            shown.append((uri, artifact_root, own))
            if "broken" in uri:
                raise InputError("nobody answers")

        def attach(self, kind: str, artifacts: dict[Path, str]) -> None:
            shown.append((kind, artifacts))

        def __enter__(self) -> "Tracker":
            return self

        def __exit__(self, *error: object) -> None:
            shown.append("closed")

    monkeypatch.setattr("raytransfer.tracking.tracker.Tracker", Tracker)
    records = _records(tmp_path)
    page = tmp_path / "report.html"
    page.write_text("<p>")
    show_in_mlflow(records, page)
    assert shown == [], "the study has none"
    records.storage.root.mkdir()
    (records.storage.root / "mlflow.db").touch()
    show_in_mlflow(records, page)
    opened, (kind, artifacts), closed = shown
    assert opened == (
        f"sqlite:///{records.storage.root}/mlflow.db",
        records.storage.root / "mlartifacts",
        True,
    )
    assert (kind, artifacts[page], closed) == ("evaluation", "", "closed")
    show_in_mlflow(records, page, "http://broken")
    assert "not shown in MLflow: nobody answers" in capsys.readouterr().err
