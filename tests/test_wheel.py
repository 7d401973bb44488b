"""The wheel holds all that is needed: installed alone, away from the checkout, the command works."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from what git knows and what is new, in a folder of its own: nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(project / name, source)
    shutil.copytree(
        project / "raytransfer", source / "raytransfer", ignore=shutil.ignore_patterns("__pycache__")
    )
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_every_file_of_the_package(project: Path, wheel: Path) -> None:
    files = {
        str(path.relative_to(project))
        for path in (project / "raytransfer").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {"raytransfer/py.typed", "raytransfer/report/page.css"} < files <= held
    assert {name.split("/")[0] for name in held - files} == {f"{wheel.name.split('-py3')[0]}.dist-info"}


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console command of an environment that has the wheel; libraries are those of this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    install = ["install", "-q", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(folder), *install], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin/raytransfer"


def _run(command: Path, folder: Path, *options: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(command), *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=280
    )


def test_the_installed_command_plans_a_study(command: Path, project: Path, tmp_path: Path) -> None:
    done = _run(command, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "raytransfer <verb> --help" in done.stdout
    done = _run(command, tmp_path, "grid", "--preset", "smoke", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "12 configurations x 1 seeds = 12 trials" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("total: ")
    python = command.with_name("python")
    where = _run(python, tmp_path, "-c", "import raytransfer; print(raytransfer.__file__)").stdout
    assert str(command.parents[1]) in where
    assert str(project) not in where


def test_the_installed_report_has_its_page(command: Path, shared: Path, tmp_path: Path) -> None:
    done = _run(command, tmp_path, "report", "--published", str(shared / "published"), "--output", "report")
    assert done.returncode == 0, done.stderr
    assert "made by" in (tmp_path / "report/report.html").read_text()
