"""What a command says beside its results, on stderr: progress, warnings, errors.

A person at a terminal sees a bar with the time left; a file gets a line at most once a minute. Libraries'
warnings, which nobody can do anything about, are counted and not shown, unless somebody asks for them.
"""

import argparse
import logging
import os
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

OWN = "raytransfer"
LEVELS = {
    **dict.fromkeys(("alembic", "mlflow", "optuna", "ray", "ray.train"), logging.ERROR),
    "ray.tune": logging.CRITICAL,  # a trial that fails is a result, with its reason
    "mlflow.store.db.utils": logging.CRITICAL,  # it raises what it logs
}
"""From where on libraries' loggers are heard that have handlers of their own."""

SECONDS_PER_LINE = 60.0
SOON = 3.0
"""What is over after so many seconds needs no bar."""

RED, YELLOW, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"

_log = logging.getLogger(__name__)


def add_terminal_options(parser: argparse.ArgumentParser) -> None:
    """Add how much a command says."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--quiet", action="store_true", help="only results and errors")
    group.add_argument(
        "--verbose",
        action="store_true",
        help="also what is hidden else: warnings of libraries, logs of Ray, MLflow, alembic and Optuna, and "
        "what worker processes print",
    )


class _Lines(tqdm):
    """Progress in a file: lines, where a terminal redraws one."""

    LAYOUT = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
    _next = 0.0

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line where it is time for one; `close` calls this with `pos` and ends the line itself."""
        now, ends = time.time(), pos is not None
        if ends or now >= self._next:
            self._next = now + SECONDS_PER_LINE
            self.fp.write(str(self) if ends else f"{self}\n")
            self.fp.flush()


def _is_terminal(file: TextIO) -> bool:
    return file.isatty() and os.get_terminal_size(file.fileno()).columns > 0


def progress_bar(total: int, *, title: str, unit: str, initial: int = 0, delay: float = 0) -> tqdm:
    """Return a bar on stderr with the time left, to be used as a context manager.

    Args:
        total: How much there is to do.
        title: What is done.
        unit: Of what, in the singular.
        initial: How much was done before.
        delay: Seconds before it appears: what is over by then needs none.
    """
    kind, layout = (tqdm, None) if _is_terminal(sys.stderr) else (_Lines, _Lines.LAYOUT)
    return kind(
        total=total, initial=initial, desc=title, unit=unit, delay=delay, dynamic_ncols=True,
        bar_format=layout, disable=not _log.isEnabledFor(logging.INFO),
    )  # fmt: skip


def progress(items: Iterable[Item], total: int, *, title: str, unit: str, delay: float = 0) -> Iterator[Item]:
    """Yield the items under a `progress_bar`."""
    with progress_bar(total, title=title, unit=unit, delay=delay) as bar:
        for item in items:
            yield item
            bar.update()


def _in_colour(kind: str, colour: str) -> str:
    """Return a line's first word, coloured where a person sees it."""
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not _is_terminal(sys.stderr)
    return f"{kind}:" if plain else f"{colour}{kind}:{PLAIN}"


def say_error(message: str) -> None:
    """Say what went wrong."""
    print(_in_colour("error", RED), message, file=sys.stderr)


class _Speaker(logging.Handler):
    """Says our warnings, above the bar, and libraries' errors; their warnings are counted."""

    def __init__(self, hidden: Counter[str], *, verbose: bool) -> None:
        super().__init__(logging.WARNING)
        self._hidden, self._verbose = hidden, verbose

    def emit(self, record: logging.LogRecord) -> None:
        library = record.name.partition(".")[0]
        if library == OWN or self._verbose or record.levelno >= logging.ERROR:
            word = _in_colour(record.levelname.lower(), RED if record.levelno >= logging.ERROR else YELLOW)
            source = "" if library == OWN else f"{library}: "
            tqdm.write(f"{word} {source}{' '.join(record.getMessage().split())}", file=sys.stderr)
        else:
            self._hidden[library] += 1


def _library(filename: str) -> str:
    """Return which library a file belongs to."""
    found = re.search(r"(?:site|dist)-packages[/\\]([^/\\.]+)", filename)
    return found.group(1) if found else "Python"


@contextmanager
def terminal(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Say as much as a person asked for, for the length of a `with` block.

    Args:
        quiet: No progress and no warnings.
        verbose: Also what libraries say.
    """
    hidden: Counter[str] = Counter()

    def count(message: Warning | str, category: type[Warning], filename: str, *at: Any, **to: Any) -> None:
        hidden[_library(filename)] += 1

    with ExitStack() as before:
        levels = dict.fromkeys(LEVELS, logging.INFO) if verbose else LEVELS
        for name, level in {**levels, OWN: logging.ERROR if quiet else logging.INFO}.items():
            logger = logging.getLogger(name)
            before.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        speaker = _Speaker(hidden, verbose=verbose)
        logging.getLogger().addHandler(speaker)
        before.callback(logging.getLogger().removeHandler, speaker)
        before.enter_context(warnings.catch_warnings())
        if not verbose:
            warnings.showwarning = count  # type: ignore[assignment]
        yield
    if hidden and not quiet:
        which = ", ".join(f"{name} {number}" for name, number in sorted(hidden.items()))
        print(f"library warnings hidden: {which} (--verbose shows them)", file=sys.stderr)
