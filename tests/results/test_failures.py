"""Marks of failed work, and waiting for a storage."""

import errno
import json
from pathlib import Path

import pytest

from raytransfer.errors import InputError
from raytransfer.results.storage import Storage
from raytransfer.storage import retrying as patience
from raytransfer.storage.files import atomic_write, is_storage_error
from raytransfer.storage.retrying import retry_on_storage_error


def _full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def test_a_mark_leaves_work_out_until_it_is_asked_for(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    assert storage.pending("evaluation", ["a"]) == {"a"}
    storage.failures.record("evaluation", "a", "A", "ValueError: no", details="Traceback ...", host="b")
    storage.failures.record("evaluation", "c", "C", "its host was lost", details="", permanent=False)
    (found,) = Storage(tmp_path).failures.known("evaluation", ["a", "b", "c"])
    assert (found.name, found.reason, found.host) == ("A", "ValueError: no", "b")
    assert [of.key for of in storage.failures.known("evaluation", ["a", "b", "c"])] == ["a", "c"]
    assert storage.failures.details("evaluation", "a").read_text() == "Traceback ..."
    for retry, pending in ((False, {"b", "c"}), (True, {"a"})):
        again = Storage(tmp_path, retry_failed=retry)
        assert again.pending("evaluation", ["a", "b", "c"]) == pending
    storage.failures.forget("evaluation", "a")
    assert storage.pending("evaluation", ["a"]) == {"a"}
    assert not list(tmp_path.glob("failed/evaluation/a*"))


MARK = {"kind": "evaluation", "key": "a", "name": "A", "reason": "no", "host": "b", "failed_at": "now"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "Expecting value"),
        ('{"kind', "Unterminated string"),
        ("[" * 100_000, "recursion"),
        ("{}", "missing 6 required"),
        ("[]", "must be a mapping"),
        (json.dumps({**MARK, "reason": None}), "name, reason and host must be text"),
        (json.dumps({**MARK, "key": "b"}), "it is of other work, evaluation b"),
    ],
    ids=lambda text: text[:20],
)
def test_a_broken_mark_is_named(tmp_path: Path, content: str, why: str) -> None:
    storage = Storage(tmp_path)
    storage.failures.record("evaluation", "c", "C", "no", details="")
    storage.failures.check()
    path = storage.failures.path("evaluation", "a")
    atomic_write(path, content.encode())
    with pytest.raises(InputError) as raised:
        storage.failures.check()
    (message,) = raised.value.args
    assert message.startswith(f"a mark of failed work is broken: {path} cannot be read (")
    assert why in message
    assert "delete it, and the same command tries that work again" in message
    # One that breaks while a command runs counts by being there.
    assert not storage.pending("evaluation", ["a"])
    (found,) = storage.failures.known("evaluation", ["a"])
    assert (found.key, f"{path} cannot be read" in found.reason) == ("a", True)


def test_a_full_storage_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    raised = iter([_full(), _full()])

    def work() -> str:
        for error in raised:
            raise error
        return "done"

    assert retry_on_storage_error(work, seconds=10) == "done"


@pytest.mark.parametrize(("error", "of_storage"), [(_full(), True), (FileNotFoundError("x"), False)])
def test_it_is_not_waited_for_ever(monkeypatch: pytest.MonkeyPatch, error: OSError, of_storage: bool) -> None:
    monkeypatch.setattr(patience, "PAUSE_SECONDS", 0.01)
    tries = []

    def work() -> None:
        tries.append(1)
        raise error

    with pytest.raises(OSError, match=str(error.args[-1])) as raised:
        retry_on_storage_error(work, seconds=0.05)
    assert is_storage_error(raised.value) is of_storage
    assert (len(tries) > 1) is of_storage


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "folder/file"
    atomic_write(path, b"old")

    def write(file: object) -> None:
        file.write(b"ne")
        raise _full()

    with pytest.raises(OSError, match="No space"):
        atomic_write(path, write)
    assert [found.name for found in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"
