"""Databases that libraries write into: the URL and the file of SQLite's, and what is wrong with one."""

import re
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote, unquote

from raytransfer.errors import InputError

SQLITE = "sqlite:///"


def root_cause(error: BaseException) -> str:
    """Return the first line of what an error began with; libraries wrap others that wrap sockets."""
    while (before := error.__cause__ or error.__context__) is not None:
        error = before
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__


def without_passwords(text: str) -> str:
    """Return a text without what stands before the host in addresses."""
    return re.sub(r"//[^/@\s']+@", "//***@", text)


def sqlite_url(path: Path) -> str:
    """Return the URL of a database by its file.

    Raises:
        InputError: Libraries would take a part of the path for something else.
    """
    if "?" in str(path) or unquote(str(path)) != str(path):
        raise InputError(
            f"a database cannot lie in {path.parent}: in a database's URL, '?' and '%' mean something else; "
            "give a path without them"
        )
    return f"{SQLITE}{path}"


def sqlite_path(url: str) -> Path | None:
    """Return the file of a database by its URL, None where it is not a file of SQLite's."""
    scheme, is_url, path = url.partition(":///")
    if not is_url or scheme.partition("+")[0] != "sqlite":
        return None
    return Path(unquote(path.partition("?")[0]))


def sqlite_problem(url: str, table: str, *, may_be_empty: bool = False) -> str | None:
    """Return why a library should not open a database, None where nothing speaks against it.

    A file that is not there is made by who opens it, as long as its folder is there.

    Args:
        url: Its URL; of a database other than SQLite's nothing is known.
        table: A table that the library's databases have.
        may_be_empty: Whether a file without any table will do, such as an interrupted command leaves behind.
    """
    if url.partition("://")[2] in ("", "/") and url.startswith("sqlite"):
        return "it names no file"
    path = sqlite_path(url)
    if path is None:
        return None
    if not path.exists():
        return _no_room(path.parent)
    if path.is_dir():
        return "it is a folder"
    try:
        tables = _tables(path)
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    if table in tables or (may_be_empty and not tables):
        return None
    if not tables:
        return "it is empty: no database that somebody made; delete it, and it is made anew"
    return f"it is a database of something else, with tables {', '.join(sorted(tables)[:3])}, ..."


def _no_room(folder: Path) -> str | None:
    """Return why no file can be made in a folder."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"nothing can be written into {folder}: {error.strerror}"


def _tables(path: Path) -> list[str]:
    """Return the names of a database's tables; one that a command was killed in is put right first."""
    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=rw", uri=True)
    try:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    finally:
        connection.close()
    return [name for (name,) in found if not name.startswith("sqlite_")]
