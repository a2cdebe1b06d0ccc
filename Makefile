# Petrosa Data Manager: `make run` starts the whole system, `make test` runs everything. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Settings of `make run` come by environment or on the make line (README, "Configuration"); make passes both on.
FEED ?= simulate

# The tests whose results come out of linear algebra.
NUMBERS := tests/unit/indicators tests/unit/test_analytics_*.py tests/unit/test_*_calculator.py \
  tests/unit/test_hidden_markov_judge.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-test run test test-numbers test-servers bench lint format types replay simulate tick lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: infra/locks/run.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing the runtime environment into $(VENV)"
	$(PIP_INSTALL) --require-hashes -r infra/locks/run.lock
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/test.stamp: infra/locks/test.lock $(VENV)/run.stamp
	@echo "installing the test environment into $(VENV)"
	$(PIP_INSTALL) --require-hashes -r infra/locks/test.lock
	@touch $@

setup: $(VENV)/run.stamp ## Make .venv with what the system needs

setup-test: $(VENV)/test.stamp ## Make .venv with what the tests need

run: setup ## Start the whole system on http://127.0.0.1:8080 (Ctrl-C stops it; STORES=servers: on MongoDB and MySQL)
	@exec $(BIN)/petrosa run --feed "$(FEED)" $(if $(STORES),--stores "$(STORES)") $(if $(ISOLATE),--isolate)

test: setup-test ## Run the whole suite, with lint and types before it
	@$(MAKE) --no-print-directory lint types test-servers
	@# Unit tests share nothing, and each process of the contract tests has servers of its own, so they run side by side;
	@# what runs whole systems has the machine to itself.
	$(BIN)/python -m pytest tests/unit tests/contract -n 2 --dist loadfile --cov --cov-report= $(PYTEST_ARGS) || test $$? -eq 5
	@$(MAKE) --no-print-directory test-numbers
	$(BIN)/python -m pytest tests/integration tests/e2e --cov --cov-append --cov-report=term \
	  $(PYTEST_ARGS) || test $$? -eq 5

test-numbers: setup-test ## Run the tests of numbers on another kernel of linear algebra than this machine's own
	OPENBLAS_CORETYPE=$$($(BIN)/python -m tests.support.kernels) \
	  $(BIN)/python -m pytest $(NUMBERS) -n 2 --dist loadfile -p no:cacheprovider

test-servers: setup-test ## Make ready the database servers of the tests (PETROSA_TEST_SERVERS=required: or fail)
	@$(BIN)/python -m tests.support.servers.prepare

bench: setup-test ## Measure against the budgets (ONLY=name for one)
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

lint: setup-test ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup-test ## Rewrite the code in the project's style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: setup-test ## Check types
	$(BIN)/mypy

replay: setup ## Publish recorded files: make replay PATHS="a.csv.gz b.zip" SPEED=max
	@exec $(BIN)/petrosa replay $(PATHS) $(if $(SPEED),--speed $(SPEED))

simulate: setup ## Publish a simulated market to NATS
	@exec $(BIN)/petrosa simulate

tick: setup ## Fire a schedule by hand: make tick SCHEDULE=analytics
	@exec $(BIN)/petrosa tick $(or $(SCHEDULE),analytics)

lock: setup-test ## Renew the locks from pyproject.toml
	@for kind in test run; do \
	  $(BIN)/uv pip compile pyproject.toml --extra local $$([ $$kind = test ] && echo --group dev || echo --group build) \
	    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet \
	    --upgrade $$([ $$kind = run ] && echo -c infra/locks/test.lock) -o infra/locks/$$kind.lock; done

clean: ## Remove the environment, the state and all caches
	rm -rf $(VENV) .petrosa .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
