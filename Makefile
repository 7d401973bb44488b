# Set-up and everyday commands. Each target is complete on its own: it creates .venv when needed.
PYTHON ?= python3.11
PY := .venv/bin/python
INSTALLED := .venv/.installed

.PHONY: demo test lint
.DEFAULT_GOAL := demo

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

demo: $(INSTALLED)  ## the whole job on embedded data: pretrain, score, grid, table
	$(PY) experiments/grid.py --preset demo

test: $(INSTALLED)
	$(PY) -m pytest

lint: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
