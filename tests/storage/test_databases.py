"""What is wrong with a database, by its URL and its file."""

import sqlite3
from pathlib import Path

import pytest

from raytransfer.errors import InputError
from raytransfer.storage.databases import sqlite_path, sqlite_problem, sqlite_url


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////a/runs.db", "/a/runs.db"),
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite+pysqlite:////a/b%20c.db?timeout=5", "/a/b c.db"),
        ("postgresql:///runs", None),
        ("http://127.0.0.1:5000", None),
        ("runs.db", None),
    ],
)
def test_the_file_of_a_url(url: str, path: str | None) -> None:
    assert sqlite_path(url) == (None if path is None else Path(path))


@pytest.mark.parametrize("name", ["plain", "with space", "größe", "#1", "100%", "a&b;c"])
def test_a_url_names_the_file(tmp_path: Path, name: str) -> None:
    assert sqlite_path(sqlite_url(tmp_path / name)) == tmp_path / name


@pytest.mark.parametrize("name", ["what?", "50%25", "%41"])
def test_what_would_be_another_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="a database cannot lie in"):
        sqlite_url(tmp_path / name / "runs.db")


def _made(path: Path, table: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE {table} (id INTEGER)")
    connection.close()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("ours.db", "experiments", None),
        ("new.db", None, None),
        ("none/new.db", None, "there is no folder"),
        ("empty.db", b"", "it is empty: no database that somebody made"),
        ("other.db", "studies", "it is a database of something else, with tables studies, ..."),
        ("text.db", b"no database", "file is not a database"),
        ("torn.db", b"SQLite format 3\0" + b"torn" * 1000, "file is not a database"),
        (".", None, "it is a folder"),
    ],
)
def test_a_database_is_looked_at_before_it_is_used(
    tmp_path: Path, name: str, content: bytes | str | None, problem: str | None
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        _made(path, content)
    before = sorted(tmp_path.rglob("*"))
    found = sqlite_problem(f"sqlite:///{path}", "experiments")
    assert found == problem if problem is None else problem in (found or "")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("table", "problem"), [(None, None), ("studies", "of something else")])
def test_what_a_killed_command_leaves_may_be_empty(tmp_path: Path, table: str, problem: str | None) -> None:
    path = tmp_path / "ours.db"
    path.touch()
    if table is not None:
        _made(path, table)
    found = sqlite_problem(f"sqlite:///{path}", "experiments", may_be_empty=True)
    assert found == problem if problem is None else problem in (found or "")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///"])
def test_a_database_in_memory_is_none(url: str) -> None:
    assert sqlite_problem(url, "experiments") == "it names no file"


def test_one_that_another_command_writes_to_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ours.db"
    _made(path, "experiments")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *of, **how: connect(*of, **how, timeout=0.01))
    assert sqlite_problem(f"sqlite:///{path}", "experiments") is None
    writer.close()


def test_one_that_a_command_was_killed_in_is_put_right(tmp_path: Path) -> None:
    path = tmp_path / "ours.db"
    _made(path, "experiments")
    whole = path.read_bytes()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO experiments VALUES (?)", ((n,) for n in range(100_000)))
    for file in (path, tmp_path / "ours.db-journal"):
        (tmp_path / f"killed{file.name.removeprefix('ours')}").write_bytes(file.read_bytes())
    writer.close()
    killed = tmp_path / "killed.db"
    assert killed.read_bytes() != whole
    assert sqlite_problem(f"sqlite:///{killed}", "experiments") is None
    assert killed.read_bytes() == whole
