"""Files that are there whole or not at all."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any


def write_whole(path: Path, content: bytes | Callable[[IO[bytes]], Any]) -> None:
    """Write a file under a temporary name, to the disk, and rename it; makes its folder.

    Args:
        path: The file; replaced where it exists.
        content: Its bytes, or what writes them into a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file, making its folder."""
    write_whole(path, (json.dumps(values, indent=2) + "\n").encode())
