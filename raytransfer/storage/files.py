"""Files and folders of results, in a file system or in an object store; there whole or not at all.

An object store can neither rename nor hold a database, but it writes each file at once. What is a folder
there is whole when its last file is.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.exceptions import HTTPClientError
from upath import UPath

from raytransfer.errors import InputError

_AT_ONCE = 16
_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EBUSY)

Result = TypeVar("Result")

StoragePath = Path | UPath
"""A file or folder: a path, or an address such as s3://bucket/study, which has the methods of one."""


def resolve_path(where: str | os.PathLike[str] | UPath, *, attempts: int = 15) -> StoragePath:
    """Return a place by its path, "~" for a home folder at its beginning, or by its address.

    Args:
        where: The path or address.
        attempts: How often a request to an object store is made until it is answered, with growing pauses: by
            default it may be away for a minute.

    Raises:
        InputError: The address is not in S3, or names no bucket; the path is empty or a loop of links.
    """
    scheme, is_address, rest = str(where).partition("://")
    if not is_address:
        if not str(where).strip():
            raise InputError(f"a folder needs a name, got {str(where)!r}")
        try:
            path = Path(str(where)).expanduser()  # which a shell leaves alone after "="
        except RuntimeError as error:
            raise InputError(f"{where}: there is no such home folder") from error
        try:
            return path.resolve()
        except (OSError, RuntimeError) as error:  # Python's versions differ in which
            raise InputError(f"{where} is a loop of symbolic links: name the folder itself") from error
    if scheme != "s3" or not rest.partition("/")[0]:
        raise InputError(f"{where}: results go to a folder or to s3://bucket/folder")
    retries = {"mode": "standard", "total_max_attempts": attempts}
    # Other machines write there too: what was listed before is asked for again.
    return UPath(str(where), use_listings_cache=False, config_kwargs={"retries": retries})


def is_remote(where: StoragePath) -> bool:
    """Return whether a place is in an object store."""
    return not isinstance(where, Path)


def is_storage_error(error: BaseException) -> bool:
    """Return whether an error says that the storage takes or gives nothing now: full, read-only or away."""
    if isinstance(error, (NoConnectionError, HTTPClientError)):  # an object store's
        return True
    return isinstance(error, OSError) and error.errno in _STORAGE


def is_corruption(error: BaseException, path: StoragePath) -> bool:
    """Return whether an error of reading a file says that it is damaged or missing.

    A storage that gives nothing now, or an object store that refuses (credentials that ran out, say), says
    nothing of the file.
    """
    refused = is_remote(path) and isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    return not (is_storage_error(error) or refused)


def atomic_write(path: StoragePath, content: bytes | Callable[[IO[bytes]], Any]) -> None:
    """Write a file, making its folder; readers see what was there before, or all of it.

    Args:
        path: The file; replaced where it exists.
        content: Its bytes, or what writes them into a file.
    """
    local = path.parent if isinstance(path, Path) else None
    if local:
        local.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=local)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            if local:
                os.fsync(file.fileno())
        if isinstance(path, Path):
            partial.chmod(0o644)
            partial.replace(path)
        else:
            path.fs.put_file(name, path.path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: StoragePath, values: Mapping[str, Any]) -> None:
    """Write a JSON file, making its folder."""
    atomic_write(path, (json.dumps(values, indent=2) + "\n").encode())


def write_folder(path: StoragePath, files: Mapping[str, bytes]) -> None:
    """Write a folder of files; one that is there is replaced.

    Args:
        path: The folder.
        files: Name -> bytes. Where a folder cannot be renamed, it is whole when the last of them is there.
    """
    if not isinstance(path, Path):
        *_, last = files
        (path / last).unlink(missing_ok=True)
        for name, content in files.items():
            path.fs.pipe_file((path / name).path, content)  # aborts what it cannot finish
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        partial.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def delete(path: StoragePath) -> None:
    """Delete a file or a folder, if it is there."""
    if isinstance(path, Path) and not path.is_dir():
        path.unlink(missing_ok=True)
    elif isinstance(path, Path):
        shutil.rmtree(path)
    elif path.exists():
        path.fs.rm(path.path, recursive=True)


def existing(paths: Iterable[StoragePath]) -> list[StoragePath]:
    """Return those of many files that are there; an object store is asked once for each of their folders."""
    paths = list(paths)
    if len(paths) < 2 or not is_remote(paths[0]):
        return [path for path in paths if path.exists()]
    there = {file for folder in {path.parent for path in paths} for file in folder.glob("*")}
    return [path for path in paths if path in there]


def map_files(work: Callable[[StoragePath], Result], paths: Sequence[StoragePath]) -> list[Result]:
    """Do work that reads with each of many files; with those of an object store several at once."""
    if not paths or not is_remote(paths[0]):
        return [work(path) for path in paths]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, paths))


@contextmanager
def local_copy(path: StoragePath) -> Iterator[Path]:
    """Give a file or folder to read under a path of this machine's file system: itself, or a copy."""
    if isinstance(path, Path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        path.fs.get(path.path, str(copy), recursive=True)
        yield copy
