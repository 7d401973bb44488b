"""A cluster of several nodes on this machine, each of which can be taken away."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OPEN = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
"""What a command needs in its environment to connect."""

_ASK = (
    "import logging, ray, sys; ray.init(sys.argv[1], logging_level=logging.ERROR, log_to_driver=False); "
    "sys.exit(sum(node['Alive'] for node in ray.nodes()) != int(sys.argv[2]))"
)


class Nodes:
    """Nodes of two CPUs or so, the head first; 127.0.0.1, 127.0.0.2, ..."""

    def __init__(self, folder: Path, port: int) -> None:
        self.address, self._folder = f"127.0.0.1:{port}", folder
        self._nodes: list[subprocess.Popen] = []

    def add(self, *, cpus: int, over: Path | None = None) -> None:
        """Start a node; `over` is a folder that is another one there."""
        number = len(self._nodes) + 1
        where = (
            ["--head", f"--port={self.address.partition(':')[2]}", "--include-dashboard=false"]
            if number == 1
            else [f"--address={self.address}"]
        )
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--block", f"--num-cpus={cpus}",
            f"--node-ip-address=127.0.0.{number}", f"--temp-dir={self._folder}", *where,
        ]  # fmt: skip
        if over is not None:
            blind = f'mount -t tmpfs tmpfs {over} && exec "$@"'
            command = ["unshare", "--mount", "sh", "-c", blind, "sh", *command]
        self._nodes.append(
            subprocess.Popen(
                command, env={**os.environ, **OPEN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )
        self.wait_for(number)

    def wait_for(self, count: int) -> None:
        """Wait until so many nodes are alive."""
        deadline = time.monotonic() + 60
        ask = [sys.executable, "-c", _ASK, self.address, str(count)]
        while subprocess.run(ask, env={**os.environ, **OPEN}, capture_output=True).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def lose(self, number: int) -> None:
        """Kill a node's raylet; its workers go with it."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, rest = stat.read_text().partition(" ")
                name, _, fields = rest.rpartition(")")
            except OSError:
                continue
            if int(fields.split()[1]) == self._nodes[number - 1].pid and name == "(raylet":
                os.kill(int(pid), 9)

    def end(self) -> None:
        for node in reversed(self._nodes):
            node.terminate()
            node.wait(30)


@contextmanager
def nodes(folder: Path, port: int) -> Iterator[Nodes]:
    found = Nodes(folder, port)
    try:
        yield found
    finally:
        found.end()
