# Everything a person or CI runs. The environment is in .venv, made from requirements.lock on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header

.PHONY: help
help: ## Show the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: machine $(VENV)/.done ## Broker, inbox and worker here, a few events, the mails they become; ARGS=--once ends by itself
	$(BIN)/streamnotify demo $(ARGS)

.PHONY: test
test: machine $(VENV)/.done ## All checks, then all tests; ARGS=… for pytest
	@$(MAKE) --no-print-directory check
	@echo "== Kafka"
	@$(BIN)/python -m streamnotify.devtools.kafka fetch
	@echo "== Tests"
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

.PHONY: check
check: $(VENV)/.done ## Lint, format, types and import contracts
	@echo "== Lint"
	@$(BIN)/ruff check .
	@echo "== Format"
	@$(BIN)/ruff format --check .
	@echo "== Types"
	@$(BIN)/mypy streamnotify tests $(wildcard benchmarks/*.py)
	@echo "== Import contracts"
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(VENV)/.done ## Lay out the code as `make check` wants it
	@$(BIN)/ruff check --fix --exit-zero .
	@$(BIN)/ruff format .

.PHONY: bench
bench: machine $(VENV)/.done .venv-quix/.done ## Throughput and latency, ours and others'; takes many minutes
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: soak
soak: machine $(VENV)/.done ## The long versions of the fault tests; takes many minutes
	$(BIN)/python -m pytest -m soak --timeout=7200 $(ARGS)

.PHONY: golden
golden: $(VENV)/.done ## Write the expected mails in tests/golden anew; review them as a diff
	$(BIN)/python -m pytest --golden tests/render/test_golden.py $(ARGS)

.PHONY: schemas
schemas: $(VENV)/.done ## Write schemas/ anew from the models; review them as a diff
	@$(BIN)/python -m streamnotify.wire.schemas

.PHONY: lock
lock: ## Resolve the dependencies anew; ARGS=--upgrade for the newest. Needs uv
	@command -v uv > /dev/null || { echo "uv is needed: pip install uv, or brew install uv"; exit 1; }
	$(LOCK) $(ARGS) --all-extras pyproject.toml --output-file requirements.lock
	$(LOCK) $(ARGS) benchmarks/quix.in --output-file benchmarks/quix.lock

.PHONY: kafka-pin
kafka-pin: $(VENV)/.done ## Pin the embedded Kafka's jars anew, after a change of its version or pom.xml
	$(BIN)/python -m streamnotify.devtools.kafka pin

.PHONY: clean
clean: ## Remove everything that make and the tests have made here; the downloaded Kafka stays
	rm -rf $(VENV) .venv-quix dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: venv
venv: $(VENV)/.done ## Only make the environment

.PHONY: machine
machine:
	@.ci/machine python java maven

# A stamp and not the directory: an interrupted install is taken up again.
$(VENV)/.done: requirements.lock pyproject.toml
	@.ci/machine python
	@echo "== Environment (once, and after a change of requirements.lock)"
	@"$$(.ci/machine --which-python)" -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Quix Streams, which we are measured against, wants older versions of what we use.
.venv-quix/.done: benchmarks/quix.lock
	@"$$(.ci/machine --which-python)" -m venv .venv-quix
	@.venv-quix/bin/pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/quix.lock
	@touch $@
