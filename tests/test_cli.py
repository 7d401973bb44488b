"""What a person gets wrong: one line on stderr, exit code 2, no traceback, and nothing lost."""

import errno
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from raytransfer.cli.command import verb_that_computes
from raytransfer.cli.outcome import reported
from raytransfer.cli.study import make_output
from raytransfer.errors import InputError
from raytransfer.models.checkpoints import save_encoder
from raytransfer.models.registry import create_encoder
from raytransfer.results.storage import Storage
from raytransfer.results.units import pretraining_units
from raytransfer.study import Study


def _never(*_: object) -> int:
    raise AssertionError("work began")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str, storage: Path | None = None) -> str:
        argv = ["--storage-path", str(storage or tmp_path / "storage"), *arguments]
        code = verb_that_computes("grid", "Test.", _never)(argv)
        output = capsys.readouterr()
        assert code == 2
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        assert output.out == ""
        return output.err

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "dmo"], "unknown preset 'dmo': did you mean 'demo'?"),
        (["--set", "models=unet-mikro"], "unknown model 'unet-mikro': did you mean 'unet-micro'?"),
        (["--set", "datasets=mni"], "unknown target dataset 'mni': did you mean 'mni152'?"),
        (["--set", "source.name=photos"], "unknown source dataset 'photos'"),
        (["--set", "schemes=simpel"], "unknown pretraining scheme 'simpel': did you mean 'simple'?"),
        (["--set", "robustness.distance=cos"], "unknown distance 'cos': did you mean 'cosine'?"),
        (["--set", "robustness.level=6"], "robustness.level=6 does not exist: unet-micro has levels 1 to 5"),
        (["--set", "robustness.level=-5"], "robustness.level=-5 does not exist: swin-unet-micro has levels"),
        (["--set", "downstream.epoch=3"], "unknown setting 'downstream.epoch'"),
        (["--set", "downstream.epochs=x"], "downstream.epochs must be int, got 'x'"),
        (["--frobnicate"], "--help lists the options"),
        (["--address", "nowhere"], "--address must be host:port or auto"),
        (["--tracking-uri", "gopher://x"], "--tracking-uri gopher://x does not answer"),
        (["--storage-path", ""], "argument --storage-path: needs a value, got ''"),
        (["--tracking-uri", " "], "argument --tracking-uri: needs a value, got ' '"),
        (["--address", ""], "argument --address: needs a value, got ''"),
        (["--no-resume", "--retry-failed"], "--no-resume insists on an empty one: give one of them"),
    ],
)
def test_a_wrong_option_is_named(run: Callable[..., str], arguments: list[str], message: str) -> None:
    assert message in run(*arguments)


def test_a_dead_server_or_cluster_is_named(run: Callable[..., str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "does not answer" in run("--tracking-uri", f"http://127.0.0.1:{port}")
    assert "no Ray cluster answers there" in run("--address", f"127.0.0.1:{port}")


def test_a_storage_path_that_cannot_be_used_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert f"--storage-path {file} cannot be used" in run(storage=file)
    assert "cannot be used" in run(storage=file / "below")
    assert "cannot be used" in run(storage=Path("/proc/raytransfer"))
    loop = tmp_path / "loop"
    loop.symlink_to(tmp_path / "back")
    (tmp_path / "back").symlink_to(loop)
    assert "symbolic links" in run(storage=loop)
    assert "symbolic links" in run(storage=loop / "below")


def test_an_address_in_s3_that_cannot_be_used_is_named(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nobody = {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": "http://127.0.0.1:9"}
    for name, value in nobody.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    there = "--storage-path=s3://bucket/study"
    assert "--tracking-uri is needed" in run(there)
    assert "Could not connect" in run(there, f"--tracking-uri=sqlite:///{tmp_path}/mlflow.db")
    assert "results go to a folder or to s3://bucket/folder" in run("--storage-path=gs://bucket/study")


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"torn" * 1000])
def test_a_damaged_database_of_the_study_blames_no_option(
    run: Callable[..., str], tmp_path: Path, content: bytes
) -> None:
    database = tmp_path / "storage/mlflow.db"
    database.parent.mkdir()
    database.write_bytes(content)
    message = run()
    assert (
        f"MLflow's database {database} cannot be used (file is not a database): if it is damaged, move"
        in (message)
    )
    assert "--tracking-uri" not in message
    assert database.read_bytes() == content


@pytest.mark.parametrize("name", ["what?", "50%25"])
def test_a_storage_path_that_no_database_can_lie_in_is_named(
    run: Callable[..., str], tmp_path: Path, name: str
) -> None:
    assert f"a database cannot lie in {tmp_path / name}: in a database's URL" in run(storage=tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_insisting_on_an_empty_storage_path(run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    (tmp_path / "storage/something").write_text("")
    assert "--no-resume needs an empty --storage-path" in run("--no-resume")
    assert (tmp_path / "storage/something").exists()


def test_a_corrupt_checkpoint_is_named_with_the_way_to_rebuild_it(
    run: Callable[..., str], tmp_path: Path
) -> None:
    unit = pretraining_units(Study())[0]
    path = Storage(tmp_path / "storage").series(unit.encoder, "simple").path(5)
    save_encoder(path, create_encoder(unit.encoder), {"pretraining": unit.key})
    weights = path / "encoder.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    message = run()
    assert f"checkpoint {path} is corrupt" in message
    assert f"delete {path.parent} and run the same command" in message


def test_a_checkpoint_of_another_encoder_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    unit = pretraining_units(Study())[0]
    path = Storage(tmp_path / "storage").series(unit.encoder, "simple").path(5)
    save_encoder(path, create_encoder("resnet-micro"), {"pretraining": unit.key})
    assert f"checkpoint {path} is not what its folder says: meta.json has encoder 'resnet-micro'" in run()


def test_a_series_of_other_settings_is_not_mixed_in(run: Callable[..., str], tmp_path: Path) -> None:
    unit = pretraining_units(Study())[0]
    path = Storage(tmp_path / "storage").series(unit.encoder, "simple").path(5)
    settings = {**unit.settings, "pretraining": {**unit.settings["pretraining"], "epochs": 7}}
    save_encoder(path, create_encoder(unit.encoder), {"pretraining": "another", "settings": settings})
    assert "pretrained with other settings (pretraining.epochs: 7 there, 20 here)" in run()


def test_a_damaged_ledger_file_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "storage/results/evaluation/trial-1.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    message = run()
    assert str(file) in message
    assert "the other 0 results are intact" in message
    assert file.exists()


def test_a_broken_mark_of_failed_work_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    mark = tmp_path / "storage/failed/evaluation/trial-1.json"
    mark.parent.mkdir(parents=True)
    mark.write_text("{")
    assert f"a mark of failed work is broken: {mark} cannot be read" in run()


def test_a_storage_path_within_a_study_is_named(run: Callable[..., str], tmp_path: Path) -> None:
    result = tmp_path / "storage/results/evaluation/trial-1.parquet"
    result.parent.mkdir(parents=True)
    result.write_bytes(b"")
    for inside in ("results", "results/evaluation", "mlartifacts/new/one"):
        message = run(storage=tmp_path / "storage" / inside)
        assert f"is a folder of the study {tmp_path / 'storage'}: give that" in message
    assert not (tmp_path / "storage/mlartifacts").exists()


def test_commands_in_messages_can_be_pasted(run: Callable[..., str], tmp_path: Path) -> None:
    data = tmp_path / "my data; all"
    message = run("--set", "datasets=acdc", "--set", f"target.data_root={data}")
    _, command, options = message.partition("raytransfer prepare ")
    assert command
    assert shlex.split(options) == ["--dataset", "acdc", "--source", "DIR", "--data-root", str(data)]


def test_a_missing_extra_is_named(run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def found(package: str) -> object:
        return None if package == "nilearn" else package

    monkeypatch.setattr("raytransfer.registry.find_spec", found)
    assert "target dataset 'mni152' needs nilearn: pip install 'raytransfer[demo]'" in run()


def test_a_storage_that_fails_the_driver_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def full() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def wrong() -> int:
        raise OSError(errno.ENOENT, "No such file")

    assert reported(full) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: the storage takes or gives nothing now ([Errno 28] No space left on device)"
    )
    with pytest.raises(OSError, match="No such file"):
        reported(wrong)


def test_a_file_in_the_way_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def write() -> int:
        tmp_path.write_text("")
        return 0

    assert reported(write) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} cannot be used: Is a directory\n"


@pytest.mark.parametrize("folder", ["/proc", "FILE", "FILE/below"])
def test_a_folder_for_tables_that_cannot_be_used_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    path = Path(folder.replace("FILE", str(tmp_path / "file")))
    with pytest.raises(InputError, match=f"--output: {path} cannot be made or written to"):
        make_output(path)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        verb_that_computes("grid", "Question: which?", _never)(["--help"])
    assert raised.value.code == 0
    text = capsys.readouterr().out
    for part in ("Question: which?", "--storage-path", "downstream.epochs (8)", "epochs of a downstream"):
        assert part in text
