"""What a process computes on, and from which random numbers: devices, GPU metrics, seeds, learning rates."""
