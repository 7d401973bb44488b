"""Options of strategies, on a registry of toys that stand in this file."""

import json
import pickle
import subprocess
import sys
from dataclasses import fields, replace

import pytest

from raytransfer import options
from raytransfer.errors import InputError
from raytransfer.options import STRATEGIES, StrategyOptions, options_class
from raytransfer.registry import Registry
from raytransfer.settings import (
    describe,
    digest,
    from_dict,
    result_settings,
    setting,
    settings,
    to_dict,
    with_overrides,
)
from raytransfer.study import Study


@settings("knn")
class KnnOptions:
    neighbours: int = setting(20, "images that vote", ge=1, le=1000)
    weights: tuple[float, ...] = setting((1.0, 0.5), "weights of the votes")
    batch_size: int = setting(8, "images at a time", changes_results=False, ge=1)


class Knn:
    Options = KnnOptions


class Plain:
    """A strategy that takes no options."""


@pytest.fixture(autouse=True)
def strategies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "toy_strategies", sys.modules[__name__])
    registries = (
        Registry("protocol", knn="toy_strategies:Knn", plain="toy_strategies:Plain"),
        Registry("method", plain="toy_strategies:Plain"),
    )
    monkeypatch.setattr(options, "STRATEGIES", registries)


def test_the_command_line_sets_them() -> None:
    study = with_overrides(Study(), ["knn.neighbours=5", "knn.weights=1", "downstream.epochs=3"])
    assert study.options_of("knn") == KnnOptions(neighbours=5, weights=(1.0,))
    assert study.downstream.epochs == 3
    assert with_overrides(study, ["knn.batch_size=4"]).options_of("knn").neighbours == 5
    assert Study().options_of("knn") == KnnOptions()
    assert Study().options_of("plain") is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("knn.neighbour=5", "unknown setting 'knn.neighbour': did you mean 'knn.neighbours'"),
        ("knm.neighbours=5", "unknown setting 'knm.neighbours': did you mean 'knn.neighbours'"),
        ("plain.neighbours=5", "unknown setting 'plain.neighbours'"),
        ("knn=5", "unknown setting 'knn'"),
        ("knn.neighbours=0", "knn.neighbours must be at least 1, got 0"),
        ("knn.neighbours=many", "knn.neighbours must be int, got 'many'"),
        ("knn.weights=[0.5, NaN]", "knn.weights[1] must be a finite number, got nan"),
    ],
)
def test_wrong_ones_are_named(override: str, message: str) -> None:
    with pytest.raises(InputError) as raised:
        with_overrides(Study(), [override])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"knm": {}}, "unknown strategy 'knm': did you mean 'knn'"),
        ({"knn": {"neighbour": 5}}, "unknown setting 'knn.neighbour'"),
        ({"plain": {}}, "plain takes no options"),
        ({"knn": 5}, "knn must be KnnOptions, got 5"),
        (5, "options must be strategies' names with their options, got 5"),
    ],
)
def test_wrong_ones_of_a_file_are_named(stored: object, message: str) -> None:
    with pytest.raises(InputError) as raised:
        from_dict(Study, {"options": stored})
    assert message in str(raised.value)


def test_they_are_described_by_their_names() -> None:
    described = {key: (value, meaning) for key, value, meaning in describe(Study())}
    assert described["knn.neighbours"] == (20, "images that vote")
    counting = result_settings(Study())
    assert "knn.neighbours" in counting
    assert "knn.batch_size" not in counting


def test_a_file_has_only_what_is_no_default() -> None:
    assert "options" not in to_dict(Study())
    study = with_overrides(Study(), ["knn.neighbours=5"])
    stored = json.loads(json.dumps(to_dict(study)))
    assert stored["options"] == {"knn": {"neighbours": 5}}
    assert from_dict(Study, stored) == study
    back = with_overrides(study, ["knn.neighbours=20"])
    assert back == Study()
    assert hash(back) == hash(Study())
    assert digest(study) != digest(back)


def test_a_study_with_options_goes_to_other_processes_and_is_replaced() -> None:
    study = replace(Study(), options={"knn": KnnOptions(neighbours=5)})
    assert study == with_overrides(Study(), ["knn.neighbours=5"])
    assert study != Study()
    assert replace(study, seeds=(7,)).options == study.options
    assert pickle.loads(pickle.dumps(study.options)) == study.options


def test_a_unit_takes_in_those_it_depends_on() -> None:
    study = with_overrides(Study(), ["knn.neighbours=5", "knn.batch_size=4"])
    assert study.changed_options("knn", "plain") == {"knn": {"neighbours": 5}}
    assert study.changed_options("plain") == {}
    assert Study().changed_options("knn") == {}
    assert with_overrides(Study(), ["knn.batch_size=4"]).changed_options("knn") == {}


def test_a_section_of_the_study_answers_for_the_strategy_of_its_name() -> None:
    study = with_overrides(Study(), ["robustness.seed=7"])
    assert study.options_of("robustness") is study.robustness
    with pytest.raises(InputError, match="unknown strategy 'models'"):
        study.options_of("models")


def test_options_are_called_as_their_strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "STRATEGIES", (Registry("protocol", kmn="toy_strategies:Knn"),))
    with pytest.raises(TypeError, match="must be @settings\\('kmn'\\)"):
        Study().options_of("kmn")
    twice = Registry("protocol", knn="toy_strategies:Knn")
    monkeypatch.setattr(options, "STRATEGIES", (twice, twice))
    with pytest.raises(TypeError, match="two strategies with options are called 'knn'"):
        Study().options_of("knn")


def test_without_strategies_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "STRATEGIES", ())
    assert dict(Study().options) == {}
    with pytest.raises(InputError, match="unknown strategy 'knn'"):
        Study().options_of("knn")


def test_the_platforms_own_strategies_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "STRATEGIES", STRATEGIES)
    taken = {field.name for field in fields(Study)}
    for registry in STRATEGIES:
        for name in registry:
            assert options_class(name) is None or name not in taken


NOTHING_HEAVY = """
import sys
from raytransfer.settings import describe
from raytransfer.study import Study
list(describe(Study()))
heavy = {"torch", "ray", "mlflow", "scipy", "sklearn", "torchvision", "numpy", "pyarrow", "lightly"}
print(sorted(heavy & set(sys.modules)))
"""


def test_describing_all_options_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", NOTHING_HEAVY], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_equal_options_are_one(strategies: None) -> None:
    assert StrategyOptions({"knn": {"neighbours": 5}}) == StrategyOptions({"knn": KnnOptions(neighbours=5)})
    assert StrategyOptions({"knn": {}}) == StrategyOptions()
    assert list(StrategyOptions()) == ["knn"]
    assert StrategyOptions()["knn"] == KnnOptions()
    assert "plain" not in StrategyOptions()
