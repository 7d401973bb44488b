"""What a command says on stderr: to a person, to a file, quietly, verbosely."""

import fcntl
import logging
import os
import pty
import struct
import subprocess
import sys
import termios
import warnings
from pathlib import Path

import pytest

from raytransfer import terminal as module
from raytransfer.terminal import progress, progress_bar, say_error, terminal

SCRIPT = """
import logging, sys, warnings
from raytransfer.terminal import progress, say_error, terminal
with terminal(quiet="--quiet" in sys.argv, verbose="--verbose" in sys.argv):
    for number in progress(range(3), 3, title="counting", unit="number"):
        if number == 1:
            logging.getLogger("raytransfer.tracking").warning("ours")
            logging.getLogger("urllib3").warning("theirs")
            warnings.warn("theirs too")
    print("result")
say_error("wrong")
"""


def _on_a_terminal(project: Path, *arguments: str, columns: int = 100, **environment: str) -> str:
    """Run the script where it sees a terminal; return all it wrote, carriage returns among it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")} | environment
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=project, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def test_a_person_sees_a_bar_and_colours(project: Path) -> None:
    said = _on_a_terminal(project, TERM="xterm")
    assert "counting: 100%|█" in said
    assert "3/3 [00:00<00:00" in said
    assert "\x1b[33mwarning:\x1b[0m ours" in said
    assert "theirs" not in said
    assert "library warnings hidden: Python 1, urllib3 1 (--verbose shows them)" in said
    assert "\x1b[31merror:\x1b[0m wrong" in said


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_refused(project: Path, environment: dict[str, str]) -> None:
    said = _on_a_terminal(project, **environment)
    assert "error: wrong" in said
    assert "\x1b[3" not in said


def test_a_terminal_without_a_width_gets_lines(project: Path) -> None:
    said = _on_a_terminal(project, columns=0)
    assert "counting: 100% 3/3" in said


def test_quiet_leaves_results_and_errors(project: Path) -> None:
    said = _on_a_terminal(project, "--quiet", TERM="dumb")
    assert said.split("\r\n") == ["result", "error: wrong", ""]


def test_verbose_shows_the_libraries_warnings(project: Path) -> None:
    said = _on_a_terminal(project, "--verbose", TERM="dumb")
    assert "warning: urllib3: theirs" in said
    assert "UserWarning: theirs too" in said
    assert "hidden" not in said


def test_a_file_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    with terminal(), progress_bar(300, title="long", unit="step") as bar:
        for _ in range(300):
            now[0] += 1
            bar.update()
            bar.refresh()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("/")[0] for line in lines] == [
        "long:   0% 0", "long:  20% 60", "long:  40% 120", "long:  60% 180", "long:  80% 240",
        "long: 100% 300", "long: 100% 300",
    ]  # fmt: skip
    assert not any("\r" in line or "\x1b" in line for line in lines)


def test_what_is_over_soon_needs_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal():
        assert list(progress("ab", 2, title="short", unit="letter", delay=60)) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_everything_is_as_before_afterwards() -> None:
    names = ("raytransfer", "ray.tune", "mlflow", "alembic")
    before = [logging.getLogger(name).level for name in names]
    handlers, show = list(logging.getLogger().handlers), warnings.showwarning
    with pytest.raises(ValueError, match="wrong"), terminal(quiet=True):
        raise ValueError("wrong")
    assert [logging.getLogger(name).level for name in names] == before
    assert (logging.getLogger().handlers, warnings.showwarning) == (handlers, show)


def test_an_error_in_a_file_has_no_colour(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("wrong")
    assert capsys.readouterr().err == "error: wrong\n"
