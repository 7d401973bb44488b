"""Which Python `make` takes, what it says meanwhile, and what it says where something is missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PRETENDER = """#!/bin/bash
# A Python that is only as much of one as install.sh asks for.
version={version} ensurepip={ensurepip}
case "$*" in
    *version_info*) echo $version ;;
    *ensurepip*) exit $ensurepip ;;
    *platform*) echo $version.0 ;;
    "-m venv --clear .venv")
        rm -rf .venv; mkdir -p .venv/bin .venv/lib/python$version; cp "$0" .venv/bin/python ;;
    "-m pip install"*) echo "$version $*" >> installed; cat pip_says; exit "$(cat pip_exits)" ;;
    "experiments/grid.py --preset demo") echo the answer ;;
    *) exit 99 ;;
esac
"""
NOT_RUN = '#!/bin/bash\necho "pyenv: $0: command not found" >&2\nexit 127\n'
PIP = """Collecting torch>=2.14 (from raytransfer==0.1.0)
  Downloading torch-2.14.1-cp312-cp312-manylinux_2_28_x86_64.whl.metadata (30 kB)
  Downloading torch-2.14.1-cp312-cp312-manylinux_2_28_x86_64.whl (866.0 MB)
  Using cached ray-2.60.0-cp312-cp312-manylinux2014_x86_64.whl (72.1 MB)
  Downloading tqdm-4.70.0-py3-none-any.whl (78 kB)
Installing collected packages: torch, ray, tqdm
"""


class Checkout:
    """What `make install` needs of a checkout, on a machine with pretended Pythons and no others."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.folder, self.machine = folder / "checkout", folder / "bin"
        self.folder.mkdir()
        self.machine.mkdir()
        for name in ("Makefile", "install.sh", "pyproject.toml", "constraints.txt"):
            shutil.copy(project / name, self.folder)
        for tool in ("bash", "env", "make", "dirname", "grep", "tail", "wc", "cat", "cp", "mkdir", "rm"):
            (self.machine / tool).symlink_to(shutil.which(tool))
        self.pip()

    def pip(self, says: str = PIP, exits: int = 0) -> None:
        (self.folder / "pip_says").write_text(says)
        (self.folder / "pip_exits").write_text(str(exits))

    def python(self, name: str, version: str | None = None, *, ensurepip: bool = True) -> Path:
        """Add a Python to the machine: one that does not run where it has no version."""
        file = self.machine / name
        file.write_text(
            NOT_RUN if version is None else PRETENDER.format(version=version, ensurepip=int(not ensurepip))
        )
        file.chmod(0o755)
        return file

    def make(self, *arguments: str, target: str = "install") -> subprocess.CompletedProcess:
        return subprocess.run(
            ["make", target, *arguments], cwd=self.folder, capture_output=True, text=True,
            env={"PATH": str(self.machine), "HOME": os.environ.get("HOME", "/")},
        )  # fmt: skip

    @property
    def installed(self) -> list[str]:
        """The Python of each installation that there was."""
        file = self.folder / "installed"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def checkout(project: Path, tmp_path: Path) -> Checkout:
    return Checkout(project, tmp_path)


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        ({"python3.11": "3.11", "python3.12": "3.12"}, "3.12"),
        ({"python3.11": "3.11", "python3.12": "3.12", "python3.13": "3.13", "python3.14": "3.14"}, "3.13"),
        ({"python3.11": "3.11", "python3.12": None, "python3.13": None}, "3.11"),
        ({"python3": "3.12"}, "3.12"),
        ({"python3": "3.14", "python3.11": "3.11"}, "3.11"),
    ],
)
def test_the_newest_python_that_runs_is_taken(checkout: Checkout, there: dict, taken: str) -> None:
    for name, version in there.items():
        checkout.python(name, version)
    done = checkout.make()
    assert done.returncode == 0, done.stderr
    assert checkout.installed == [taken]
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("making .venv with python3")
    assert "GB to download" in second


def test_a_python_without_venv_is_passed_over(checkout: Checkout) -> None:
    checkout.python("python3.13", "3.13", ensurepip=False)
    checkout.python("python3.11", "3.11")
    assert checkout.make().returncode == 0
    assert checkout.installed == ["3.11"]


@pytest.mark.parametrize(
    ("there", "arguments", "message"),
    [
        ({}, [], "Python 3.13 3.12 3.11 is needed, and none of them runs here: on Debian and Ubuntu 'apt"),
        ({"python3": "3.10", "python3.12": None}, [], "none of them runs here"),
        ({"python3": "3.13 lacking"}, [], "python3 makes no environments (its module venv or ensurepip"),
        ({"python3": "3.13 lacking"}, [], "on Debian and Ubuntu 'apt install python3.13-venv'"),
        ({"python3.12": "3.12 lacking"}, ["PYTHON=python3.12"], "'apt install python3.12-venv'"),
        ({"python3.11": "3.11"}, ["PYTHON=python3.15"], "PYTHON=python3.15 does not run"),
        ({"python3.11": "3.11", "mine": "3.10"}, ["PYTHON=mine"], "PYTHON=mine is Python 3.10, not one of"),
    ],
)
def test_what_is_missing_is_one_line(checkout: Checkout, there: dict, arguments: list, message: str) -> None:
    for name, version in there.items():
        number, _, lacking = (version or "").partition(" ")
        checkout.python(name, number or None, ensurepip=not lacking)
    done = checkout.make(*arguments)
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert line.startswith("error: ")
    assert message in line
    assert not checkout.installed


def test_nothing_is_installed_twice_without_a_reason(checkout: Checkout) -> None:
    checkout.python("python3.11", "3.11")
    assert checkout.make().returncode == 0
    checkout.python("python3.13", "3.13")
    for arguments in ([], ["PYTHON=python3.11"]):
        again = checkout.make(*arguments)
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.installed == ["3.11"], "a newer Python on the machine is no reason"
    later = (checkout.folder / ".venv/.installed").stat().st_mtime + 5
    os.utime(checkout.folder / "constraints.txt", (later, later))
    done = checkout.make()
    assert checkout.installed == ["3.11"] * 2
    assert "making .venv" not in done.stdout
    os.utime(checkout.folder / "constraints.txt", (0, 0))
    assert checkout.make("PYTHON=python3.13").returncode == 0
    assert checkout.installed == ["3.11"] * 2 + ["3.13"]
    assert not (checkout.folder / ".venv/lib/python3.11").exists(), "made again, not mixed"


def test_a_python_that_is_gone_or_replaced_is_noticed(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    assert checkout.make().returncode == 0
    environment = checkout.folder / ".venv/bin/python"
    environment.unlink()
    assert checkout.make().returncode == 0
    checkout.python("python3.13", "3.13")
    shutil.copy(checkout.machine / "python3.13", environment)  # as where a system's python3 becomes another
    assert checkout.make().returncode == 0
    assert checkout.installed == ["3.12", "3.12", "3.13"]


def test_what_was_interrupted_is_taken_up_again(checkout: Checkout) -> None:
    checkout.python("python3.11", "3.11")
    checkout.pip(
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", 2
    )
    done = checkout.make()
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
    assert line.startswith("error: pip did not install everything (ERROR: Could not install packages due to")
    assert ".venv/install.log" in line
    checkout.python("python3.13", "3.13")
    checkout.pip()
    assert "making .venv" not in checkout.make().stdout, "what is downloaded is for 3.11"
    assert checkout.installed == ["3.11", "3.11"]
    assert checkout.make().stdout == ""


def test_of_what_pip_says_one_sees_what_one_waits_for(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    retrying = (
        "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)': /simple\n"
    )
    checkout.pip(retrying + PIP)
    done = checkout.make()
    assert done.stderr == ""
    assert [line[9:] for line in done.stdout.splitlines()[2:]] == [
        "no connection, pip tries again: 'NewConnectionError(...)': /simple",
        "torch 2.14.1 (866.0 MB)",
        "ray 2.60.0 (72.1 MB)",
        "writing 3 packages",
    ]
    assert (checkout.folder / ".venv/install.log").read_text() == retrying + PIP


def test_the_demo_says_what_it_does_from_the_first_line_on(checkout: Checkout) -> None:
    checkout.python("python3.12", "3.12")
    done = checkout.make(target="demo")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].startswith("making .venv with python3.12")
    assert said[-3].startswith("some seven minutes on two CPU cores")
    assert said[-2:] == [".venv/bin/python experiments/grid.py --preset demo", "the answer"]
    assert checkout.make(target="demo").stdout.splitlines() == said[-3:]
