"""What is found out before work begins: tables of settings and files, no Ray."""

from pathlib import Path

import pytest

from raytransfer.data.settings import SourceSettings
from raytransfer.data.sources.photographs import load_photographs
from raytransfer.errors import InputError
from raytransfer.pipeline.checks import check_recipe, check_signal, training_images
from raytransfer.results.units import pretraining_units
from raytransfer.settings import with_overrides
from raytransfer.statistics.signals import read_signal
from raytransfer.study import Study


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Seven training images, in folders of folders, and what is none."""
    names = ("a/1.png", "a/2.JPEG", "a/more/3.jpg", "a/notes.txt", "b/4.png", "b/5.png", "b/6.png", "b/7.png")
    for name in (*(f"train/{name}" for name in names), "train/8.png", "val/a/9.png", "val/b/10.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "images"


def test_photographs_are_counted_without_reading_them() -> None:
    source = SourceSettings(train_per_class=3, val_per_class=1)
    assert training_images(source, enough=1) == len(load_photographs(source).train) == 60


def test_a_tree_is_counted_as_far_as_it_matters(tree: Path) -> None:
    source = SourceSettings(name="imagenet", root=str(tree))
    assert training_images(source, enough=100) == 7
    assert 2 <= training_images(source, enough=2) < 7


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["source.train_per_class=3"],
            "pretraining.batch_size=64 of unet-micro simple is more than the 60 trai",
        ),
        (["source.train_per_class=4"], None),
        (
            ["source.name=imagenet", "source.root=TREE"],
            "is more than the 7 training images of imagenet: make it",
        ),
        (["source.name=imagenet", "source.root=TREE", "pretraining.batch_size=6"], None),
        (["source.name=imagenet"], None),  # the source is not here: the series may be
        (
            ["schemes=advanced", "pretraining.batch_size=62"],
            "gives each of 2 workers 31 images, but scheme 'advanced' mixes them by 2",
        ),
        (["schemes=simple", "pretraining.batch_size=62"], None),
        (
            ["models=unet", "reference_recipes=true", "source.name=imagenet", "source.root=TREE"],
            "pretraining.batch_size=4096 of unet simple is more than the 7 training images of imagenet: "
            "reference_recipes=true sets it",
        ),
    ],
)
def test_batches_that_cannot_be_filled_are_named(tree: Path, overrides: list, message: str | None) -> None:
    study = with_overrides(Study(), [text.replace("TREE", str(tree)) for text in overrides])
    unit = pretraining_units(study)[0]
    if message is None:
        check_recipe(unit)
        return
    with pytest.raises(InputError) as raised:
        check_recipe(unit)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ("cosine(level=-4)", None),
        ("cosine(level=4)", None),
        (
            "l2(margin=0.3)",
            "nothing is scored by l2(margin=0.3, level=-2, pooled=frozen): the margin must",
        ),
        (
            "cosine(level=5)",
            "swin-micro is not scored by cosine(margin=0.5, level=5, pooled=frozen): it ha",
        ),
        ("knn(level=-1)", "while encoders are trained: rules follow the robustness there"),
        ("cosine(level=-6)", "unet-micro is not scored by cosine(margin=0.5, level=-6"),
    ],
)
def test_scores_that_nobody_computes_are_named(signal: str, message: str | None) -> None:
    if message is None:
        check_signal(read_signal(signal), Study())
        return
    with pytest.raises(InputError) as raised:
        check_signal(read_signal(signal), Study())
    assert message in str(raised.value)
