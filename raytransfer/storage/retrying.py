"""Waiting for a storage that takes nothing for a while: full, read-only or away."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from raytransfer.storage.files import is_storage_error

Result = TypeVar("Result")

PAUSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


def retry_on_storage_error(work: Callable[[], Result], *, seconds: float) -> Result:
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
            if not is_storage_error(error) or left <= 0:
                raise
            _log.warning("%s: waiting for %.0f s more", error, left)
            time.sleep(min(PAUSE_SECONDS, left))
