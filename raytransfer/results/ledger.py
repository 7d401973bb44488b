"""The ledger: every finished result is one small Parquet file, named after its key.

A key that is there is done. Files are written under a temporary name and renamed, so that a reader sees a
whole result or none; two experiments on one storage path share results; the report needs nothing else.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raytransfer.errors import InputError, reason, unknown_name
from raytransfer.results.schemas import SCHEMA_VERSION, SCHEMAS
from raytransfer.storage.files import StoragePath, atomic_write, existing, is_corruption, map_files


class DamagedLedgerError(InputError):
    """Files of the ledger cannot be read; the message names them."""


class OtherSchemaError(InputError):
    """The ledger was written by another version of this library; the message says which."""


CHECKSUM = b"raytransfer.sha256"
VERSION = b"raytransfer.schema_version"

FIRST_KINDS = {"robustness", "downstream"}
"""Kinds of results of the first version, which did not write down a version."""


def _checksum(table: pa.Table, version: bytes) -> bytes:
    """Return a digest of a table's values and version; Parquet's own checksums leave parts of a file out.

    The first version's files have none (`version` is empty), and the digest of their values alone.
    """
    return hashlib.sha256(version + repr(table.to_pylist()).encode()).hexdigest().encode()


def _read_file(path: StoragePath, schema: pa.Schema) -> pa.Table | str:
    """Return a file's row, or what keeps it from being the row that its name promises.

    Raises:
        OtherSchemaError: It is a whole row of another version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        if not is_corruption(error, path):
            raise
        return reason(error)
    try:
        table = pq.ParquetFile(pa.BufferReader(content)).read()
        metadata = table.schema.metadata or {}
        version = metadata.get(VERSION, b"")
        intact = metadata.get(CHECKSUM) == _checksum(table, version)
        if intact and version == _VERSION:
            table = table.select(schema.names).cast(schema)
            intact = table["key"].to_pylist() == [path.stem]
    except Exception as error:  # of damaged bytes, anything can come
        return reason(error)
    if intact and version != _VERSION:
        raise OtherSchemaError(_other_version(path, version.decode() or "1"))
    return table if intact else "not the row that was written"


_VERSION = str(SCHEMA_VERSION).encode()


def _other_version(path: StoragePath, version: str) -> str:
    return (
        f"{path} was written by another version of raytransfer (schema {version}, this one has "
        f"{SCHEMA_VERSION}): use another --storage-path"
    )


class Ledger:
    """The results under one folder.

    Args:
        root: `<storage>/results`; made when the first row is written.
    """

    def __init__(self, root: StoragePath) -> None:
        self.root = root

    def path(self, kind: str, key: str) -> StoragePath:
        """Return the file of a result.

        Raises:
            InputError: There is no such kind, or the key has characters that no file name should have.
        """
        if kind not in SCHEMAS:
            raise unknown_name("ledger kind", kind, SCHEMAS)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", key):
            raise InputError(f"key must be letters, digits and ._+- only, got {key!r}")
        return self.root / kind / f"{key}.parquet"

    def has(self, kind: str, key: str) -> bool:
        """Return whether a result is there."""
        return self.path(kind, key).exists()

    def finished(self, kind: str, keys: Iterable[str]) -> set[str]:
        """Return those of many keys whose results are there."""
        return {path.stem for path in self._files(kind, keys)}

    def append(self, kind: str, row: Mapping[str, Any]) -> None:
        """Write a result; one with the same key is replaced.

        Args:
            kind: "pretraining", "score" or "evaluation".
            row: Exactly the columns of the kind's schema.

        Raises:
            ValueError: A column is missing, unknown, null, or of another type.
        """
        schema = SCHEMAS.get(kind)
        if schema is None:
            raise unknown_name("ledger kind", kind, SCHEMAS)
        if set(row) != set(schema.names):
            missing, extra = set(schema.names) - set(row), set(row) - set(schema.names)
            raise ValueError(f"row of {kind!r} lacks columns {sorted(missing)}, has unknown {sorted(extra)}")
        nulls = sorted(name for name in schema.names if row[name] is None)
        if nulls:
            raise ValueError(f"row of {kind!r} has no value in columns {nulls}")
        try:
            table = pa.Table.from_pylist([dict(row)], schema=schema)
        except pa.ArrowException as error:
            raise ValueError(f"row of {kind!r} does not fit its schema: {error}") from error
        whole = table.replace_schema_metadata({CHECKSUM: _checksum(table, _VERSION), VERSION: _VERSION})
        atomic_write(self.path(kind, row["key"]), lambda file: pq.write_table(whole, file))

    def _files(self, kind: str, keys: Iterable[str] | None) -> list[StoragePath]:
        if keys is None:
            if kind not in SCHEMAS:
                raise unknown_name("ledger kind", kind, SCHEMAS)
            return sorted((self.root / kind).glob("*.parquet"))
        return existing(self.path(kind, key) for key in keys)

    def read(self, kind: str, keys: Iterable[str] | None = None) -> pa.Table:
        """Return the results that can be read, one row each; see `check` for those that cannot.

        Args:
            kind: "pretraining", "score" or "evaluation".
            keys: Only these, in this order, where they are there; all, sorted by key, where None.

        Raises:
            OtherSchemaError: Another version wrote some of them.
        """
        paths = self._files(kind, keys)
        found = map_files(partial(_read_file, schema=SCHEMAS[kind]), paths)
        tables = [table for table in found if isinstance(table, pa.Table)]  # `check` names the others
        return pa.concat_tables(tables) if tables else SCHEMAS[kind].empty_table()

    def check_version(self) -> None:
        """Look for kinds of results that only the first version had; no file is read.

        Raises:
            OtherSchemaError: There are some.
        """
        for kind in sorted(FIRST_KINDS - SCHEMAS.keys()):
            if (self.root / kind).is_dir():
                raise OtherSchemaError(_other_version(self.root / kind, "1"))

    def check(self) -> None:
        """Read every file of every kind.

        Raises:
            DamagedLedgerError: Names each damaged file and says how many others are intact.
            OtherSchemaError: Another version wrote some of it.
        """
        self.check_version()
        damaged, intact = [], 0
        for kind, schema in SCHEMAS.items():
            paths = self._files(kind, None)
            for path, found in zip(paths, map_files(partial(_read_file, schema=schema), paths), strict=True):
                if isinstance(found, pa.Table):
                    intact += 1
                else:
                    damaged.append(f"{path} ({found})")
        if damaged:
            raise DamagedLedgerError(
                f"damaged in the ledger: {'; '.join(damaged)}; the other {intact} results are intact: "
                "delete what is named and run the same command, which computes scores and trials again "
                "(an epoch of a pretraining stays a gap in its curve)"
            )
