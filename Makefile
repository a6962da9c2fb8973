# Every target works on a fresh clone: what it needs is installed into .venv first (Python 3.11 or newer, nothing else).
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
DATA ?= .twinlog
PROCESSES ?= 2
PARALLEL := -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
PACKAGES := command_service query_service shared_kernel deploy
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --upgrade
export UV_CUSTOM_COMPILE_COMMAND := make lock

.PHONY: help install demo up down reset test lint long mutation bench compose-test test-docker lock deps openapi

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

install: ## make .venv from the lock file (every other target does it first)
	@deploy/local/bootstrap.sh

demo: install ## play the whole story on engines of its own, verify it, stop everything
	@$(BIN)/twinlog demo

up: install ## start engines and services, return when they are ready
	@$(BIN)/twinlog up --data $(DATA) --detach

down: install ## stop them
	@$(BIN)/twinlog down --data $(DATA)

reset: install ## stop them and delete their data
	@$(BIN)/twinlog down --data $(DATA) --delete

test: install ## run all tests against real PostgreSQL and Valkey, in random order
	@rm -f .coverage .coverage.*
	$(BIN)/pytest -n $(PROCESSES) --dist worksteal -m "not long and not compose and not docker" --cov --cov-report= $(ARGS)
	@$(BIN)/python -m tests.architecture.coverage_gate

lint: install ## ruff, mypy --strict, import rules, architecture tests
	@$(MAKE) --no-print-directory --keep-going $(PARALLEL) lint-types lint-style lint-imports lint-architecture

.PHONY: lint-types lint-style lint-imports lint-architecture
lint-types:
	$(BIN)/mypy
lint-style:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
lint-imports:
	$(BIN)/lint-imports --no-logo
lint-architecture:
	$(BIN)/pytest -q tests/architecture tests/migrations/test_lint.py

long: install ## run the long tests; figures go to docs/results
	$(BIN)/pytest -m long --timeout 0 $(ARGS)

mutation: install ## change tokens, policies and cryptography place by place; at least 90 % must be noticed
	$(BIN)/python -m tests.security.mutation $(ARGS)

bench: install ## measure against peers in one run: table, JSON, plot
	$(BIN)/python -m tests.benchmarks $(ARGS)

test-docker: install ## run the store's tests and the story on PostgreSQL and Redis in containers
	@if docker info >/dev/null 2>&1; then \
		TWINLOG_TEST_ENGINES=containers $(BIN)/pytest -m "integration or docker" --timeout 300 \
			tests/infrastructure/event_store tests/containers/test_story.py $(ARGS); \
	else echo "test-docker: not run, there is no Docker here"; fi

compose-test: install ## play the story against docker compose, kill a container, upgrade with data kept
	@if docker info >/dev/null 2>&1; then $(BIN)/pytest -m compose --timeout 0 -s tests/containers $(ARGS); \
	else echo "compose-test: not run, there is no Docker here"; fi

lock: install ## write the lock files anew from pyproject.toml
	$(LOCK) --output-file requirements.lock pyproject.toml
	$(LOCK) --extra embedded --extra dev --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --group build --output-file requirements-build.lock
	$(LOCK) --group mutation --constraint requirements-dev.lock --output-file requirements-mutation.lock

deps: install ## draw who imports whom, refuse cycles
	$(BIN)/python -m tests.support.dependencies $(PACKAGES)

openapi: install ## write both OpenAPI documents (docs/api) anew
	$(BIN)/python -m tests.contract.documents
