"""What a search is asked; one is run for real by tests/docs, one whose trials are killed by tests/cluster."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from raytransfer.config import InputError
from raytransfer.results import Storage


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
