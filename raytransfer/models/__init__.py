"""Encoders (networks as levels), segmentation models, encoder weights in and out."""
