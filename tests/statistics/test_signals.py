import pytest

from raytransfer.errors import InputError
from raytransfer.statistics.signals import Signal, read_signal, rule_and_signal
from raytransfer.transferability.indicators.base import ScoreSpec
from raytransfer.transferability.settings import RobustnessSettings

PLATEAU_ON = Signal().varied(distance="l2", margin=1.0, level=-4, pooled=())


BOTH = ("fine_tuning", "frozen")


@pytest.mark.parametrize(
    ("text", "signal"),
    [
        ("cosine", Signal()),
        ("l2(margin=1, level=-4, pooled=never)", PLATEAU_ON),
        ("pearson(level=2,pooled=always)", Signal().varied(distance="pearson", level=2, pooled=BOTH)),
        ("knn(k=3, level=-1)", Signal("knn", (("k", 3), ("points", 4)), -1, None)),
        ("robustness(distance=l2, margin=1, level=-4, pooled=never)", PLATEAU_ON),
    ],
)
def test_a_signal_reads_as_it_writes(text: str, signal: Signal) -> None:
    assert read_signal(text) == signal
    assert read_signal(str(signal)) == signal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("l3", "unknown signal 'l3': did you mean 'l2'"),
        ("l2(layer=1)", "unknown argument of l2 'layer'"),
        ("l2(level=0)", "level must be from 1 up"),
        ("l2(level=1.5)", "level of l2 must be int"),
        ("knn(pooled=never)", "unknown argument of knn 'pooled'"),
        ("l2(pooled=sometimes)", "unknown pooled 'sometimes'"),
        ("", "a signal reads name"),
    ],
)
def test_wrong_signals_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_signal(text)


def test_levels_count_from_the_end_for_an_encoder() -> None:
    cosine = (("distance", "cosine"), ("margin", 0.5))
    assert Signal(level=4).choice("unet", "fine_tuning") == ScoreSpec("robustness", -2, False, cosine)
    assert Signal(level=4).choice("swin", "frozen") == ScoreSpec("robustness", -1, True, cosine)
    with pytest.raises(InputError, match="level 5 does not exist: the encoder has levels 1 to 4"):
        Signal(level=5).choice("swin", "frozen")
    assert Signal.of_study(RobustnessSettings(level=-1)).choice("swin", "fine_tuning").level == -1


def test_a_rule_follows_what_it_is_told_else_what_it_was_made_for_else_the_study() -> None:
    study = Signal().varied(margin=0.25)
    assert rule_and_signal("first-peak(patience=2)", study) == ("first-peak(patience=2)", study)
    assert rule_and_signal("plateau", study) == ("plateau", PLATEAU_ON)
    assert rule_and_signal("plateau(factor=2) on cosine", study) == ("plateau(factor=2)", Signal())
    assert rule_and_signal("asha", study) == ("asha", study)
