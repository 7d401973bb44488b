"""What the data-parallel processes of a pretraining tell each other besides gradients."""

from torch import Tensor, distributed, nn


def summed_over_processes(totals: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, on the CPU; alone, the tensor."""
    if not distributed.is_initialized():
        return totals
    # NCCL reduces CUDA tensors only.
    totals = totals.cuda() if distributed.get_backend() == "nccl" else totals
    distributed.all_reduce(totals)
    return totals.cpu()


def share_buffers(module: nn.Module) -> None:
    """Give all processes the first one's buffers, such as running statistics, which each keeps of its own."""
    if distributed.is_initialized():
        for buffer in module.buffers():
            distributed.broadcast(buffer, src=0)
