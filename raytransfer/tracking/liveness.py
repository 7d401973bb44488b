"""Whether the command that a run belongs to still runs: a killed one cannot say that it ended.

On the same host, its process tells at once. Elsewhere its last sign of life does: who has given none for a
quarter of an hour is taken for gone, and if it was only cut off, its next one opens its run again.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

PROCESS_TAG, ALIVE_TAG = "raytransfer.process", "raytransfer.alive"
BEAT_SECONDS = 60.0
GONE_SECONDS = 15 * BEAT_SECONDS


def _started(pid: str) -> str:
    """Return when a process began, in ticks since the host's start; "" where it is gone."""
    try:
        state, *numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else numbers[18]


def this_process() -> str:
    """Return what identifies this process: start of the host, PID namespace, PID and start; "" off Linux."""
    try:
        host = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return f"{host} {namespace} {os.getpid()} {_started('self')}"


def signs_of_life() -> dict[str, str]:
    """Return the tags of a command that runs now."""
    return {PROCESS_TAG: this_process(), ALIVE_TAG: datetime.now(UTC).isoformat(timespec="seconds")}


def is_gone(tags: Mapping[str, str]) -> bool:
    """Return whether a command that has not ended will not go on.

    Args:
        tags: Of its run; without signs of life nothing is known, and it is not taken for gone.
    """
    process = tags.get(PROCESS_TAG, "").split()
    if len(process) == 4 and process[:2] == this_process().split()[:2]:
        return _started(process[2]) != process[3]
    if ALIVE_TAG not in tags:
        return False
    silent = datetime.now(UTC) - datetime.fromisoformat(tags[ALIVE_TAG])
    return silent.total_seconds() > GONE_SECONDS
