"""What the data-parallel processes of a pretraining tell each other besides gradients."""

from typing import TypeVar

from torch import Tensor, distributed, nn

Part = TypeVar("Part")


def summed_over_processes(totals: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, on the CPU; alone, the tensor."""
    if not distributed.is_initialized():
        return totals
    # NCCL reduces CUDA tensors only.
    totals = totals.cuda() if distributed.get_backend() == "nccl" else totals
    distributed.all_reduce(totals)
    return totals.cpu()


def gathered_from_processes(part: Part) -> list[Part]:
    """Return every process's part, in the order of their ranks; alone, its own."""
    if not distributed.is_initialized():
        return [part]
    parts: list[Part] = [part] * distributed.get_world_size()
    distributed.all_gather_object(parts, part)
    return parts


def share_buffers(module: nn.Module) -> None:
    """Give all processes the first one's buffers, such as running statistics, which each keeps of its own."""
    if distributed.is_initialized():
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)
