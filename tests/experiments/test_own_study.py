"""The thesis's study: what it would be. That of a reader's own data is run by tests/docs."""

from raytransfer.cli.main import main
from raytransfer.pipeline import cost
from raytransfer.presets import PRESETS
from raytransfer.results.units import configurations, pretraining_units
from raytransfer.study import Study


def test_the_thesis_study_has_342_configurations_and_1710_trials(monkeypatch, capsys) -> None:
    study: Study = PRESETS["thesis"]()
    wanted = list(configurations(study))
    assert len(wanted) == len(set(wanted)) == 342
    assert {(u.encoder, u.scheme) for u in pretraining_units(study)} == {
        (encoder, scheme) for encoder in ("unet", "resnet50", "swin") for scheme in ("simple", "advanced")
    }
    monkeypatch.setattr(cost, "seconds_per_image", lambda model, config, *, image_size, task, protocol: 0.01)
    monkeypatch.setattr(cost, "pretraining_seconds_per_image", lambda *_, **__: 0.01)
    assert main(["grid", "--preset", "thesis", "--dry-run"]) == 0
    output = capsys.readouterr()
    assert output.out.count(" epoch ") == 342
    assert "342 configurations x 5 seeds = 1710 trials" in output.out
    images = 150 * (1902 + 2330 + 6426)
    seconds = (3 * 2 * 95 * images + 6 * 300 * 1_281_167) * 0.01
    assert f"total: {seconds / 3600:,.1f} hours" in output.out
    for missing in ("imagenet", "'acdc'", "'covid-qu-ex'", "'idrid'"):
        assert missing in output.err
