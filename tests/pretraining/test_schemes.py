from dataclasses import replace

import pytest

from raytransfer.errors import InputError
from raytransfer.pretraining.methods.simsiam import SimSiam
from raytransfer.pretraining.schemes import check_batches, check_packages, scheme_named
from raytransfer.pretraining.settings import PretrainingSettings

RECIPE = PretrainingSettings(batch_size=20, num_workers=2)


def test_an_unknown_scheme_is_named() -> None:
    for call in (scheme_named, check_packages, lambda name: check_batches(name, RECIPE)):
        with pytest.raises(InputError, match="unknown pretraining scheme 'simsian': did you mean 'simsiam'"):
            call("simsian")


@pytest.mark.parametrize(
    ("scheme", "batch_size", "chunk_size", "message"),
    [
        ("simple", 22, 0, None),
        ("simple", 22, 10, None),  # a chunk of one image
        ("simple", 2, 0, None),
        ("advanced", 20, 3, None),  # mixed before it is cut
        ("advanced", 22, 0, "2 workers 11 images, but scheme 'advanced' mixes them by 2: .* multiple of 4"),
        ("simsiam", 22, 0, None),
        ("simsiam", 22, 9, None),  # 9 and 2
        ("simsiam", 22, 100, None),
        ("simsiam", 22, 10, "11 images, with pretraining.chunk_size=10 1 in the last .* 'simsiam' needs 2"),
        ("simsiam", 22, 1, "chunk_size=1 1 in the last forward pass"),
        ("simsiam", 2, 0, "each of 2 workers 1 images"),
    ],
)
def test_batches_that_a_scheme_cannot_train_on(
    scheme: str, batch_size: int, chunk_size: int, message: str | None
) -> None:
    recipe = replace(RECIPE, batch_size=batch_size, chunk_size=chunk_size)
    if message is None:
        check_batches(scheme, recipe)
        return
    with pytest.raises(InputError, match=message):
        check_batches(scheme, recipe)


def test_a_loss_of_the_whole_batch_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimSiam, "whole_batch", True)
    check_batches("simsiam", replace(RECIPE, chunk_size=10))
    with pytest.raises(InputError, match=r"chunk_size=5 cuts the 10 images of a worker, .* set it to 0"):
        check_batches("simsiam", replace(RECIPE, chunk_size=5))


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_packages("simple")
    check_packages("simsiam")
    monkeypatch.setattr("raytransfer.registry.find_spec", lambda name: None)
    check_packages("simple")
    with pytest.raises(InputError, match=r"'simsiam' needs lightly, sklearn: pip install .*selfsupervised"):
        check_packages("simsiam")
