"""Ray for the length of a command: on this machine, or a cluster that runs."""

import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from raytransfer.errors import InputError
from raytransfer.pipeline.resources import check_resources
from raytransfer.pipeline.shared_storage import check_shared_storage
from raytransfer.ray_compat import patch_ray
from raytransfer.ray_tune.failed_trials import unless_passing
from raytransfer.results.storage import Storage
from raytransfer.runtime.environment import prepare_process
from raytransfer.study import Study

ANSWER_SECONDS = 60.0
"""How long a head node has to answer; two seconds of it, or more where much else runs, Ray takes to begin."""


def check_address(address: str) -> None:
    """Raise InputError where no Ray cluster answers; Ray itself would write its log for minutes first."""
    if address != "auto":
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 2**16):
            raise InputError(f"--address must be host:port or auto, got {address!r}")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, UnicodeError) as error:  # the latter of what no host is called
            raise _nobody(address, str(error)) from error
    if not address.startswith("ray://"):
        _check_head(address)


def _check_head(address: str) -> None:
    """Let Ray ask a head node, in a process that can be ended: within this one it asks without end."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _nobody(address, f"no answer of a head node in {ANSWER_SECONDS:.0f} s") from error
    if asked.returncode:
        said = asked.stderr.strip().splitlines() or ["it does not say why"]
        raise _nobody(address, said[-1])


def _nobody(address: str, why: str) -> InputError:
    return InputError(f"--address {address}: no Ray cluster answers there ({why[:300]})")


@contextmanager
def cluster(address: str | None, study: Study, storage: Storage, *, verbose: bool = False) -> Iterator[None]:
    """Start Ray on this machine, or connect to a cluster, for the length of a `with` block.

    With `verbose`, Ray's log and what workers print is shown.

    Raises:
        InputError: No cluster answers, the study can never run there, or a node does not see the storage.
    """
    prepare_process()
    patch_ray(unless_passing)
    quiet: dict[str, Any] = {} if verbose else {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address is None:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            try:
                ray.init(address=address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise _nobody(address, str(error).splitlines()[0]) from error
            check_shared_storage(storage, study)
        check_resources(study)
        yield
    finally:
        ray.shutdown()
