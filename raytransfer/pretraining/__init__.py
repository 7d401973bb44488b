"""Pretraining: methods, the loop, batches, recipes. One process; plain torch."""
