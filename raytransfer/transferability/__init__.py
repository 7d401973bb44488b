"""Transferability indicators: tensors in, numbers out; higher is better."""
