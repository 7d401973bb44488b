import subprocess
import sys
from pathlib import Path

import generated_trees as trees
import pytest

from raytransfer.data.prepared import load_prepared


def prepare(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "experiments/prepare.py", "--image-size", "32", *arguments]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


def test_counts_go_to_stdout_and_warnings_to_stderr(project: Path, tmp_path: Path) -> None:
    trees.decathlon(tmp_path / "source", count=5, shape=(8, 8, 2))
    dataset = ("--dataset", "msd/Task04_Hippocampus", "--source", str(tmp_path / "source"))
    done = prepare(project, *dataset, "--data-root", str(tmp_path / "data"), "--test-share", "0.4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "msd/Task04_Hippocampus train: 6 items, 3 patients",
        "msd/Task04_Hippocampus test: 4 items, 2 patients",
    ]
    assert len(load_prepared(tmp_path / "data" / "msd" / "Task04_Hippocampus").train) == 6


def test_bad_data_and_wrong_arguments_exit_with_2(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    from prepare import main

    source = trees.acdc(tmp_path / "ACDC", shape=(8, 8, 2))
    trees.truncate(source / "training/patient001/patient001_frame01.nii.gz")
    (source / "testing/patient101/patient101_frame01_gt.nii.gz").unlink()
    dataset = ("--dataset", "acdc", "--source", str(source), "--data-root", str(tmp_path / "data"))
    assert main(["--image-size", "32", *dataset]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    error = said.err[said.err.index("error:") :].splitlines()
    assert error[0] == f"error: acdc: 2 problems in {source}"
    assert error[1] == "  testing/patient101/patient101_frame01_gt.nii.gz: missing mask"
    assert error[2].startswith(
        "  training/patient001/patient001_frame01.nii.gz: truncated or damaged NIfTI file"
    )
    assert not (tmp_path / "data" / "acdc").exists()
    assert main(["--dataset", "acdc", "--source", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == f"error: source: there is no folder {tmp_path / 'none'}\n"
