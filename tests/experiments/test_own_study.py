"""A study beyond the embedded one: prepared datasets, a timm encoder, an smp network, the advanced scheme."""

from pathlib import Path

import generated_trees
import pytest

from raytransfer.config import StudyConfig
from raytransfer.data.prepared import prepare
from raytransfer.results import Ledger, configurations, pretraining_units

pytestmark = pytest.mark.cluster


def test_prepared_data_a_timm_encoder_and_an_smp_network_go_through_the_grid(run, tmp_path: Path) -> None:
    data, storage = tmp_path / "data", tmp_path / "storage"
    for name, build in (("acdc", generated_trees.acdc), ("mine", generated_trees.folder)):
        prepare("folder" if name == "mine" else name, build(tmp_path / name), data / name, image_size=32)
    settings = (
        "models=smp/fpn", "schemes=advanced", f"target.data_root={data}",
        'datasets=["acdc", "mine", "idrid"]',
        "source.image_size=32", "pretraining.epochs=1", "pretraining.series=[0, 1]", "modes=decoder-only",
    )  # fmt: skip
    done = run("grid", storage, *(part for setting in settings for part in ("--set", setting)))
    assert done.code == 0, done.err
    assert "missing: target dataset 'idrid'" in done.err
    ledger = Ledger(storage / "results")
    trials = ledger.read("downstream").to_pylist()
    found = {(t["model"], t["encoder"], t["dataset"], t["scheme"], t["epoch"]) for t in trials}
    assert found == {
        ("smp/fpn", "timm/resnet18", dataset, "advanced", epoch)
        for dataset in ("acdc", "mine")
        for epoch in (0, 1)
    }
    assert ledger.read("robustness").num_rows == 4
    assert "dataset" in done.out, "the table tells datasets apart"


def test_the_thesis_study_has_342_configurations_and_1710_trials(project: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    import grid
    from presets import PRESETS

    study: StudyConfig = PRESETS["thesis"]()
    wanted = list(configurations(study))
    assert len(wanted) == len(set(wanted)) == 342
    assert {(u.encoder, u.scheme) for u in pretraining_units(study)} == {
        (encoder, scheme) for encoder in ("unet", "resnet50", "swin") for scheme in ("simple", "advanced")
    }
    monkeypatch.setattr(grid, "seconds_per_image", lambda model, config, *, image_size, frozen: 0.01)
    monkeypatch.setattr(grid, "pretraining_seconds_per_image", lambda *_, **__: 0.01)
    assert grid.main(None, PRESETS, grid.experiment, ["--preset", "thesis", "--dry-run"], plan=grid.plan) == 0
    output = capsys.readouterr()
    assert output.out.count(" epoch ") == 342
    assert "342 configurations x 5 seeds = 1710 trials" in output.out
    images = 150 * (1902 + 2330 + 6426)
    seconds = (3 * 2 * 95 * images + 6 * 300 * 1_281_167) * 0.01
    assert f"total: {seconds / 3600:,.1f} hours" in output.out
    for missing in ("imagenet", "'acdc'", "'covid-qu-ex'", "'idrid'"):
        assert missing in output.err
