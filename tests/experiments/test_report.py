"""The report of a study that was really run, whole and with results missing; Ray must not start."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import ray


@pytest.fixture
def report(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Ray must not start")

    monkeypatch.syspath_prepend(str(project / "experiments"))
    monkeypatch.setattr(ray, "init", refuse)
    spec = importlib.util.spec_from_file_location("loaded_script", project / "experiments/report.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return lambda *argv: script.main(list(argv))


@pytest.mark.cluster
def test_a_studys_ledger(report, smoke, tmp_path: Path, capsys) -> None:
    storage = tmp_path / "study"
    for name in ("results", "pretraining"):
        shutil.copytree(smoke[0] / name, storage / name)
    before = {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()}
    study = ("--preset", "smoke", "--storage-path", str(storage))
    assert report(*study, "--output", str(tmp_path / "whole")) == 0
    page = (tmp_path / "whole/report.html").read_text()
    assert "Nothing: every cell of the study" in page
    assert ">missing<" not in page
    assert (tmp_path / "whole/figures/pretraining.csv").read_text().count("\n") == 1 + 2 * 8
    assert {path: path.read_bytes() for path in storage.rglob("*") if path.is_file()} == before

    next((storage / "results/evaluation").glob("unet-micro-*-epoch-0002-fine_tuning-*")).unlink()
    assert report(*study, "--output", str(tmp_path / "part")) == 0
    page = (tmp_path / "part/report.html").read_text()
    assert "unet-micro mni152 simple fine_tuning: trainings are missing of epoch 2" in page
    assert f"raytransfer grid {' '.join(study)}" in page
    assert ">missing<" in page
    assert "left out: unet-micro mni152 simple fine_tuning" in capsys.readouterr().err
