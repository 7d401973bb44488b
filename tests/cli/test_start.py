"""What is said without work is said at once: help and refusals import nothing that computes.

The processes' modules are looked at, not the clock, which other processes share; the time is a benchmark's
(`experiments/benchmarks/startup.py`).
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from raytransfer.commands import MODULES, SCRIPTS, VERBS

HEAVY = (
    "torch", "torchvision", "timm", "segmentation_models_pytorch", "ray", "mlflow", "optuna", "scipy",
    "torchmetrics", "monai", "albumentations", "matplotlib", "sklearn", "skimage", "nibabel", "nilearn",
    "pyarrow.compute", "boto3", "safetensors.torch",
)  # fmt: skip

TRACED = """
import atexit, json, os, runpy, sys
heavy, words = json.loads(sys.argv[1]), sys.argv[2:]
atexit.register(lambda: print(json.dumps([name for name in heavy if name in sys.modules]), file=sys.stderr))
sys.argv = words
if words[0].endswith(".py"):
    sys.path.insert(0, os.path.dirname(words[0]))
    runpy.run_path(words[0], run_name="__main__")
else:
    from raytransfer.cli.main import main
    sys.exit(main())
"""


@pytest.fixture
def traced(project: Path, tmp_path: Path):
    def traced(*words: str) -> tuple[int, str, str]:
        """Run a command that must import nothing heavy; return its exit code, stdout and stderr."""
        done = subprocess.run(
            [sys.executable, "-c", TRACED, json.dumps(HEAVY), *words],
            cwd=tmp_path, capture_output=True, text=True,
            env={"PYTHONPATH": str(project), "HOME": str(tmp_path)},
        )  # fmt: skip
        *said, imported = done.stderr.splitlines()
        assert json.loads(imported) == [], done.stderr
        return done.returncode, done.stdout, "\n".join(said)

    return traced


def _started(project: Path, verb: str, how: str) -> tuple[str, ...]:
    return (str(project / "experiments" / SCRIPTS[verb]),) if how == "script" else ("raytransfer", verb)


def test_every_verb_is_listed_with_a_line(traced) -> None:
    for words in ((), ("--help",)):
        code, out, err = traced("raytransfer", *words)
        assert (code, err) == (0, "")
        for verb, line in VERBS.items():
            assert f"  {verb} " in out
            assert line in out
    assert set(VERBS) == set(SCRIPTS)


@pytest.mark.parametrize("how", ["script", "console"])
@pytest.mark.parametrize("verb", VERBS)
def test_help_teaches_at_once(traced, project: Path, verb: str, how: str) -> None:
    code, out, err = traced(*_started(project, verb, how), "--help")
    assert (code, err) == (0, "")
    for part in ("Question: ", "Command:  ", "Cost: ", "Result: "):
        assert part in out
    own = f"python experiments/{SCRIPTS[verb]} " if how == "script" else f"raytransfer {verb} "
    assert own in out
    assert ("python experiments/" in out) == (how == "script")
    assert bool(re.search(rf"\braytransfer ({'|'.join(VERBS)})\b", out)) == (how == "console")


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("grid", ["--frobnicate"], "raytransfer grid --help lists the options"),
        ("grid", ["--preset", "dmo"], "unknown preset 'dmo': did you mean 'demo'?"),
        ("pretrain", ["--set", "models=unet-mikro"], "unknown model 'unet-mikro': did you mean"),
        ("score", ["--set", "robustness.distance=cos"], "unknown distance 'cos': did you mean 'cosine'?"),
        ("grid", ["--set", "robustness.level=6"], "robustness.level=6 does not exist: unet-micro has levels"),
        ("grid", ["--set", "schemes=simpel"], "unknown pretraining scheme 'simpel'"),
        ("grid", ["--set", "datasets=mni"], "unknown target dataset 'mni': did you mean 'mni152'?"),
        ("grid", ["--set", "source.name=photos"], "unknown source dataset 'photos'"),
        ("grid", ["--set", "downstream.epochs=x"], "downstream.epochs must be int, got 'x'"),
        ("grid", ["--set", "datasets=acdc"], "raytransfer prepare --dataset acdc --source DIR"),
        ("grid", ["--storage-path", "FILE"], "file cannot be used"),
        ("grid", ["--storage-path", "gs://bucket/x"], "results go to a folder or to s3://bucket/folder"),
        ("grid", ["--no-resume", "--storage-path", "."], "--no-resume needs an empty --storage-path"),
        ("grid", ["--set", "source.train_per_class=1"], "pretraining.batch_size=64 of unet-micro simple is"),
        ("early-stop", ["--rule", "first-peek"], "unknown rule 'first-peek': did you mean 'first-peak'?"),
        ("early-stop", ["--rule", "fixed-budget(epochs=99)"], "epochs of fixed-budget must be at most 20"),
        ("early-stop", ["--rule", "first-peak on l2(margin=0.3)"], "nothing is scored by l2(margin=0.3"),
        ("early-stop", ["--scheduler", "ashe"], "unknown rule 'ashe': did you mean 'asha'?"),
        ("search", ["--trials", "0"], "--trials: must be a whole number from 1 to 100000, got '0'"),
        ("search", ["--stop", "asha(reduction_factor=1)"], "reduction_factor must be above 1"),
        ("search", ["--stop", "plateau"], "--stop plateau was made for l2"),
        ("search", ["--objective", "performance"], "--objective performance is not of --what pretr"),
        ("search", ["--optuna-storage", "sqlite:////none/o.db"], "there is no folder /none"),
        ("replay", ["--workers", "0"], "--workers: must be a whole number"),
        ("replay", [], "runs/demo: raytransfer grid --storage-path "),
        ("replay", ["--published", "none"], "--published: there is no folder none"),
        ("report", ["--output", ""], "argument --output: needs a value"),
        ("report", ["--storage-path", "none"], "/none: raytransfer grid --storage-path "),
        ("ablation", ["--published", "none"], "--published: there is no folder none"),
        ("prepare", ["--dataset", "acdd", "--source", "."], "unknown target dataset 'acdd'"),
        ("prepare", ["--dataset", "acdc", "--source", "none"], "source: there is no folder none"),
        ("import-encoders", ["--seed", "-1", "x.pt"], "--seed must be between 0 and 4294967295, got -1"),
    ],
)  # fmt: skip
def test_refusals_come_at_once(traced, tmp_path: Path, verb: str, options: list, message: str) -> None:
    (tmp_path / "file").touch()
    code, out, err = traced("raytransfer", verb, *(str(o).replace("FILE", "file") for o in options))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]


def test_an_unknown_verb_is_named_with_the_nearest(traced) -> None:
    assert traced("raytransfer", "gird")[2].startswith("error: unknown verb 'gird': did you mean 'grid'?")


@pytest.mark.parametrize("script", ["grid.py", "report.py"])
def test_a_script_names_scripts(traced, project: Path, script: str) -> None:
    path = project / "experiments" / script
    code, _, err = traced(str(path), "--frobnicate")
    assert code == 2
    assert f"{script} --help lists the options" in err
    _, _, err = traced(str(path.with_name("replay.py")), "--storage-path", "none")
    assert f": python {path.with_name('grid.py')} --storage-path " in err


def test_the_package_is_imported_at_once(traced, project: Path) -> None:
    code = "import raytransfer, sys; dir(raytransfer); raytransfer.Study; raytransfer.presets.demo(); " + (
        f"print([name for name in {[*HEAVY, 'numpy', 'pyarrow']} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(project)}
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.alone
def test_the_benchmark_stays_under_a_second(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "experiments/benchmarks/startup.py", "--json", str(tmp_path / "startup.json")]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    claims = json.loads((tmp_path / "startup.json").read_text())
    assert all(claim["low"] < 1 for claim in claims.values()), claims
    assert claims["seconds_import_raytransfer"]["low"] < 0.3


@pytest.mark.parametrize("verb", SCRIPTS)
def test_a_script_is_its_verb(project: Path, verb: str) -> None:
    files = (f"experiments/{SCRIPTS[verb]}", f"raytransfer/cli/verbs/{MODULES[verb]}.py")
    script, console = (ast.get_docstring(ast.parse((project / file).read_text())) for file in files)
    assert console.startswith(script.removesuffix("."))
    assert f"from raytransfer.cli.verbs.{MODULES[verb]} import main\n" in (project / files[0]).read_text()
