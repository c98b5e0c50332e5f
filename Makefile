# Everything a person or CI runs. The environment is in .venv, made from requirements.lock on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# Where it is set, each of the several hundred processes that tests start would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
CELERIES := .celery-5.4/.done .celery-5.6/.done .celery-coexist/.done
LOCK := uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header

.PHONY: help
help: ## Show the targets (default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: machine $(VENV)/.done ## Everything at work here: tasks, monitors, a flood, an unsubscribe; ARGS=--once ends by itself
	$(BIN)/streamnotify demo $(ARGS)

.PHONY: test
test: machine $(VENV)/.done $(CELERIES) ## All checks, then all tests; ARGS=… for pytest
	@$(MAKE) --no-print-directory check
	@echo "== Kafka"
	@$(BIN)/python -m streamnotify.devtools.kafka fetch
	@echo "== Tests"
	@# Three on two cores: half of the time is waiting. In the order of tests/conftest.py: what waits longest is first.
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-airflow
test-airflow: machine $(VENV)/.done .venv-airflow/.done ## The listener on real DAG runs, in an environment of Airflow's own
	AIRFLOW_PYTHON=$(CURDIR)/.venv-airflow/bin/python $(BIN)/python -m pytest tests/adapters/test_airflow.py $(ARGS)

.PHONY: test-django
test-django: machine $(VENV)/.done ## The tests of Django tasks on Django 6, where there is a Python 3.12
	@python=$$(.ci/machine --which-python 3.12) && [ -n "$$python" ] || { echo "Skipped: Django 6 needs Python 3.12"; exit 0; }; \
	$(MAKE) --no-print-directory .venv-django6/.done PYTHON="$$python" && \
	.venv-django6/bin/python -m pytest tests/adapters/test_django_tasks.py $(ARGS)

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
soak: machine $(VENV)/.done $(CELERIES) ## The long versions of the fault tests; takes many minutes
	$(BIN)/python -m pytest -m soak --timeout=7200 $(ARGS)

.PHONY: golden
golden: $(VENV)/.done ## Write the expected mails in tests/golden anew; review them as a diff
	$(BIN)/python -m pytest --golden tests/render/test_golden.py $(ARGS)

.PHONY: pictures
pictures: machine $(VENV)/.done ## Play the demo and take README's pictures of it anew. Needs Chromium, and a font with emoji
	$(BIN)/python -m streamnotify.devtools.pictures docs/pictures

.PHONY: schemas
schemas: $(VENV)/.done ## Write schemas/ anew from the models; review them as a diff
	@$(BIN)/python -m streamnotify.wire.schemas

.PHONY: lock
lock: ## Resolve the dependencies anew; ARGS=--upgrade for the newest. Needs uv
	@command -v uv > /dev/null || { echo "uv is needed: pip install uv, or brew install uv"; exit 1; }
	$(LOCK) $(ARGS) --all-extras pyproject.toml --output-file requirements.lock
	$(LOCK) --constraint requirements.lock --extra worker --extra web --extra sdk pyproject.toml --output-file deploy/requirements.lock
	$(LOCK) --constraint requirements.lock deploy/build.in --output-file deploy/build.lock
	$(LOCK) $(ARGS) benchmarks/quix.in --output-file benchmarks/quix.lock
	$(LOCK) $(ARGS) --no-deps tests/celery/celery-5.4.in --output-file tests/celery/celery-5.4.lock
	$(LOCK) $(ARGS) --no-deps tests/celery/celery-5.6.in --output-file tests/celery/celery-5.6.lock
	$(LOCK) $(ARGS) tests/celery/celery-coexist.in --output-file tests/celery/celery-coexist.lock
	$(LOCK) $(ARGS) tests/adapters/airflow.in --output-file tests/adapters/airflow.lock
	$(subst 3.11,3.12,$(LOCK)) $(ARGS) --no-deps tests/adapters/django6.in --output-file tests/adapters/django6.lock

.PHONY: kafka-pin
kafka-pin: $(VENV)/.done ## Pin the embedded Kafka's jars anew, after a change of its version or pom.xml
	$(BIN)/python -m streamnotify.devtools.kafka pin

.PHONY: clean
clean: ## Remove everything that make and the tests have made here; the downloaded Kafka stays
	rm -rf $(VENV) .venv-quix .venv-airflow .venv-django6 .celery-* dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
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

# What tests put before the environment on PYTHONPATH: earlier releases of Celery, and others that listen to its signals.
.celery-%/.done: tests/celery/celery-%.lock $(VENV)/.done
	@rm -rf .celery-$*
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .celery-$* -r $<
	@touch $@

# Airflow wants newer versions of what we use.
.venv-airflow/.done: tests/adapters/airflow.lock pyproject.toml
	@"$$(.ci/machine --which-python)" -m venv .venv-airflow
	@.venv-airflow/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@.venv-airflow/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Django 6 wants a newer Python.
.venv-django6/.done: requirements.lock tests/adapters/django6.lock
	@"$(PYTHON)" -m venv .venv-django6
	@.venv-django6/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv-django6/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r tests/adapters/django6.lock
	@touch $@
