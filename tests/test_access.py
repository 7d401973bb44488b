"""Files and names from others run no code and lead nowhere: what is loaded how, and what is refused."""

import ast
from pathlib import Path

import pytest

from raytransfer.cli.command import verb_that_computes
from raytransfer.data.registry import load_target
from raytransfer.data.settings import TargetSettings
from raytransfer.errors import InputError
from raytransfer.models.registry import create_encoder, create_segmentation_model
from raytransfer.results.ledger import Ledger

REFUSED = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "dill.load",
    "joblib.load", "pd.read_pickle", "pandas.read_pickle", "shelve.open", "marshal.loads",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load",
    "mlflow.sklearn.load_model", "mlflow.pyfunc.load_model", "mlflow.pytorch.load_model",
    "eval", "exec", "os.system",
}  # fmt: skip
MUST_SAY = {
    "torch.load": ("weights_only", True),
    "mlflow.pytorch.save_model": ("serialization_format", "pt2"),
}
MUST_NOT_SAY = {"np.load": ("allow_pickle", True), "numpy.load": ("allow_pickle", True)}


def _problem(call: ast.Call) -> str | None:
    name = ast.unparse(call.func)
    said = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
    if name in REFUSED:
        return name
    if name in MUST_SAY and said.get(MUST_SAY[name][0]) != MUST_SAY[name][1]:
        return f"{name} without {MUST_SAY[name]}"
    if name in MUST_NOT_SAY and said.get(MUST_NOT_SAY[name][0]) == MUST_NOT_SAY[name][1]:
        return f"{name} with {MUST_NOT_SAY[name]}"
    return "shell=True" if said.get("shell") is True else None


def test_nothing_is_loaded_that_could_run_code(project: Path) -> None:
    files = [*project.glob("raytransfer/**/*.py"), *project.glob("experiments/**/*.py")]
    calls = [
        (file, node)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
    ]
    found = [f"{file}:{call.lineno}: {problem}" for file, call in calls if (problem := _problem(call))]
    assert found == []
    names = {ast.unparse(call.func) for _, call in calls}
    assert {"torch.load", "np.load", "mlflow.pytorch.save_model"} <= names, (
        "the check finds what it looks for"
    )
    imported = [
        alias.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "joblib", "yaml", "torch", "numpy")
        for alias in node.names
    ]
    assert {"load", "loads", "Unpickler"}.isdisjoint(imported)


@pytest.mark.parametrize(
    "code",
    ["torch.load(f)", "torch.load(f, weights_only=False)", "np.load(f, allow_pickle=True)", "yaml.load(f)",
     "pickle.load(f)", "subprocess.run(c, shell=True)"],
)  # fmt: skip
def test_the_check_sees(code: str) -> None:
    assert _problem(ast.parse(code, mode="eval").body)


HOSTILE = (
    "..",
    "../x",
    "/etc/passwd",
    "a/../../x",
    "a/b/c",
    "x\n",
    "x\x1b[31m",
    "x\x00",
    ".hidden",
    "~",
    "a\\..\\b",
    "",
)


def _one_line(message: str) -> None:
    assert message.count("\n") == 1
    assert message.startswith("error: ")
    assert message.rstrip("\n").isprintable()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "option",
    ["models={}", "models=smp/{}", "models=timm/{}", "datasets={}", "datasets=msd/{}", "schemes={}",
     "modes={}", "source.name={}", "robustness.distance={}", "robustness.pooled={}"],
)  # fmt: skip
def test_hostile_names_of_a_study_are_refused_in_one_line(
    option: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("work began")

    argv = ["--storage-path", str(tmp_path / "storage"), "--set", option.format(name)]
    assert verb_that_computes("grid", "Test.", never)(argv) == 2
    _one_line(capsys.readouterr().err)
    assert not (tmp_path / "storage").exists()


@pytest.mark.parametrize("option", ["--preset", "--address"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_options_are_refused_in_one_line(
    option: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--storage-path", str(tmp_path / "storage"), f"{option}={name}"]
    assert verb_that_computes("grid", "Test.", lambda *_: 0)(argv) == 2
    _one_line(capsys.readouterr().err)


@pytest.mark.parametrize("name", [*HOSTILE, "resnet18./../../x", "hf-hub:a/b", "local-dir:/etc"])
def test_hostile_names_of_models_and_encoders_are_refused(name: str) -> None:
    for full in (name, f"timm/{name}"):
        with pytest.raises(InputError):
            create_encoder(full)
    for full in (name, f"smp/{name}"):
        with pytest.raises(InputError):
            create_segmentation_model(full, num_classes=2)


@pytest.mark.parametrize(
    "argument", ["pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"]
)
def test_the_options_of_a_checkpoint_do_not_make_timm_read_files(argument: str) -> None:
    with pytest.raises(InputError, match="timm reads no weights"):
        create_encoder("timm/resnet10t", **{argument: "/tmp/evil.pth"})


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_keys_and_datasets_are_refused(name: str, tmp_path: Path) -> None:
    for key in (name, f"trial/{name}"):
        with pytest.raises(InputError):
            Ledger(tmp_path).path("evaluation", key)
    with pytest.raises(InputError):
        load_target(name, TargetSettings(data_root=str(tmp_path)))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_a_prepared_dataset_stays_in_its_folder(
    name: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(project / "experiments"))
    from prepare import main as prepare

    source, root = tmp_path / "source", tmp_path / "inner/data"
    source.mkdir()
    arguments = ["--source", str(source), "--data-root", str(root)]
    assert prepare(["--dataset", "folder", f"--name={name}", *arguments]) == 2
    _one_line(capsys.readouterr().err)
    assert prepare([f"--dataset=msd/{name}", *arguments]) == 2
    _one_line(capsys.readouterr().err)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["source"]
