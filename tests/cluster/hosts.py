"""Hosts on one machine: each with an address, a disk, processes and an sshd of its own, on one switch.

A host is a network namespace on a bridge and, in PID, mount and UTS namespaces, an sshd as its first process:
when that is killed, or who started it is, the kernel ends everything the host runs and its mounts go with it.
"""

import json
import os
import pwd
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE, OUTSIDE = "198.18", "198.19"  # reserved for the testing of networks
GATEWAY = 254
TOOLS = (
    "ip",
    "bridge",
    "sshd",
    "ssh",
    "ssh-keygen",
    "rsync",
    "unshare",
    "nsenter",
    "setpriv",
    "make",
    "curl",
)
HOME = Path(pwd.getpwuid(0).pw_dir)
OWN = (HOME, Path("/tmp"))
"""The folders that each host has for itself; the rest of the disk is the machine's."""
HOST = """
set -e
{binds}
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount --bind {disk}/etc-hosts /etc/hosts
mkdir /run/sshd
hostname {name}
exec $(command -v sshd) -D -e -f {disk}/sshd_config
"""
SSHD = """
HostKey {lab}/host_key
AuthorizedKeysFile {lab}/key.pub
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
PidFile none
MaxStartups 100
{hardware}
"""


def problem() -> str | None:
    """Return why no hosts can be made here; None where they can."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"hosts need {', '.join(missing)} (iproute2, openssh-server, rsync, make, curl)"
    if os.geteuid() != 0:
        return "hosts need root"
    done = subprocess.run(["unshare", "--net", "--pid", "--fork", "--mount", "--uts", "true"],
                          capture_output=True, text=True)  # fmt: skip
    return None if done.returncode == 0 else f"namespaces cannot be made here: {done.stderr.strip()}"


def wait_until(true: Callable[[], object], seconds: float, what: str, *, every: float = 0.5) -> float:
    """Poll until something holds; return the seconds it took."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return time.monotonic() - began


def _do(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:  # it has ended meanwhile
        return ""


def _command_line(pid: int) -> str:
    """Return the words of a process; of one that has ended and waits for its parent there are none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


class Host:
    """One machine of the lab.

    Args:
        lab: Where it is plugged in.
        number: Last part of its addresses.
        name: Host name.
        cpus: Its number of CPUs as Ray sees it; the machine's where None.
        outside: Whether it has an address on the outside network too.
    """

    def __init__(
        self, lab: "Lab", number: int, name: str, *, cpus: int | None, outside: bool = False
    ) -> None:
        self.name, self.disk = name, lab.folder / name
        self.home = self._own(HOME)
        self.address = f"{lab.private}.{number}"
        self._lab, self._process = lab, None
        self._namespace, self.port = f"{lab.name}-{name}", f"{lab.name}v{number}"
        _do("ip", "netns", "add", self._namespace)
        _do("ip", "link", "add", self.port, "type", "veth", "peer", "name", "eth0", "netns", self._namespace)
        _do("ip", "link", "set", self.port, "master", lab.name, "up")
        self._ip("addr", "add", f"{self.address}/24", "dev", "eth0")
        if outside:
            self.outside = f"{lab.outside}.{number}"
            self._ip("addr", "add", f"{self.outside}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self._ip("link", "set", device, "up")
        shutil.copytree("/etc/skel", self.home)
        for folder in (*OWN, *self._seen()):
            self._own(folder).mkdir(parents=True, exist_ok=True)
        # As an installer of Debian or Ubuntu leaves it: the host's own name is on the loopback.
        (self.disk / "etc-hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
        hardware = "" if cpus is None else f'SetEnv "RAY_OVERRIDE_RESOURCES={{\\"CPU\\":{cpus}}}"'
        config = SSHD.format(lab=lab.folder, disk=self.disk, hardware=hardware)
        (self.disk / "sshd_config").write_text(config)

    def _own(self, path: Path) -> Path:
        """Return where a path of its own is on the machine."""
        return self.disk / path.relative_to("/")

    def _seen(self) -> list[Path]:
        """Return what the host sees of the machine within its own folders."""
        return [path for path in self._lab.seen if any(path.is_relative_to(own) for own in OWN)]

    def _ip(self, *words: str) -> None:
        _do("ip", "-n", self._namespace, *words)

    def power_on(self) -> None:
        """Start it, with the disk that it has; where it is on already, nothing happens."""
        if self.is_on:
            return
        binds = [f"mount --bind {path} {self._own(path)}" for path in self._seen()]
        binds += [f"mount --rbind {self._own(path)} {path}" for path in OWN]
        script = HOST.format(binds="\n".join(binds), disk=self.disk, name=self.name)
        with (self.disk / "sshd.log").open("a") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "ip", "netns", "exec", self._namespace,
                 "unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc",
                 "--uts", "--ipc", "bash", "-c", script],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.plug()
        probe = ["ssh-keyscan", "-T", "2", self.address]
        wait_until(lambda: subprocess.run(probe, capture_output=True).stdout, 30, f"sshd on {self.name}")

    @property
    def _first(self) -> int | None:
        """The host's process 1, as the machine numbers it."""
        if self._process is None or self._process.poll() is not None:
            return None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._first is not None

    def processes(self, word: str = "") -> list[int]:
        """Return what runs on it, of which the command line holds a word."""
        first = self._first
        if first is None:
            return []
        inside = os.readlink(f"/proc/{first}/ns/pid")
        return [pid for pid in _pids() if _namespace(pid) == inside and word in _command_line(pid)]

    def work(self) -> list[str]:
        """Return the command lines of what runs on it beside sshd."""
        lines = [_command_line(pid) for pid in self.processes()]
        return [line for line in lines if line and not line.startswith("sshd: ")]

    def power_off(self) -> None:
        """Take its plug out and end all it runs at once: nobody hears a farewell."""
        self.unplug()
        if (first := self._first) is not None:
            os.kill(first, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def unplug(self) -> None:
        """Cut it from the network; what is sent gets lost."""
        _do("ip", "link", "set", self.port, "nomaster")

    def plug(self) -> None:
        """Put it on the network."""
        _do("ip", "link", "set", self.port, "master", self._lab.name)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all it runs (SIGSTOP) within a `with` block."""
        stopped: set[int] = set()
        while new := set(self.processes()) - stopped:
            for pid in new:
                os.kill(pid, signal.SIGSTOP)
            stopped |= new
        try:
            yield
        finally:
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def command(self, line: str) -> list[str]:
        """Return the command that runs a shell line as a person sitting at it would."""
        if (first := self._first) is None:
            raise RuntimeError(f"{self.name} is off")
        namespaces = ["--net", "--pid", "--mount", "--uts", "--ipc"]
        clean = ["env", "-i", f"HOME={HOME}", "USER=root", "LOGNAME=root", "TERM=dumb", "LANG=C.UTF-8",
                 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]  # fmt: skip
        return ["nsenter", f"--target={first}", *namespaces, *clean, "bash", "-i", "-c", f"cd ~ && {line}"]

    def run(self, line: str, *, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess:
        """Run a shell line on it."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(
                self.command(line), stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
            # Not by pipes: an ssh connection that is kept for the next command would hold them open.
            try:
                code: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = None
            for file in (out, err):
                file.seek(0)
            done = subprocess.CompletedProcess(line, code, out.read(), err.read())
        if code is None or (check and code):
            said = f"more than {seconds:g} s" if code is None else f"exit code {code}"
            raise RuntimeError(f"{self.name}: {line}: {said}\n{done.stdout}\n{done.stderr}")
        return done


class Lab:
    """A switch, a folder that all hosts see, and the hosts.

    Args:
        project: The checkout that is tried; hosts see its environment, not its code.

    Attributes:
        shared: The folder for results, on all hosts.
    """

    def __init__(self, project: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="raytransfer-lab-", dir="/var/tmp"))
        self.shared = self.folder / "shared"
        self.shared.mkdir()
        self.seen = [project, Path(sys.prefix), Path(sys.base_prefix)]
        self.hosts: dict[str, Host] = {}
        network = self._free_network()
        self.name = f"rt{network}"
        self.private, self.outside = f"{PRIVATE}.{network}", f"{OUTSIDE}.{network}"
        try:
            _do("ip", "link", "add", self.name, "type", "bridge")
            for net in (self.private, self.outside):
                _do("ip", "addr", "add", f"{net}.{GATEWAY}/24", "dev", self.name)
            _do("ip", "link", "set", self.name, "up")
            for file in ("key", "host_key"):
                _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / file)
        except BaseException:
            self.remove()
            raise

    @staticmethod
    def _free_network() -> int:
        links = json.loads(_do("ip", "-json", "addr"))
        taken = {info["local"] for link in links for info in link["addr_info"]}
        free = (n for n in range(1, 255) if f"{PRIVATE}.{n}.{GATEWAY}" not in taken)
        return next(free)

    def add(self, name: str, *, cpus: int | None = None, outside: bool = False) -> Host:
        """Plug in a new host; it is off."""
        host = self.hosts[name] = Host(self, len(self.hosts) + 1, name, cpus=cpus, outside=outside)
        return host

    @contextmanager
    def cut(self, one: Host, other: Host) -> Iterator[None]:
        """Lose everything that two hosts send each other, within a `with` block; others reach both."""
        for state in ("on", "off"):
            for host in (one, other):
                _do("bridge", "link", "set", "dev", host.port, "isolated", state)
            if state == "on":
                try:
                    yield
                except BaseException:
                    for host in (one, other):
                        _do("bridge", "link", "set", "dev", host.port, "isolated", "off")
                    raise

    def _devices(self) -> list[str]:
        """Return its switch and the ports of its hosts; a deleted namespace keeps its port for long."""
        links = [link["ifname"] for link in json.loads(_do("ip", "-json", "link"))]
        return [link for link in links if re.fullmatch(rf"{self.name}(v\d+)?", link)]

    def _namespaces(self) -> list[str]:
        listed = _do("ip", "netns", "list").splitlines()
        return [line.split()[0] for line in listed if line.startswith(f"{self.name}-")]

    def remove(self) -> None:
        """Take everything away again."""
        for host in self.hosts.values():
            host.power_off()
        for device in self._devices():
            _do("ip", "link", "del", device)
        for namespace in self._namespaces():
            _do("ip", "netns", "del", namespace)
        shutil.rmtree(self.folder)

    def leftovers(self) -> list[str]:
        """Return what is there of it after `remove`: namespaces, devices, processes, mounts, files."""
        found = [*self._namespaces(), *self._devices()]
        found += [f"process {pid}: {line[:200]}" for pid in _pids()
                  if str(self.folder) in (line := _command_line(pid))]  # fmt: skip
        found += [line for line in Path("/proc/mounts").read_text().splitlines() if str(self.folder) in line]
        return [*found, *([str(self.folder)] if self.folder.exists() else [])]
