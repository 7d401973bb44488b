"""Scripts as a person starts them, each in a process and a session of its own."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def error(self) -> str:
        """The one line of an error."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("error: ")]
        return line


def begin(
    script: str, storage: Path, *options: str, out: IO | int, err: IO | int, **environment: str
) -> subprocess.Popen:
    """Start an experiment on the preset smoke."""
    return subprocess.Popen(
        [
            sys.executable, f"experiments/{script}.py", "--preset", "smoke",
            "--storage-path", str(storage), *options,
        ],
        cwd=PROJECT, stdout=out, stderr=err, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT), **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else ignored in a background
    )  # fmt: skip
