"""Public encoders become series that the study uses as they are."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raytransfer.models.registry import create_encoder
from raytransfer.presets import PRESETS
from raytransfer.ray_train.pretraining import pretrain
from raytransfer.results.series import is_imported, series_problem
from raytransfer.results.storage import Storage
from raytransfer.results.units import configurations, evaluation_units, pretraining_units
from raytransfer.study import Study
from raytransfer.thesis.public_weights import reference_key
from raytransfer.tracking.tracker import Tracker


def test_imported_series_are_used_and_never_trained_on(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    import import_encoders

    state = {
        f"layers.0.{reference_key('swin', key)}": value
        for key, value in create_encoder("swin").state_dict().items()
    }
    files = []
    for epoch in (5, 300):
        files.append(tmp_path / f"swin_simple_pretraining_checkpoint_epoch_{epoch}.pt")
        torch.save(state, files[-1])
    storage = Storage(tmp_path / "storage")
    arguments = ["--storage-path", str(storage.root), *map(str, files)]
    assert import_encoders.main(arguments) == 0
    assert capsys.readouterr().out.count(" -> ") == 2
    study: Study = replace(
        PRESETS["thesis"](), models=("swin-unet",), schemes=("simple",), datasets=("mni152",)
    )
    (unit,) = pretraining_units(study)
    assert is_imported(unit, storage)
    assert series_problem(unit, storage) == "swin simple lacks epochs [1, 20, 50, 100, 150, 200, 250]"
    before = storage.series("swin", "simple").fingerprints()
    assert list(before) == [0, 5, 300]
    tracker = Tracker(f"sqlite:///{tmp_path}/mlflow.db", artifact_root=tmp_path / "artifacts")
    pretrain([unit], storage, tracker)
    assert storage.series("swin", "simple").fingerprints() == before
    trials = evaluation_units(study, configurations(study), {("swin", "simple"): before})
    assert len(trials) == 3 * 2 * 5, "of the checkpoints that are there"

    files[0].write_bytes(files[0].read_bytes()[:1000])
    assert import_encoders.main(["--storage-path", str(storage.root), str(files[0])]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"error: {files[0]} is damaged")
    assert storage.series("swin", "simple").fingerprints() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "--seed must be between 0 and 4294967295, got -1"),
        (["--storage-path", ""], "a folder needs a name, got ''"),
    ],
)
def test_what_is_wrong_is_one_line(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, arguments: list, message: str
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    import import_encoders

    assert import_encoders.main([*arguments, str(tmp_path / "unet_simple.pt")]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
