# make run   sets everything up and runs the main job on the embedded bank
# make test  passes lint, types, architecture and tests, setting up what is missing; make test-all also tests at size
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup run test test-all check bench cluster-test clean

help:
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

setup: $(READY) ## virtual environment, jars and Java, once

$(READY): requirements.lock setup.py
	@command -v $(PYTHON) >/dev/null || { echo "set-up: Python 3.11 is needed: make setup PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "from strata.jobs.runtime.install import install; [print('set-up:', line) for line in install()]"
	@touch $(READY)

run: $(READY) ## the whole way on the embedded bank, raw files to decisions and a page; then a small simulated bank beside it
	$(BIN)/strata run --env local
	$(BIN)/strata simulate --env simulated
	$(BIN)/strata ingest --env simulated
	$(BIN)/strata likeness --env simulated

check: $(READY) ## lint, format, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	rm -rf build/typed && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target build/typed .
	$(BIN)/mypy -p strata.conf -p strata.features -p strata.graph -p strata.models -p strata.jobs
	$(BIN)/python -m tests.measures

test: check ## everything that must hold, on small data
	$(BIN)/python -m pytest -n 2

test-all: check ## the same, what repeats it at size, and the cluster
	TEST_CASES=3000 $(BIN)/python -m pytest -n 2 -m ""

cluster-test: $(READY) ## the whole way and the network of people on a standalone master with two workers
	$(BIN)/python -m pytest -m cluster

bench: $(READY) ## long measurements and peers, written to tests/bench/results; PART= runs one
	$(BIN)/python -m tests.bench $(PART)

clean: ## everything that set-up and runs have made
	rm -rf $(VENV) build dist .strata *.egg-info
