"""What a search is asked; one is run for real by tests/docs, one whose trials are killed by tests/cluster."""

import importlib
import sqlite3
from pathlib import Path

import optuna
import pytest

from raytransfer.errors import InputError
from raytransfer.pipeline.searching import Search, check_search, optuna_url, read_stop
from raytransfer.results.storage import Storage
from raytransfer.study import Study


def _asked(**options: str) -> Search:
    return Search(
        what="pretraining", objective="robustness", trials=1, stop=read_stop("first-peak"), **options
    )


def test_a_study_in_an_object_store_needs_a_database_elsewhere() -> None:
    storage = Storage("s3://bucket/study")
    with pytest.raises(InputError, match=r"--optuna-storage is needed.*s3://bucket/study/search"):
        optuna_url(storage, _asked())
    assert optuna_url(storage, _asked(database="sqlite:///optuna.db")) == "sqlite:///optuna.db"


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("Ray must not start")


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database whose pages with trials are lost."""
    path = tmp_path_factory.mktemp("optuna") / "optuna.db"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{path}")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    content = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'trial_params'"
        ((page,),) = connection.execute(query)
        ((size,),) = connection.execute("PRAGMA page_size")
    content[(page - 1) * size : page * size] = bytes(size)
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no database", "file is not a database"),
        (b"SQLite format 3\0" + b"torn" * 1000, "file is not a database"),
        (None, "database disk image is malformed"),
    ],
)
def test_a_damaged_database_of_optuna_is_one_line(
    tmp_path: Path, torn: bytes, content: bytes | None, why: str
) -> None:
    (tmp_path / "search").mkdir()
    database = tmp_path / "search/optuna.db"
    content = torn if content is None else content
    database.write_bytes(content)
    with pytest.raises(InputError) as raised:
        check_search(Study(), Storage(tmp_path), _asked())
    assert str(raised.value) == (
        f"Optuna's database {database} cannot be used ({why}): if it is damaged, move it away, and the "
        "search begins anew"
    )
    assert database.read_bytes() == content


@pytest.mark.parametrize(
    ("script", "option", "message"),
    [
        ("early_stop", "--rule=first-pik", "unknown rule 'first-pik': did you mean 'first-peak'?"),
        ("search", "--stop=asha(grace_period=0)", "grace_period must be at least 1, got 0"),
        ("search", "--trials=0", "--trials: must be a whole number from 1 to 100000, got '0'"),
        ("search", "--optuna-storage=", "--optuna-storage: needs a value, got ''"),
        ("search", "--stop=ahsa", "unknown rule 'ahsa': did you mean 'asha'?"),
        ("early_stop", "--rule=fixed-budget(epochs=9)", "epochs of fixed-budget must be at most 8, where a"),
        ("early_stop", "--rule=first-peak(grace_period=9)", "grace_period of first-peak must be at most 8"),
        (
            "early_stop",
            "--rule=first-peak on l2(margin=0.3)",
            "nothing is scored by l2(margin=0.3, level=-2, pooled=frozen): the margin must be one of "
            "robustness.margins=[0.0, 0.25, 0.5, 0.75, 1.0]",
        ),
        (
            "early_stop",
            "--rule=first-peak on cosine(level=6)",
            "is not scored by cosine(margin=0.5, level=6, pooled=frozen): it has levels 1 to 5",
        ),
        (
            "early_stop",
            "--rule=plateau --set robustness.margins=[0.5]",
            "nothing is scored by l2(margin=1, le",
        ),
        ("search", "--stop=fixed-budget(epochs=9)", "epochs of fixed-budget must be at most 8"),
        (
            "search",
            "--stop=fixed-budget(epochs=3) --what=downstream",
            "epochs of fixed-budget must be at most 2",
        ),
        (
            "search",
            "--stop=plateau",
            "--stop plateau was made for l2(margin=1, level=-4, pooled=never), a sea",
        ),
        (
            "search",
            "--stop=significant-fall --objective=accuracy",
            "needs standard errors, and accuracy has no",
        ),
        ("search", "--objective=performance", "--objective performance is not of --what pretraining"),
        ("search", "--optuna-storage=foo", "--optuna-storage foo cannot be used (Could not parse SQLAlchemy"),
        (
            "search",
            "--optuna-storage=sqlite:////none/o.db",
            "cannot be used (there is no folder /none): give",
        ),
        (
            "search",
            "--optuna-storage=mysql://me:secret@host/x",
            "--optuna-storage mysql://***@host/x cannot be",
        ),
        (
            "early_stop",
            "--set pretraining.batch_size=400",
            "is more than the 320 training images of photograph",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line(
    script: str,
    option: str,
    message: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys,
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    module = importlib.import_module(script)
    monkeypatch.setattr("raytransfer.pipeline.cluster.cluster", _refuse)
    options = option.split(" ") if " on " not in option else [option]
    code = module.main(["--preset=smoke", f"--storage-path={tmp_path}", *options])
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
