# Set-up and everyday commands. Each target is complete on its own: it makes .venv when needed, with the newest
# of Python 3.13, 3.12 and 3.11 that is there, or with PYTHON=...
PYTHON ?=
PY := .venv/bin/python

.PHONY: demo install test test-cluster test-faults test-lab lint
.DEFAULT_GOAL := demo

install:  ## the environment only; what a node of a cluster needs
	@bash install.sh $(PYTHON)

demo: install  ## the whole job on embedded data: pretrain, score, grid, table
	@echo "some seven minutes on two CPU cores; its libraries are read first, ten seconds"
	$(PY) experiments/grid.py --preset demo

test: install
	@bash tests/run.sh

test-cluster: test-faults test-lab  ## both need root, iproute2, openssh-server, rsync

test-faults: install  ## processes are killed, disks filled, files torn
	$(PY) -m pytest -m faults -o timeout=900 tests/cluster tests/experiments

test-lab: install  ## a cluster of hosts on this machine
	$(PY) -m pytest -m lab -o timeout=900 tests/cluster

lint: install
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
