"""Waiting for a storage that takes nothing for a while: full, read-only or away."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from raytransfer.files import is_of_storage

Result = TypeVar("Result")

PAUSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


def patiently(work: Callable[[], Result], *, seconds: float) -> Result:
    """Do work that writes; where the storage does not take it, do it again until it does.

    Args:
        work: May be done again after it failed half way.
        seconds: How long it is tried; 0 tries once.

    Raises:
        OSError: The storage's, after that time; of an object store's connection, botocore's error.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except Exception as error:
            left = deadline - time.monotonic()
            if not is_of_storage(error) or left <= 0:
                raise
            _log.warning("%s: waiting for %.0f s more", error, left)
            time.sleep(min(PAUSE_SECONDS, left))
