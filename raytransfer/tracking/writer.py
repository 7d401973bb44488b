"""One thread that writes what others only hand over: nobody waits for a store that is slow or gone."""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")

SIZE = 200
INTERVAL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
LAST_ITEM_SECONDS = 5.0

_log = logging.getLogger(__name__)


class UndeliverableError(Exception):
    """An item that the store will never take; the message says why."""


class StoreDownError(Exception):
    """The store does not answer now; the message says why."""


class Writer(Generic[Item]):
    """Delivers the newest item of each key, in a thread of its own.

    - An item replaces the one of its key that still waits: the slower a store, the more a delivery holds.
    - At most `size` keys wait or are written. A further one is not taken, and counts as missed.
    - Items are gathered for `INTERVAL_SECONDS`, so that a delivery holds several reports.
    - A store that is down is tried again after pauses that grow to half a minute; the item keeps its place
      unless a newer one came. It is said once per outage.
    - An item that the store refuses is said and not tried again, nor are later ones of its key.
    - Every so many seconds `beat` is called, however much waits; where it fails, the next one is due then.

    Args:
        store: What people call where items go.
        deliver: Writes an item; raises StoreDownError or UndeliverableError. Runs in the thread.
        beat: Says in the store that this process is alive; raises StoreDownError. Runs in the thread.
        seconds: Between two beats.
        size: See above.
    """

    def __init__(
        self,
        store: str,
        deliver: Callable[[Item], None],
        *,
        beat: Callable[[], None],
        seconds: float,
        size: int = SIZE,
    ) -> None:
        self._store, self._deliver, self._size = store, deliver, size
        self._beat, self._beat_seconds = beat, seconds
        self._next_beat = time.monotonic() + seconds
        self._waiting: dict[Hashable, Item] = {}
        self._writing: tuple[Hashable, Item] | None = None
        self._missed: set[Hashable] = set()
        self._refused: set[Hashable] = set()
        self._down = self._hurry = self._closed = self._outage_said = False
        self._last: Callable[[], None] | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="tracking-writer", daemon=True)
        self._thread.start()

    def put(self, key: Hashable, item: Item, *, wait: bool = False) -> bool:
        """Hand an item over.

        Args:
            key: What it is about.
            item: Stands for all earlier items of the key.
            wait: Whether to wait where the queue is full, for as long as the store takes items.

        Returns:
            Whether it was taken.
        """
        with self._changed:
            if key in self._refused:
                return False
            while self._undelivered >= self._size and key not in self._waiting:
                if not wait or self._down or self._closed:
                    self._missed.add(key)
                    return False
                self._changed.wait()
            self._waiting[key] = item
            self._missed.discard(key)
            self._changed.notify_all()
            return True

    def find(self, key: Hashable) -> Item | None:
        """Return the newest item of a key that is not delivered yet."""
        with self._changed:
            if key in self._waiting:
                return self._waiting[key]
            return self._writing[1] if self._writing is not None and self._writing[0] == key else None

    @property
    def _undelivered(self) -> int:
        return len(self._waiting) + (self._writing is not None)

    def flush(self, seconds: float, *, tell: Callable[[int], None] = lambda left: None) -> int:
        """Wait until everything is delivered, the store is down or the time is over.

        Args:
            seconds: How long to wait at most.
            tell: Told how many items are left, whenever that may have changed.

        Returns:
            The number of keys whose newest item is not delivered.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            self._hurry, self._down = True, False  # one more attempt
            self._changed.notify_all()
            while self._undelivered and not self._down and (left := deadline - time.monotonic()) > 0:
                tell(self._undelivered)
                self._changed.wait(left)
            tell(self._undelivered)
            self._hurry = False
            return self._count_behind()

    def _count_behind(self) -> int:
        """Return the number of keys whose newest item is not delivered."""
        behind = {*self._waiting, *self._missed, *self._refused}
        if self._writing is not None:
            behind.add(self._writing[0])
        return len(behind)

    def close(
        self, seconds: float, last: Callable[[], None], *, tell: Callable[[int], None] = lambda left: None
    ) -> int:
        """Flush, and where all was delivered call `last` in the thread; the others and returns as `flush`.

        The last seconds are for what the thread is in the middle of: where Python ends while a thread is in
        compiled code, such as torch's, the whole process ends with SIGABRT.
        """
        deadline = time.monotonic() + seconds
        self.flush(max(0.0, seconds - LAST_ITEM_SECONDS), tell=tell)
        with self._changed:
            self._last = None if self._undelivered else last
            self._closed = True
            self._changed.notify_all()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            return self._count_behind()

    def _run(self) -> None:
        pause = INTERVAL_SECONDS
        while True:
            with self._changed:
                left = max(0.0, self._next_beat - time.monotonic())
                if self._changed.wait_for(lambda: self._waiting or self._closed, timeout=left):
                    self._changed.wait_for(lambda: self._hurry or self._closed, timeout=pause)
                if self._closed:
                    break
                keys = list(self._waiting)
            if time.monotonic() >= self._next_beat:
                self._next_beat = time.monotonic() + self._beat_seconds
                self._call(self._beat)
            delivered = all(map(self._write, keys))
            pause = INTERVAL_SECONDS if delivered else min(2 * pause, LONGEST_PAUSE_SECONDS)
        if self._last is not None:
            self._call(self._last)

    def _write(self, key: Hashable) -> bool:
        """Deliver what waits under a key; return whether the store answers."""
        with self._changed:
            if self._closed:
                return True
            item = self._waiting.pop(key)
            self._writing = key, item
            self._changed.notify_all()
        problem = self._call(lambda: self._deliver(item))
        with self._changed:
            self._writing, self._down = None, isinstance(problem, StoreDownError)
            if self._down:
                self._waiting.setdefault(key, item)
            elif problem is not None:
                self._refused.add(key)
                self._waiting.pop(key, None)
            self._changed.notify_all()
            return not self._down

    def _call(self, work: Callable[[], None]) -> Exception | None:
        """Do a piece of work; return what it raised, after saying it."""
        try:
            work()
        except StoreDownError as error:
            if not self._outage_said:
                _log.warning(
                    "%s does not take runs now (%s): it is tried again, the work goes on", self._store, error
                )
            self._outage_said = True
            return error
        except Exception as error:  # whatever it is, the work and the other items go on
            _log.warning("%s missed a run: %s", self._store, error)
            return error
        self._outage_said = False
        return None
