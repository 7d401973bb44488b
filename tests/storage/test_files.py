"""Files and folders of results, in a file system and in an object store (fsspec's, in memory)."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError
from upath import UPath

from raytransfer.errors import InputError
from raytransfer.models.checkpoints import CheckpointSeries, load_encoder, save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.results.failures import Failures
from raytransfer.results.ledger import DamagedLedgerError, Ledger
from raytransfer.storage.files import (
    StoragePath,
    atomic_write,
    delete,
    existing,
    is_corruption,
    is_remote,
    local_copy,
    resolve_path,
    write_folder,
    write_json,
)


@pytest.fixture(params=["folder", "object store"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoragePath]:
    if request.param == "folder":
        yield tmp_path
        return
    root = UPath("memory://study")
    yield root
    delete(root)


def test_a_file_is_replaced_whole(root: StoragePath) -> None:
    path = root / "a/b.txt"
    atomic_write(path, b"1")
    atomic_write(path, lambda file: file.write(b"22"))
    assert path.read_bytes() == b"22"

    def torn(file) -> None:
        file.write(b"3")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 (its own)
        atomic_write(path, torn)
    assert path.read_bytes() == b"22"
    assert [each.name for each in path.parent.iterdir()] == ["b.txt"]
    write_json(path, {"a": 1})
    assert path.read_text() == '{\n  "a": 1\n}\n'


def test_a_folder_is_replaced_and_deleted(root: StoragePath) -> None:
    folder = root / "a/b"
    for content in (b"1", b"2"):
        write_folder(folder, {"weights": content, "meta": content})
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
            "weights": content,
            "meta": content,
        }
    with local_copy(folder) as local:
        assert isinstance(local, Path)
        assert (local / "meta").read_bytes() == b"2"
    with local_copy(folder / "weights") as local:
        assert local.read_bytes() == b"2"
    delete(folder / "weights")
    assert not (folder / "weights").exists()
    for _ in range(2):
        delete(folder)
    assert not folder.exists()


@pytest.mark.parametrize(
    "where", ["gs://bucket/study", "s3://", "s3:///", "s3:///study", "http://host/study"]
)
def test_addresses_that_hold_no_results(where: str) -> None:
    with pytest.raises(InputError, match=r"results go to a folder or to s3://bucket/folder"):
        resolve_path(where)


def test_the_home_folder_is_the_persons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_path("~/study") == tmp_path / "study"
    with pytest.raises(InputError, match="there is no such home folder"):
        resolve_path("~nobody-of-that-name/study")


def test_an_address_in_s3_is_a_place(tmp_path: Path) -> None:
    there = resolve_path("s3://bucket/study")
    assert is_remote(there)
    assert str(there / "results") == "s3://bucket/study/results"
    assert resolve_path(str(there)) == there
    assert not is_remote(resolve_path(tmp_path))


def test_a_series_moves_and_a_checkpoint_being_written_does_not_count(root: StoragePath) -> None:
    encoder = create_encoder("unet-micro")
    waiting, series = CheckpointSeries(root / "waiting"), CheckpointSeries(root / "series")
    sha256 = save_encoder(waiting.path(3), encoder, {"epoch": 3})
    waiting.move(3, series)
    assert (waiting.epochs(), series.fingerprints()) == ([], {3: sha256})
    assert load_encoder(series.path(3))[1]["epoch"] == 3
    if is_remote(root):
        (series.path(4) / "encoder.safetensors").write_bytes(b"half")
        assert series.epochs() == [3]


def test_failures_are_kept(root: StoragePath) -> None:
    failures = Failures(root / "failed")
    failures.record("evaluation", "a", "A", "ValueError: no", details="Traceback")
    assert [of.reason for of in Failures(root / "failed").known("evaluation", ["a", "b"])] == [
        "ValueError: no"
    ]
    failures.forget("evaluation", "a")
    assert not failures.path("evaluation", "a").exists()


def test_of_many_files_those_that_are_there(root: StoragePath) -> None:
    paths = [root / folder / name for folder in "ab" for name in ("1.txt", "2.txt")]
    assert existing(paths) == []
    for path in paths[1:3]:
        atomic_write(path, b"")
    assert existing(paths) == paths[1:3]
    assert existing(paths[1:2]) == paths[1:2]


def test_a_ledger_names_what_is_torn(root: StoragePath) -> None:
    ledger = Ledger(root / "results")
    for key in "ab":
        atomic_write(ledger.path("evaluation", key), b"torn")
    assert ledger.finished("evaluation", ["a", "b", "c"]) == {"a", "b"}
    assert ledger.read("evaluation", ["a", "b", "c"]).num_rows == 0
    with pytest.raises(DamagedLedgerError, match=r"a\.parquet .*; .*b\.parquet .*; the other 0 results"):
        ledger.check()


REMOTE = UPath("memory://study/file")
AWAY = EndpointConnectionError(endpoint_url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("error", "path", "damage"),
    [
        (ValueError("torn"), Path("file"), True),
        (ValueError("torn"), REMOTE, True),
        (FileNotFoundError("none"), Path("file"), True),
        (FileNotFoundError("none"), REMOTE, True),
        (PermissionError(errno.EACCES, "not yours"), Path("file"), True),
        (PermissionError(errno.EACCES, "token expired"), REMOTE, False),
        (OSError(errno.EIO, "disk"), Path("file"), False),
        (AWAY, REMOTE, False),
    ],
)
def test_a_storage_that_gives_nothing_is_no_damage(error: Exception, path: StoragePath, damage: bool) -> None:
    assert is_corruption(error, path) == damage


@pytest.mark.parametrize("error", [AWAY, PermissionError(errno.EACCES, "token expired")])
def test_what_cannot_be_fetched_is_not_called_corrupt(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the advice would be to delete it, and a pretraining would begin again."""
    root = UPath("memory://away")
    series, ledger = CheckpointSeries(root / "series"), Ledger(root / "results")
    save_encoder(series.path(1), create_encoder("unet-micro"), {"epoch": 1})
    atomic_write(ledger.path("evaluation", "a"), b"")

    def away(path: StoragePath) -> bytes:
        raise error

    monkeypatch.setattr(type(root), "read_bytes", away)
    for read in (lambda: load_encoder(series.path(1)), series.read_metas, ledger.check):
        with pytest.raises(type(error)):
            read()
