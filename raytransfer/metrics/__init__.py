"""Segmentation metrics, and agreement between rankings."""
