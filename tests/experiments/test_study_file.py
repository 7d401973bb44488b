"""Commands on a storage path share one study; the first says what it is."""

import json
import shutil
from pathlib import Path

import pytest

from raytransfer.results.study_file import read_study, write_study
from raytransfer.settings import with_overrides
from raytransfer.study import Study

pytestmark = pytest.mark.cluster


def test_a_command_writes_the_study_it_was_given(smoke) -> None:
    storage, _ = smoke
    written = json.loads((storage / "study.json").read_text())
    assert written["preset"] == "smoke"
    assert written["settings"]["models"] == ["unet-micro", "resnet-unet-micro"]
    assert written["settings"]["target"]["data_root"].startswith("/")


def test_a_later_command_needs_no_settings(smoke, script, tmp_path: Path, capsys) -> None:
    """Of a study that was given by --set, and whose preset nobody names again."""
    storage = tmp_path / "study"
    shutil.copytree(smoke[0], storage)
    found = read_study(storage)
    grown = with_overrides(found.study, ['models=["unet-micro"]'])
    write_study(storage, found.preset, grown)
    assert script("report", "--storage-path", str(storage), "--output", str(tmp_path / "report")) == 0
    page = (tmp_path / "report/report.html").read_text()
    assert "unet-micro" in page
    assert "resnet-unet-micro" not in page
    assert script("replay", "--storage-path", str(storage)) == 0
    assert "2 configurations, 1 pretrainings" in capsys.readouterr().out


def test_another_study_is_refused_with_the_difference(smoke, script, tmp_path: Path, capsys) -> None:
    storage, _ = smoke
    before = (storage / "study.json").read_bytes()
    for options, message in (
        (["--set", "downstream.epochs=3"], "downstream.epochs: 2 there, 3 here"),
        (["--preset", "demo"], "holds a study of the preset 'smoke', not 'demo'"),
    ):
        for name in ("grid", "replay"):
            assert script(name, "--storage-path", str(storage), *options) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert message in line
            assert str(storage / "study.json") in line
    assert (storage / "study.json").read_bytes() == before


def test_the_plan_counts_what_is_done(smoke, script, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    storage, _ = smoke
    monkeypatch.setattr("raytransfer.pipeline.cost.seconds_per_image", lambda *_, **__: 36.0)
    monkeypatch.setattr("raytransfer.pipeline.cost.pretraining_seconds_per_image", lambda *_, **__: 0.1)
    assert script("grid", "--storage-path", str(storage), "--set", "seeds=[0,1]", "--dry-run") == 0
    out = capsys.readouterr().out
    assert "12 configurations x 2 seeds = 24 trials" in out
    assert out.count(" 8 of 8 ") == 2
    assert out.count(" 3 of 6 ") == 4
    total = next(line for line in out.splitlines() if line.startswith("total"))
    hours = [float(line.split()[-1]) for line in out.splitlines() if " of " in line and "mni152" in line]
    assert len(hours) == 4
    assert total.startswith(f"total: {sum(hours):,.1f} hours of what is not done")
    assert len(read_study(storage).study.seeds) == 1, "a plan changes nothing"


def test_a_storage_of_nothing_of_the_study_says_so(script, project: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "results").mkdir()
    write_study(tmp_path, "demo", Study())
    assert script("report", "--storage-path", str(tmp_path), "--output", str(tmp_path / "report")) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"nothing is recorded of this study under {tmp_path}: python {project}/experiments/grid.py" in line
