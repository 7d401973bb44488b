"""The device that work computes on: the GPU that was asked for, or an error that says why it is of no use."""

import socket
from collections.abc import Callable

import torch

_SAID_OF_GPUS = (
    "no cuda gpus are available",
    "found no nvidia driver",
    "nvidia driver on your system is too old",
    "not compiled with cuda",
    "only supported with gpus",
    "cuda unknown error",
    "unexpected error from cudagetdevicecount",
    "cuda driver version",
    "cuda driver initialization failed",
    "cuda error: initialization error",
    "cuda error: unknown error",
    "cuda error: system not yet initialized",
    "cuda error: system has unsupported display driver",
    "cuda error: forward compatibility was attempted",
    "no cuda-capable device",
    "cuda-capable device(s) is/are busy or unavailable",
    "no kernel image is available",
    "device kernel image is invalid",
    "invalid device ordinal",
    "uncorrectable ecc error",
    "uncorrectable nvlink error",
)
"""What torch and CUDA say, in lower case, of a GPU or a driver. What they say of the work that computes there
is left out: out of memory, an illegal address, a failed assertion."""


class UnusableGpuError(RuntimeError):
    """A GPU was asked for and torch can use none; the message names host and setting, and what torch says."""


def is_gpu_failure(error: BaseException) -> bool:
    """Return whether an error is of a GPU or its driver, so that nothing can be computed there."""
    if isinstance(error, UnusableGpuError):
        return True
    said = str(error).lower()
    return isinstance(error, (RuntimeError, AssertionError)) and any(words in said for words in _SAID_OF_GPUS)


def usable_device(
    gpus: float, setting: str, *, choose: Callable[[], torch.device] = lambda: torch.device("cuda")
) -> torch.device:
    """Return where work computes: on a GPU if one was asked for, else on the CPU.

    Args:
        gpus: How many GPUs the work asked for, which may be a fraction of one.
        setting: What asked for them, as the error names it, for example "resources.gpus_per_trial=1".
        choose: Returns the GPU, where a process sees several.

    Raises:
        UnusableGpuError: One was asked for, and torch cannot compute on it.
    """
    if not gpus:
        return torch.device("cpu")
    require_cuda(setting)
    try:
        device = choose()
        _compute(device)
    except (RuntimeError, ValueError) as error:
        raise _unusable(setting, error) from error
    return device


def require_cuda(setting: str) -> None:
    """Raise UnusableGpuError where torch has no GPU to compute on; none is touched.

    Args:
        setting: As in `usable_device`.
    """
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        raise _unusable(setting, error) from error


def _compute(device: torch.device) -> None:
    """Compute something: a GPU that is busy, broken, or unknown to this build of torch says so only then."""
    if device.type == "cpu":
        raise RuntimeError("it chose the CPU")
    torch.zeros(1, device=device).add_(1).item()


def _unusable(setting: str, error: BaseException) -> UnusableGpuError:
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)  # below it, how to debug kernels
    return UnusableGpuError(
        f"{socket.gethostname()}: torch can use no GPU there, but {setting} asks for one ({said})"
    )
