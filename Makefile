# Muniment's commands. A machine needs Python 3.11 or newer and make; everything else comes from requirements.lock.
.DEFAULT_GOAL := help
.PHONY: help run demo test check faults torture bench format lock venv clean

# The first Python on the path that is new enough; PYTHON=... chooses another.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PACKAGES := domain projections adapters api replay schemas tests

# The environment is complete when it holds the mark of this lock, this project file and this folder.
INSTALLED := .venv/installed-$(shell { echo '$(CURDIR)'; cat requirements.lock pyproject.toml; } | cksum | tr ' ' '-')

help: ## Say what each command does
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: $(INSTALLED) ## Start a node on ./data
	@exec $(BIN)/muniment serve --data ./data

demo: $(INSTALLED) ## Load the demo organisation into the running node
	@exec $(BIN)/muniment demo --data ./data

test: $(INSTALLED) ## Run all tests, two files at a time; ARGS="-k name" chooses, WORKERS=0 makes it one process
	@$(BIN)/python -m pytest -n $(or $(WORKERS),2) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(INSTALLED) ## Check format, lint, types and import contracts, then run all tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/python -m mypy
	@$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory test

faults: $(INSTALLED) ## The long run of kills: fifty times kill -9 under load
	@MUNIMENT_TEST_KILLS=50 $(BIN)/python -m pytest -o timeout=1800 tests/e2e/test_kills.py

torture: $(INSTALLED) ## Break three nodes on Kafka at random under load and check the log; MINUTES=30 BROKERS=1
	@$(BIN)/python -m tests.torture --minutes $(or $(MINUTES),30) --brokers $(or $(BROKERS),1) $(ARGS)

bench: $(INSTALLED) ## Print the benchmarks; ROWS=ledger runs one group
	@$(BIN)/python -m tests.bench $(ROWS)

format: $(INSTALLED) ## Format the code and mend what the linter can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# Versions already locked stay unless pyproject.toml forbids them; UPGRADE=--upgrade takes the newest.
lock: ## Write requirements.lock again from pyproject.toml
	@test -x $(BIN)/uv || { $(MAKE) --no-print-directory venv; }
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate \
		--no-header $(UPGRADE) pyproject.toml --output-file requirements.lock

venv: $(INSTALLED) ## Create the environment, or bring it in line with the lock

$(INSTALLED):
	@test -n '$(PYTHON)' || { echo 'Muniment needs Python 3.11 or newer: install it, or name it with PYTHON=...' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
			echo '$(PYTHON) cannot create an environment. On Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }; \
		echo 'Creating .venv'; $(PYTHON) -m venv --clear .venv; }
	@echo 'Installing requirements.lock (about half a minute with a warm cache)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip --disable-pip-version-check check >/dev/null || $(BIN)/python -m pip check
	@rm -f .venv/installed-*
	@touch $@

clean: ## Remove the environment and caches; ./data stays
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(PACKAGES) -name __pycache__ -type d -prune -exec rm -rf {} +
