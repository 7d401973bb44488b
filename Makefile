# Set-up and everyday commands. Each target is complete on its own: it creates .venv when needed.
PYTHON ?= python3.11
PY := .venv/bin/python
INSTALLED := .venv/.installed

.PHONY: demo install test test-cluster lint
.DEFAULT_GOAL := demo

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

install: $(INSTALLED)  ## the environment only; what a node of a cluster needs

demo: $(INSTALLED)  ## the whole job on embedded data: pretrain, score, grid, table
	$(PY) experiments/grid.py --preset demo

test: $(INSTALLED)
	$(PY) -m pytest

test-cluster: $(INSTALLED)  ## faults, and a cluster of hosts on this machine; needs root, iproute2, openssh-server, rsync
	$(PY) -m pytest -m faults tests/cluster
	$(PY) -m pytest -m lab tests/cluster

lint: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
