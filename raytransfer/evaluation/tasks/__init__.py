"""Kinds of target tasks: what a model of one is, what it is trained with, and what it is judged by."""
