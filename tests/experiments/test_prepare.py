import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import generated_trees as trees
import pytest

from raytransfer.data.registry import load_target
from raytransfer.data.targets.prepared import load_prepared
from raytransfer.settings import with_overrides
from raytransfer.study import Study


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


@pytest.fixture
def main(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """The script, called in an empty folder."""
    monkeypatch.syspath_prepend(str(project / "experiments"))
    monkeypatch.chdir(tmp_path)
    from prepare import main

    return lambda *arguments: main(["--image-size", "32", *arguments])


@pytest.mark.parametrize("data_root", [None, "my data"])
def test_ones_own_folder_is_prepared_shown_and_can_be_gone_on_with(
    main: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    data_root: str | None,
) -> None:  # fmt: skip
    """With relative paths, as a person types them."""
    monkeypatch.setattr(sys, "argv", ["../raytransfer/experiments/prepare.py"])
    trees.folder(Path("my_polyps"))
    root = ("--data-root", data_root) if data_root else ()
    assert main("--dataset", "folder", "--name", "polyps", "--source", "my_polyps", *root) == 0
    printed = capsys.readouterr()
    folder = Path(data_root or "data") / "polyps"
    data = load_prepared(folder)
    lines = printed.out.splitlines()
    assert lines[0] == "images hold values from 0 to 255: 0 becomes 0, 255 becomes 1"
    assert lines[1:3] == ["polyps train: 4 items, 4 images", "polyps test: 1 items, 1 images"]
    assert lines[3].startswith(f"written: {folder} (fingerprint ")
    assert lines[4] == f"look at it: {folder}/preview.png"
    assert (folder / "preview.png").is_file()
    command = shlex.split(lines[5].removeprefix("next: "))
    assert command[:2] == ["python", "../raytransfer/experiments/grid.py"]
    settings = [value for option, value in pairwise(command) if option == "--set"]
    study = with_overrides(Study(), settings)
    assert study.datasets == ("polyps",)
    loaded = load_target("polyps", study.target)
    assert len(loaded.train) == len(data.train)
    assert command[-2:] == ["--storage-path", "runs/polyps"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "seed must be at least 0, got -1"),
        (["--image-size", "100000"], "image_size must be at most 2048"),
        (["--name", "mni152"], "--name 'mni152' is the name of another data set"),
        (["--value-range", "-5", "-6"], "value_range must be two numbers, the smaller one first, got -5 -6"),
        (["--group-by", "p"], "--group-by 'p' must have one group in brackets"),
    ],
)
def test_wrong_options_are_one_line(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    trees.folder(Path("mine"), names="abc")
    assert main("--dataset", "folder", "--name", "mine", "--source", "mine", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
    assert not Path("data").exists()


def test_a_name_that_is_taken_is_refused_until_it_is_to_be_replaced(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        trees.folder(Path(name), names=[f"{name}{number}" for number in range(4)])
    mine = ("--dataset", "folder", "--name", "mine", "--source")
    assert main(*mine, "one") == 0
    assert main(*mine, "one") == 0
    assert "unchanged: data/mine" in capsys.readouterr().out
    assert main(*mine, "two") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(
        "error: data/mine holds another data set (other images, masks or split): give this one"
    )
    assert main(*mine, "two", "--replace") == 0
    assert "written: data/mine" in capsys.readouterr().out


def test_of_many_problems_all_are_in_a_file_on_request(
    main: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = trees.folder(Path("mine"), names=[f"a{number}" for number in range(12)])
    for path in sorted((source / "masks").iterdir())[1:]:
        path.rename(path.with_name(f"b{path.name}"))
    mine = ("--dataset", "folder", "--name", "mine", "--source", "mine")
    assert main(*mine) == 2
    lines = capsys.readouterr().err.splitlines()
    problems = int(lines[-1].removeprefix("  --problems FILE writes all ").removesuffix(" to a file"))
    assert len(lines) < 15 < 22 < problems
    assert main(*mine, "--problems", "all.txt") == 2
    assert len(Path("all.txt").read_text().splitlines()) == problems
    assert capsys.readouterr().err.splitlines()[-1] == f"  all {problems} are in all.txt"
    assert main(*mine, "--problems", "no/all.txt") == 2
    assert "error: --problems: no/all.txt cannot be written (No such" in capsys.readouterr().err


def test_help_teaches_the_layouts(main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main("--help")
    text = capsys.readouterr().out
    for taught in (
        "my_scans/images/a.jpg",
        "a_mask.png",
        "--group-by '^([^_]+)_'",
        "groups.csv",
        "--value-range",
    ):
        assert taught in text
