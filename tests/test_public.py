"""What `import raytransfer` offers: every name is there, explained, and its examples hold."""

import doctest
import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import raytransfer

FUNCTIONS = [name for name in raytransfer.__all__ if inspect.isfunction(getattr(raytransfer, name))]


def test_everything_public_is_there() -> None:
    assert dir(raytransfer) == sorted(raytransfer.__all__)
    for name in raytransfer.__all__:
        assert inspect.getdoc(getattr(raytransfer, name))
    with pytest.raises(AttributeError, match="no attribute 'creat_encoder'"):
        raytransfer.creat_encoder  # noqa: B018


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_examples_of_public_functions_hold(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    function = inspect.unwrap(getattr(raytransfer, name))  # of a context manager, what is explained
    found = doctest.DocTestFinder(recurse=False).find(function, name, globs={**function.__globals__})
    (examples,) = [test for test in found if test.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert runner.run(examples).failed == 0


@pytest.mark.parametrize("module", ["", ".presets", ".commands", ".models.names"])
def test_the_examples_of_modules_hold(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["raytransfer"])
    done = doctest.testmod(import_module(f"raytransfer{module}"))
    assert (done.failed, done.attempted > 0) == (0, True)


@pytest.mark.cluster
def test_a_study_is_run_from_python(tmp_path) -> None:
    """The whole chain without a script, in a process of its own: one encoder, two checkpoints."""
    program = """
from dataclasses import replace
import raytransfer
study = raytransfer.presets.smoke()
study = replace(
    study,
    models=("unet-micro",),
    protocols=("frozen",),
    pretraining=replace(study.pretraining, epochs=2, series=(0, 2), num_workers=1),
)
(summary,) = raytransfer.run(study, storage="runs/mine").summaries
print(summary.curve.model, summary.curve.dataset, summary.curve.epochs)
encoder = raytransfer.load_checkpoint("runs/mine/pretraining/unet-micro/simple/epoch_0002")
print(encoder.name, raytransfer.evaluate(study, storage="runs/mine").num_rows)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "unet-micro mni152 (0, 2)" in lines
    assert lines[-1] == "unet-micro 2"
