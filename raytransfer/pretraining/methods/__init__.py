"""Pretraining methods: what an encoder learns from images, one file each."""
