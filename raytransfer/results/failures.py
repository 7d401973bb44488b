"""Durable marks of failed work: what failed by its own doing is left out until somebody asks for it again.

A mark is a small file beside the ledger, written under a temporary name and renamed. Only what would fail
again gets one: NaN, an error in the code, memory that ran out. A full storage, lost processes and hosts, what
is wrong with a machine (a file, a package or a GPU that it lacks), and Ctrl-C leave no mark: the next command
tries that work again.
"""

import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from raytransfer.errors import InputError, reason
from raytransfer.storage.files import (
    StoragePath,
    atomic_write,
    existing,
    is_corruption,
    map_files,
    write_json,
)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A piece of work that failed.

    Attributes:
        kind: "pretraining", "score" or "evaluation".
        key: Key that its result would have in the ledger.
        name: What people call it.
        reason: One line.
        host: Where it failed.
        failed_at: When, ISO 8601.
    """

    kind: str
    key: str
    name: str
    reason: str
    host: str
    failed_at: str


class Failures:
    """The marks under one folder.

    Args:
        root: `<storage>/failed`; made when the first mark is written.
        retry: Whether what is marked is done again, and nothing else.

    Attributes:
        new: What failed through this object, in order.
    """

    def __init__(self, root: StoragePath, *, retry: bool = False) -> None:
        self.root, self.retry = root, retry
        self.new: list[Failure] = []

    def path(self, kind: str, key: str) -> StoragePath:
        """Return the file of a mark."""
        return self.root / kind / f"{key}.json"

    def details(self, kind: str, key: str) -> StoragePath:
        """Return the file with the whole error."""
        return self.root / kind / f"{key}.txt"

    def marked(self, kind: str, keys: Iterable[str]) -> set[str]:
        """Return those of many keys that have a mark."""
        return {path.stem for path in existing(self.path(kind, key) for key in keys)}

    def selects(self, kind: str, key: str) -> bool:
        """Return whether work that is not finished is to be done by this command."""
        return self.path(kind, key).exists() == self.retry

    def record(
        self,
        kind: str,
        key: str,
        name: str,
        reason: str,
        *,
        details: str,
        permanent: bool = True,
        host: str = "",
    ) -> None:
        """Keep that a piece of work failed, and why.

        Args:
            kind: As `Failure`.
            key: As `Failure`.
            name: As `Failure`.
            reason: As `Failure`.
            details: The whole error.
            permanent: Whether it would fail again; else the next command tries.
            host: As `Failure`; this one by default.
        """
        failure = Failure(
            kind=kind,
            key=key,
            name=name,
            reason=reason,
            host=host or socket.gethostname(),
            failed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self.new.append(failure)
        atomic_write(self.details(kind, key), details.encode())
        if permanent:
            write_json(self.path(kind, key), asdict(failure))

    def forget(self, kind: str, key: str) -> None:
        """Delete a mark: the work was done after all."""
        self.path(kind, key).unlink(missing_ok=True)
        self.details(kind, key).unlink(missing_ok=True)

    def check(self) -> None:
        """Read every mark.

        Raises:
            InputError: Names the first that cannot be read, and what to do with it.
        """
        paths: list[StoragePath] = sorted(self.root.glob("*/*.json"))
        broken = [found for found in map_files(_read_mark, paths) if isinstance(found, str)]
        if broken:
            more = f"; {len(broken) - 1} others are broken too" if broken[1:] else ""
            raise InputError(f"a mark of failed work is broken: {broken[0]}{more}")

    def known(self, kind: str, keys: Iterable[str]) -> list[Failure]:
        """Return what failed of these keys, now or before, in their order."""
        keys, now = list(keys), {failure.key: failure for failure in self.new if failure.kind == kind}
        marked = self.marked(kind, keys)
        return [now.get(key) or self._read(kind, key) for key in keys if key in now or key in marked]

    def _read(self, kind: str, key: str) -> Failure:
        found = _read_mark(self.path(kind, key))
        if isinstance(found, Failure):
            return found
        # It was whole when the command began: it counts by being there.
        return Failure(kind=kind, key=key, name=key, reason=found, host="?", failed_at="?")


def _read_mark(path: StoragePath) -> Failure | str:
    """Return the failure that a mark holds, or what is wrong with it."""
    try:
        failure = Failure(**json.loads(path.read_bytes()))
        if not all(isinstance(text, str) for text in (failure.name, failure.reason, failure.host)):
            raise TypeError("name, reason and host must be text")
        if (failure.kind, failure.key) != (path.parent.name, path.stem):
            raise ValueError(f"it is of other work, {failure.kind} {failure.key}")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        if not is_corruption(error, path):
            raise
        return (
            f"{path} cannot be read ({reason(error)}): delete it, and the same command tries that work again"
        )
    return failure
