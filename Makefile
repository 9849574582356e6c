# Readplane. `make` alone lists the targets; README.md says what they show.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PORT ?= 4566
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.made-from-lock
CHECKOV := .local/checkov-venv
BENCH_VENV := .local/bench-venv
SEED ?= 4711
TESTS ?= tests/unit
export PORT
export PIP_DISABLE_PIP_VERSION_CHECK = 1

find-python = python='$(PYTHON)'; [ -n "$$python" ] || python=$$(ops/find-python) || exit 1

# An installation into a new virtual environment: $(call venv,folder,lock,stamp)
define venv
	@$(find-python); \
	echo "Making $(1) from $(2) with $$python …"; start=$$(date +%s); \
	rm -rf $(1) && mkdir -p $(dir $(1)) && "$$python" -m venv $(1) \
	&& $(1)/bin/python -m pip install --quiet --no-input --require-hashes -r $(2) \
	&& touch $(3) && echo "Made $(1) in $$(($$(date +%s) - start)) s."
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Options: PORT=4566 (the demo's port), PYTHON=/path/to/python, AWS_ENDPOINT_URL (a running LocalStack),"
	@echo "READPLANE_CLIENT=boto3 (instead of the slim client: demo, test-local), SEED=4711 (test-long), BENCH=--quick."

$(STAMP): requirements/dev.txt
	$(call venv,$(VENV),$<,$@)

$(CHECKOV)/.made-from-lock: requirements/checkov.txt
	$(call venv,$(CHECKOV),$<,$@)

$(BENCH_VENV)/.made-from-lock: requirements/bench.txt
	$(call venv,$(BENCH_VENV),$<,$@)

.PHONY: demo
demo: $(STAMP) ## build, start the emulator, apply, sign in, load the ISO 3166 countries, print how to call it
	@$(PY) -m ops.local.demo --port $(PORT)

.PHONY: down
down: ## remove the demo: emulator, state and data
	@$(find-python); "$$python" -m ops.local.down

.PHONY: build
build: $(STAMP) ## make the zips: dist/*-arm64.zip for AWS, dist/local/*.zip for the emulator
	@$(PY) -m ops.build

.PHONY: test
test: $(STAMP) ## everything that CI needs: lint types test-unit test-terraform checkov test-local
	@$(PY) -m ops.parts lint types test-unit test-terraform checkov test-local

.PHONY: test-unit
test-unit: $(STAMP) ## rules, stores, handlers and artefacts, without an emulator
	@$(PY) -m pytest tests/unit

.PHONY: test-long
test-long: $(STAMP) ## the property tests with 20 times as many examples, the same for the same SEED
	@$(PY) -m pytest -m hypothesis --hypothesis-profile=long --hypothesis-seed=$(SEED) $(TESTS)

.PHONY: test-terraform
test-terraform: $(STAMP) ## terraform validate and terraform test, with a mocked provider
	@$(PY) -m ops.terraform test

.PHONY: test-local
test-local: $(STAMP) ## the applied stack end to end on the emulator, IAM enforced
	@$(PY) -m pytest tests/local

.PHONY: test-localstack
test-localstack: $(STAMP) ## what only LocalStack shows, on the one at AWS_ENDPOINT_URL, else on one started for it
	@$(PY) -m pytest tests/localstack

.PHONY: bench
bench: $(BENCH_VENV)/.made-from-lock ## cold start, warm request, bulk apply, outage and catch-up beside other tools, held to the goals
	@$(BENCH_VENV)/bin/python -m ops.build
	@$(BENCH_VENV)/bin/python -m tests.benchmarks $(BENCH)

.PHONY: lint
lint: $(STAMP) ## ruff and terraform fmt, without changing anything
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m ops.terraform fmt

.PHONY: types
types: $(STAMP) ## mypy --strict
	@$(PY) -m mypy

.PHONY: checkov
checkov: $(CHECKOV)/.made-from-lock ## checkov over terraform/
	@$(CHECKOV)/bin/checkov --config-file .checkov.yaml

.PHONY: clean
clean: down ## remove everything that make made
	@$(find-python); "$$python" -m ops.local.down --name test
	rm -rf .venv .local dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
