"""Every command line of README.md, docs/*.md and the experiments' docstrings runs as it stands there.

In a folder of its own, with relative paths and made data. The one thing that is changed is the size of the
presets, for which `smallest_presets.py` stands in. What is run by other tests stands in `ELSEWHERE`.
"""

from pathlib import Path

import pytest
from command_lines import CommandLine, command_lines, of_markdown, of_script
from mlflow import MlflowClient
from workplace import Workplace

from raytransfer.results.ledger import Ledger
from raytransfer.results.storage import Storage

PROJECT = Path(__file__).resolve().parents[2]

ELSEWHERE = {
    "make demo": "tests/test_install.py",
    "make lint": ".ci/run",
    "make PYTHON=python3.12": "tests/test_install.py",
    "make test": ".ci/run",
    "make test-cluster": ".ci/run",
    "ray get-auth-token --generate": "tests/cluster/conftest.py",
    "ray up cluster.yaml": "tests/cluster/launcher.py",  # with -y, as docs/cluster.md has it
    "ray exec cluster.yaml 'cd raytransfer && python experiments/grid.py --preset demo --address auto "
    "--storage-path /mnt/shared/demo --tracking-uri http://10.0.0.1:5000'": "tests/cluster/grids.py",
    "ray down cluster.yaml": "tests/cluster/test_teardown.py",
    "python experiments/prepare.py --reference": "tests/data/test_acdc.py",  # said of all three that have it
}
"""Command line -> the test or script that runs it, its addresses and preset changed."""

ON_THE_LABS_PAGE = "docs/cluster.md"
"""The lab runs all commands of this page (`make test-cluster`), and a test there fails where one was not."""

STEPS = (
    "prepare", "import_encoders", "early_stop", "pretrain", "robustness", "grid", "search", "ablation",
    "replay", "report",
)  # fmt: skip
"""The scripts in an order in which none finds all of its work done."""


def _script(text: str) -> str:
    return Path(text.split()[1]).stem


LINES = [line for line in command_lines(PROJECT) if not line.where.startswith(ON_THE_LABS_PAGE)]
HERE = sorted(
    (line for line in LINES if line.text not in ELSEWHERE and line.text.startswith("python experiments/")),
    key=lambda line: STEPS.index(_script(line.text)),
)


def test_every_command_line_is_run_by_some_test() -> None:
    unknown = [line for line in LINES if line not in HERE and line.text not in ELSEWHERE]
    assert not unknown, "add what runs it to ELSEWHERE"
    assert not set(ELSEWHERE) - {line.text for line in LINES}, "these stand nowhere any more"
    for place in ELSEWHERE.values():
        assert (PROJECT / place).exists()


def test_the_lab_runs_its_whole_page() -> None:
    assert "assert not cluster.page.unused" in (PROJECT / "tests/cluster/test_teardown.py").read_text()


def test_command_lines_are_found_wherever_they_stand() -> None:
    page = """Say `python a.py --x 1`, `grid.py
--dry-run`, `grid.py` or `--x`.

```
make demo      # all of it, "now"   9 min
ray up 'a # b' \\
  --now
```

```
model  protocol
make   full
```

```text
make nothing
```

~~~bash
# a comment
anything goes
~~~

```
$ python a.py --y
error: one line
more
$ python a.py
```
"""
    found = list(of_markdown(page, "page", {"grid.py": "experiments/grid.py"}))
    assert found == [
        CommandLine("make demo", "page:5"),
        CommandLine("ray up 'a # b' --now", "page:7"),
        CommandLine("anything goes", "page:21"),
        CommandLine("python a.py --y", "page:25", "error: one line\nmore"),
        CommandLine("python a.py", "page:28"),
        CommandLine("python a.py --x 1", "page:1"),
        CommandLine("python experiments/grid.py --dry-run", "page:1"),
    ]
    script = (
        '"""Do.\n\nCommand:  python a.py --x     (once)\n          python b.py\nCost:     python c.py\n"""\n'
    )
    assert [line.text for line in of_script(script, "a.py")] == ["python a.py --x", "python b.py"]


@pytest.fixture(scope="session")
def workplace(project: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(project, tmp_path_factory.mktemp("workplace"), shared / "published")


@pytest.mark.cluster
@pytest.mark.parametrize("line", HERE, ids=[line.text.removeprefix("python experiments/") for line in HERE])
def test_a_command_line_runs_as_it_stands(workplace: Workplace, line: CommandLine) -> None:
    done = workplace.run(line.text)
    said = "\n".join(text for text in done.err.splitlines() if text.startswith("error: "))
    assert (done.code, said) == (2 if line.output.startswith("error: ") else 0, line.output), done.err
    assert "Traceback" not in done.err


@pytest.mark.cluster
def test_the_search_ended_with_a_table_and_left_the_study_alone(workplace: Workplace) -> None:
    first = "python experiments/search.py --preset demo"
    done, *again = (workplace.said[line] for line in (first, f"{first} --trials 8") if line in workplace.said)
    assert [of.out for of in again] == [done.out] * len(again), "it tries eight where nobody says how many"
    rows = [line.split() for line in done.out.splitlines() if "unet-micro-simple-" in line]
    assert len(rows) == 8
    assert ["2", "of", "2"] in [row[4:7] for row in rows], "one is not stopped"
    assert [float(row[0]) for row in rows] == sorted((float(row[0]) for row in rows), reverse=True)
    keys, storage = {row[-1] for row in rows}, Storage(workplace.folder / "runs/demo")
    trained = {row["pretraining"] for row in storage.ledger.read("pretraining").to_pylist()}
    assert keys < trained
    assert len(trained - keys) == 1, "the study's own"
    assert storage.series("unet-micro", "simple").epochs() == [0, 2]
    client = MlflowClient(f"sqlite:///{storage.root}/mlflow.db")
    shown = client.search_runs([client.get_experiment_by_name("raytransfer-pretraining").experiment_id])
    ended = {run.data.tags.get("raytransfer.key"): run.info.status for run in shown}
    assert keys < set(ended)
    assert {ended[key] for key in keys} <= {"FINISHED", "KILLED"}


@pytest.mark.cluster
def test_a_folder_of_images_and_an_imagenet_tree_went_all_the_way(workplace: Workplace) -> None:
    """What the commands above leave, of which every preset is a study of the reader's own data."""
    ledger = Ledger(workplace.folder / "runs/demo/results")
    ledger.check()
    scored, trained = (ledger.read(kind).to_pylist() for kind in ("score", "evaluation"))
    assert {row["dataset"] for row in [*scored, *trained]} == {"scans"}
    assert {row["epoch"] for row in trained} == {0, 2} <= {row["epoch"] for row in scored}
    others = [Ledger(path) for path in workplace.folder.glob("runs/*/results")]
    networks = [row for other in others for row in other.read("evaluation").to_pylist()]
    assert {("smp/fpn", "timm/resnet18", "advanced", dataset) for dataset in ("acdc", "scans")} <= {
        (row["model"], row["encoder"], row["scheme"], row["dataset"]) for row in networks
    }
    page = (workplace.folder / "report/report.html").read_text()
    assert "scans" in page
    assert "Nothing: every cell of the study" in page
