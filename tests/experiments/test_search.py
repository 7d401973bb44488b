"""A search for real: Optuna, ASHA, reused processes."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from raytransfer.config import InputError
from raytransfer.results import Ledger, Storage

pytestmark = pytest.mark.cluster


def test_a_search_ends_with_a_table_and_leaves_the_study_alone(run, runs, tmp_path: Path) -> None:
    options = ["--trials=2", "--set", "models=unet-micro", "--set", "pretraining.epochs=2",
               "--set", "pretraining.series=[0, 2]"]  # fmt: skip
    done = run("search", tmp_path, *options)
    assert done.code == 0, done.err
    rows = [line for line in done.out.splitlines() if "unet-micro-simple-" in line]
    assert len(rows) == 2
    assert ["2", "of", "2"] in [row.split()[4:7] for row in rows], "one is not stopped"
    assert float(rows[0].split()[0]) >= float(rows[1].split()[0])
    trained = Ledger(tmp_path / "results").read("pretraining").to_pylist()
    assert {row["pretraining"] for row in trained} == {row.split()[-1] for row in rows}
    assert not (tmp_path / "pretraining").exists(), "the series of the study are not the search's"
    shown = runs(tmp_path, "pretraining")
    assert {found.data.tags["raytransfer.key"] for found in shown} == {row.split()[-1] for row in rows}
    assert {found.info.status for found in shown} <= {"FINISHED", "KILLED"}
    again = run("search", tmp_path, *options)
    assert again.out == done.out
    assert again.seconds < done.seconds


def test_a_study_in_an_object_store_needs_a_database_elsewhere(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    search = importlib.import_module("search")
    session = SimpleNamespace(
        storage=Storage("s3://bucket/study"), options=SimpleNamespace(optuna_storage=None)
    )
    with pytest.raises(InputError, match=r"--optuna-storage is needed.*s3://bucket/study/search"):
        search._optuna_storage(session)
    session.options.optuna_storage = "sqlite:///optuna.db"
    assert search._optuna_storage(session) == "sqlite:///optuna.db"


@pytest.mark.parametrize(
    ("script", "option", "message"),
    [
        ("early_stop", "--rule=first-pik", "unknown rule 'first-pik': did you mean 'first-peak'?"),
        ("search", "--stop=asha(grace_period=0)", "grace_period must be at least 1, got 0"),
        ("search", "--trials=0", "--trials: must be a whole number from 1 to 100000, got '0'"),
        ("search", "--optuna-storage=", "--optuna-storage: needs a value, got ''"),
        ("search", "--stop=ahsa", "unknown rule 'ahsa': did you mean 'asha'?"),
    ],
)
def test_what_cannot_stop_a_trial_is_one_line(
    script: str, option: str, message: str, project: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    module = importlib.import_module(script)
    code = module.main(
        module.__doc__, module.PRESETS, module.experiment, [option], add_options=module.add_options
    )
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
