import subprocess
import sys
import threading
import time

import pytest

from raytransfer.terminal import terminal
from raytransfer.tracking import tracker, writer
from raytransfer.tracking.writer import Writer


def _writer(deliver, **options) -> Writer:
    return Writer("a store", deliver, **{"beat": lambda: None, "seconds": 60.0, **options})


def test_who_waits_for_the_end_is_told_what_is_left() -> None:
    told: list[int] = []
    slow = _writer(lambda item: time.sleep(0.01))
    for key in range(5):
        slow.put(key, key)
    assert slow.close(10, lambda: None, tell=told.append) == 0
    assert (told[0], told[-1]) == (5, 0)
    assert sorted(told, reverse=True) == told


def test_the_end_is_shown_where_it_takes_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracker, "SOON", 0.0)
    with terminal(), tracker._countdown() as tell:
        for left in (4, 5, 2, 0):
            tell(left)
    assert "runs to MLflow: 100% 5/5" in capsys.readouterr().err


def test_a_beat_comes_however_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "INTERVAL_SECONDS", 0.01)
    beats, delivered = threading.Semaphore(0), []
    busy = _writer(delivered.append, beat=beats.release, seconds=0.05)
    for _ in range(3):
        assert beats.acquire(timeout=10), "idle"
    stop = time.monotonic() + 0.3
    while time.monotonic() < stop:
        busy.put("key", time.monotonic())
        time.sleep(0.005)
    assert beats.acquire(timeout=10)
    assert beats.acquire(timeout=10), "busy"
    assert delivered
    assert busy.close(10, lambda: None) == 0


ENDS_WHILE_IT_WRITES = """
import threading, time, torch
from raytransfer.tracking.writer import Writer

busy = threading.Event()

def deliver(item):
    busy.set()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        torch.zeros(100_000).sum()

writer = Writer("a store", deliver, beat=lambda: None, seconds=60.0)
writer.put("key", 0)
busy.wait()
writer.flush = lambda seconds, tell: None  # it found the store down, which came back
print(writer.close(30, lambda: None))
"""


def test_a_process_ends_well_while_its_last_item_is_written() -> None:
    """The item is in torch's code, where the end of Python would end the process with SIGABRT."""
    done = subprocess.run([sys.executable, "-c", ENDS_WHILE_IT_WRITES], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
