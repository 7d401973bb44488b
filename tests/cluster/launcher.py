"""What makes hosts of the lab a cluster: the environment on their disks, and the launcher's file."""

import json
import shutil
import subprocess
import sys
import urllib.request
import venv
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hosts import HOME, Host, Lab, wait_until
from page import Page

SCRIPT = f"""#!{HOME}/raytransfer/.venv/bin/python
import sys
from {{module}} import {{function}}
sys.exit({{function}}())
"""
EPOCHS = 8
STUDY = f"--set models=unet-micro --set seeds=[0,1,2] --set downstream.epochs={EPOCHS}"
"""What the lab adds to the page's `--preset smoke`: one encoder, and trials long enough to be disturbed."""
NOT_COPIED = (".*", "runs", "shared", "__pycache__", "*.egg-info", "build", "dist", "mlruns")


def install(host: Host) -> None:
    """Put the environment of this machine where `make install` would make one: with a host's own code."""
    folder = host.home / "raytransfer" / ".venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site / "lab.pth").write_text("\n".join([f"{HOME}/raytransfer", *packages]))
    for command in entry_points(group="console_scripts"):
        if command.name in ("ray", "mlflow"):
            script = folder / "bin" / command.name
            script.write_text(SCRIPT.format(module=command.module, function=command.attr))
            script.chmod(0o755)
    (folder / ".installed").write_text(f"{sys.version_info[0]}.{sys.version_info[1]}\n")


def derive(shipped: str, *, key: Path, head: Host, workers: list[Host]) -> str:
    """Return the shipped launcher file with the lab's user, key and addresses in its three lines."""
    edits = {
        "auth: {": f"auth: {{ssh_user: root, ssh_private_key: {key}}}",
        "  head_ip: ": f"  head_ip: {head.address}",
        "  worker_ips: ": f"  worker_ips: [{', '.join(host.address for host in workers)}]",
    }
    lines = shipped.splitlines()
    for start, line in edits.items():
        (number,) = (i for i, old in enumerate(lines) if old.startswith(start))
        lines[number] = line
    return "\n".join(lines) + "\n"


class Cluster:
    """What `cluster.yaml` makes of the lab's hosts: a head, workers, one more that is still off; a laptop.

    Args:
        lab: Where the hosts are plugged in.
        project: The checkout.

    Attributes:
        page: The commands that it is worked with.
    """

    def __init__(self, lab: Lab, project: Path) -> None:
        self.lab = lab
        self.laptop = lab.add("laptop")
        self.head = lab.add("head", outside=True)
        self.workers = [lab.add(f"worker{number}", cpus=1) for number in (1, 2)]
        self.spare = lab.add("spare", cpus=1)
        for host in lab.hosts.values():
            install(host)
        copy = self.laptop.home / "raytransfer"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), dirs_exist_ok=True)
        shipped = (project / "cluster.yaml").read_text()
        workers = [*self.workers, self.spare]
        derived = derive(shipped, key=lab.folder / "key", head=self.head, workers=workers)
        (copy / "cluster.yaml").write_text(derived)
        instead = {
            "10.0.0.1": self.head.address,
            "ubuntu@": "root@",
            "~/.ssh/id_ed25519": f"{lab.folder}/key",
            "/mnt/shared": str(lab.shared),
            "--preset smoke": f"--preset smoke {STUDY}",
        }
        self.page = Page(project, instead)
        for host in (self.laptop, self.head, *self.workers):
            host.power_on()

    def from_home(self, line: str) -> str:
        """Return a line with what a person types before it: into the checkout, its environment active."""
        return " && ".join(["cd raytransfer", self.page.line("source "), self.page.line("export "), line])

    def at_home(self, line: str, *, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess:
        """Run a line on the laptop."""
        return self.laptop.run(self.from_home(line), seconds=seconds, check=check)

    def up(self) -> None:
        """Start it, or start it again."""
        self.at_home(self.page.line("ray up"), seconds=300)

    def ask(self, path: str) -> Any:
        """Return what the dashboard says."""
        token = (self.laptop.home / ".ray/auth_token").read_text().strip()
        request = urllib.request.Request(f"http://{self.head.address}:8265{path}")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def alive(self) -> set[str]:
        """Return the names of the hosts that are nodes now; none where the head does not answer."""
        names = {host.address: name for name, host in self.lab.hosts.items()}
        try:
            nodes = self.ask("/api/v0/nodes")["data"]["result"]["result"]
        except (OSError, ValueError):
            return set()
        return {names[node["node_ip"]] for node in nodes if node["state"] == "ALIVE"}

    def wait_for(self, *names: str, seconds: float = 180) -> float:
        """Wait until just these hosts are nodes of the cluster; return the seconds it took."""
        return wait_until(lambda: self.alive() == set(names), seconds, f"nodes {names}, not {self.alive()}")
