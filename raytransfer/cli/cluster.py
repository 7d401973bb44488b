"""Ray for the length of a command: on this machine, or a cluster that runs."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from raytransfer.config import InputError, StudyConfig


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
def cluster(address: str | None, study: StudyConfig, *, verbose: bool = False) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster, for the length of a `with` block.

    With `verbose`, Ray's log and what workers print is shown.
    """
    quiet: dict[str, Any] = {} if verbose else {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
            _check_room(study)
        else:
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise InputError(f"--address {address}: no Ray cluster answers there ({reason})") from error
        yield
    finally:
        ray.shutdown()


def _check_room(study: StudyConfig) -> None:
    """Raise InputError where a pretraining could never start on this machine."""
    have = ray.cluster_resources()
    workers, cpus = study.pretraining.num_workers, study.resources.cpus_per_worker
    gpus = workers if study.resources.gpu_pretraining else 0
    if workers * cpus > have.get("CPU", 0) or gpus > have.get("GPU", 0):
        raise InputError(
            f"pretraining.num_workers={workers} needs {workers * cpus:g} CPUs and {gpus} GPUs at once, this "
            f"machine has {have.get('CPU', 0):g} and {have.get('GPU', 0):g}: --set pretraining.num_workers=1"
        )
