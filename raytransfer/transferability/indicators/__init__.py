"""Indicators of transferability, one file each; `registry` names them."""
