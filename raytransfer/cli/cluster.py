"""Ray for the length of a command: on this machine, or a cluster that runs."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from raytransfer.cli.room import check_room
from raytransfer.cli.sight import check_sight
from raytransfer.config import StudyConfig
from raytransfer.errors import InputError
from raytransfer.results import Storage


def check_address(address: str) -> None:
    """Raise InputError where nobody listens; Ray itself would wait for a minute."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        return
    if not colon or not port.isdigit():
        raise InputError(f"--address must be host:port or auto, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except OSError as error:
        raise InputError(f"--address {address}: no Ray cluster answers there ({error})") from error


@contextmanager
def cluster(
    address: str | None, study: StudyConfig, storage: Storage, *, verbose: bool = False
) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster, for the length of a `with` block.

    With `verbose`, Ray's log and what workers print is shown.

    Raises:
        InputError: No cluster answers, the study can never run there, or a node does not see the storage.
    """
    quiet: dict[str, Any] = {} if verbose else {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"--address {address}: no Ray cluster answers there ({reason})") from error
            check_sight(storage, study)
        check_room(study)
        yield
    finally:
        ray.shutdown()
