"""A GPU that was asked for is used, or is an error; never the CPU in its place."""

import re
import socket

import pytest
import torch

from raytransfer.runtime import devices
from raytransfer.runtime.devices import UnusableGpuError, is_gpu_failure, usable_device

NO_DRIVER = RuntimeError("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU")


def _raising(error: BaseException | None):
    def call(*args: object) -> None:
        if error is not None:
            raise error

    return call


def test_without_gpus_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "init", _raising(AssertionError("nobody asked")))
    assert usable_device(0, "resources.gpus_per_trial=0") == torch.device("cpu")


@pytest.mark.parametrize(
    ("init", "computing", "chosen", "said"),
    [
        (NO_DRIVER, None, "cuda", "Found no NVIDIA driver on your system."),
        (AssertionError("Torch not compiled with CUDA enabled"), None, "cuda", "not compiled with CUDA"),
        (RuntimeError(""), None, "cuda", "RuntimeError"),
        (
            None,
            torch.AcceleratorError("CUDA error: no kernel image is available\nFor debugging consider ..."),
            "cuda",
            "CUDA error: no kernel image is available)",
        ),
        (None, "not replaced", "cpu", "it chose the CPU"),
    ],
    ids=["no driver", "built without", "nothing said", "too old", "the CPU after all"],
)  # fmt: skip
def test_a_gpu_of_no_use_is_one_line(monkeypatch: pytest.MonkeyPatch, init, computing, chosen, said) -> None:
    monkeypatch.setattr(torch.cuda, "init", _raising(init))
    if computing != "not replaced":
        monkeypatch.setattr(devices, "_compute", _raising(computing))
    with pytest.raises(UnusableGpuError, match=re.escape(said)) as raised:
        usable_device(0.5, "resources.gpus_per_trial=0.5", choose=lambda: torch.device(chosen))
    message = str(raised.value)
    assert message.startswith(f"{socket.gethostname()}: torch can use no GPU there, but resources.gpus_per_")
    assert "\n" not in message
    assert is_gpu_failure(raised.value)


def test_a_gpu_that_works_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "init", _raising(None))
    monkeypatch.setattr(devices, "_compute", _raising(None))
    assert usable_device(1, "it") == torch.device("cuda")
    assert usable_device(1, "it", choose=lambda: torch.device("cuda:3")) == torch.device("cuda:3")


@pytest.mark.parametrize(
    ("error", "of_gpu"),
    [
        (NO_DRIVER, True),
        (RuntimeError("No CUDA GPUs are available"), True),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."), True),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered\nSearch for ..."), True),
        (RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."), False),
        (RuntimeError("CUDA error: out of memory"), False),
        (RuntimeError("CUDA driver error: out of memory"), False),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("No CUDA GPUs are available"), False),
    ],
)
def test_what_is_of_a_gpu_and_what_of_the_work(error: BaseException, of_gpu: bool) -> None:
    assert is_gpu_failure(error) is of_gpu
