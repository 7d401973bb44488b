"""The command in this process: published tables, a study's ledger, what is wrong; and its benchmark."""

import csv
import importlib.util
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import ray
from PIL import Image


@pytest.fixture
def load(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(project / "experiments"))

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location("loaded_script", project / "experiments" / path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def replay(load, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Ray must not start")

    monkeypatch.setattr(ray, "init", refuse)
    script = load("replay.py")
    return lambda *argv: script.main(list(argv))


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "replay.csv").open(newline="") as file:
        return {row["rule"]: row for row in csv.DictReader(file)}


def test_published_tables_give_the_published_numbers(replay, shared: Path, tmp_path: Path, capsys) -> None:
    assert replay("--published", str(shared / "published"), "--output", str(tmp_path)) == 0
    rows = table(tmp_path)
    for rule, mean, worst, epochs in (
        ("fixed-budget(epochs=20)", 0.9778, 0.8350, 20),
        ("first-peak(patience=1)", 0.9622, 0.8208, 22.3),
        ("first-peak(patience=2)", 0.9654, 0.8208, 115.0),
        ("best-of-all", 0.9941, 0.9756, 300),
        ("plateau on l2(margin=1, level=-4, pooled=never)", 0.9943, 0.9798, 76.7),
    ):
        row = rows[rule]
        assert float(row["mean_tis"]) == pytest.approx(mean, abs=5e-5)
        assert float(row["worst_tis"]) == pytest.approx(worst, abs=5e-5)
        assert float(row["mean_epochs"]) == pytest.approx(epochs, abs=0.05)
        assert float(row["worker_epochs"]) == pytest.approx(6 * float(row["shared_mean_epochs"]))
    assert {"asha", "hyperband", "median-stopping"} <= set(rows)
    assert not any("significant-fall" in rule for rule in rows), "no standard errors were published"
    out = capsys.readouterr().out
    assert "24 configurations, 6 pretrainings, 4 workers" in out
    assert "22.3" in out
    assert np.asarray(Image.open(tmp_path / "frontier.png")).std() > 10


def test_rules_and_the_score_can_be_chosen(replay, shared: Path, tmp_path: Path) -> None:
    published = ("--published", str(shared / "published"))
    assert replay(
        *published, "--output", str(tmp_path), "--rule", "first-peak(patience=2)", "--rule", "asha",
        "--rule", "first-peak(patience=2) on cosine", "--workers", "1", "--set", "robustness.distance=l2",
        "--set", "robustness.level=-1",
    ) == 0  # fmt: skip
    rows = table(tmp_path)
    thesis = "first-peak(patience=2) on cosine(margin=0.5, level=-2, pooled=frozen)"
    assert [rule for rule in rows if "fixed" not in rule] == ["first-peak(patience=2)", "asha", thesis]
    assert float(rows["first-peak(patience=2)"]["mean_epochs"]) != pytest.approx(115.0)
    assert float(rows[thesis]["mean_epochs"]) == pytest.approx(115.0)
    assert rows["asha"]["makespan_epochs"] == rows["asha"]["worker_epochs"], "one worker"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rule", "first-peek"], "unknown rule 'first-peek': did you mean 'first-peak'?"),
        (["--rule", "first-peak(patience=0)"], "patience must be at least 1"),
        (
            ["--rule", "significant-fall"],
            "significant-fall(z=2.0, patience=1, grace_period=1) needs the standard",
        ),
        (["--workers", "0"], "argument --workers: must be a whole number from 1 to 1024, got '0'"),
        (["--workers", "2.5"], "argument --workers: must be a whole number from 1 to 1024, got '2.5'"),
        (["--output", ""], "argument --output: needs a value, got ''"),
        (["--published", ""], "argument --published: needs a value, got ''"),
        (["--rule", "plateau on l2(margin=0.3)"], "no scores l2(margin=0.3, level=-2, pooled=frozen)"),
        (
            ["--rule", "fixed-budget(epochs=301)"],
            "epochs of fixed-budget must be at most 300, where a training",
        ),
        (["--rule", "plateau on l2(pooled=sometimes)"], "unknown pooled 'sometimes'"),
    ],
)
def test_what_is_wrong_is_one_line(replay, shared: Path, capsys, arguments: list, message: str) -> None:
    assert replay("--published", str(shared / "published"), *arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_an_empty_storage_says_what_fills_it(replay, tmp_path: Path, capsys) -> None:
    storage = tmp_path / "nothing  here; yet"
    options = ["--preset", "smoke", "--storage-path", str(storage), "--set", "seeds=[3]"]
    assert replay(*options) == 2
    said, command, fill = capsys.readouterr().err.partition("raytransfer grid ")
    assert said == f"error: nothing is recorded under {storage}: "
    assert command
    assert shlex.split(fill) == options, "it can be pasted"
    assert not storage.exists()


@pytest.mark.cluster
def test_a_studys_ledger_is_replayed_in_its_own_hours(replay, smoke, tmp_path: Path) -> None:
    storage, _ = smoke
    assert replay("--preset", "smoke", "--storage-path", str(storage), "--output", str(tmp_path)) == 0
    rows = table(tmp_path)
    assert {"fixed-budget(epochs=2)", "fixed-budget(epochs=8)", "significant-fall(z=2)", "asha"} <= set(rows)
    assert all(0 < float(row["worst_tis"]) <= float(row["mean_tis"]) <= 1 for row in rows.values())
    whole, part = (float(rows[f"fixed-budget(epochs={n})"]["worker_hours"]) for n in (8, 2))
    assert 0 < part < whole < 0.1
    assert math.isclose(float(rows["best-of-all"]["worker_hours"]), whole)


@pytest.mark.alone
def test_the_benchmark_writes_its_claims(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "experiments/benchmarks/replay.py", "--json", str(tmp_path / "replay.json")]
    out = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout
    claims = json.loads((tmp_path / "replay.json").read_text())
    for claim in claims.values():
        assert set(claim) == {"value", "low", "high"}
        assert claim["low"] <= claim["value"] <= claim["high"]
    assert claims["replayed_trials_per_s"]["value"] > 5000
    assert claims["seconds_of_36_pretrainings_under_100_rules"]["value"] < 3
    assert "replayed_trials_per_s" in out
