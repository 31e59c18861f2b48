# The verbs, the same for people and for CI. Everything is installed into .venv of this checkout.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
UV := $(BIN)/uv
STAMP := .venv/.installed
TEST_TOOLS := .venv/.test-tools
TYPESCRIPT := clients/typescript
NODE_MODULES := $(TYPESCRIPT)/node_modules/.package-lock.json
# The machine's npm, else that of the dependency group node.
NPM := cd $(TYPESCRIPT) && PATH="$$PATH:$(CURDIR)/$(BIN)" npm
ARGS ?=
# Test processes side by side; many tests wait for timers and other programs.
JOBS ?= 3
# The tests that take up whatever documents a peer may send.
HOSTILE := tests/contract/test_hostile_documents.py tests/operator_kube/test_hostile_objects.py \
  tests/injection/test_hostile_pods.py
# Dependency groups to install beside the usual ones, e.g. make install WITH=browser
WITH ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint format generate fuzz goals e2e e2e-all bench mutants build clean

help: ## show this help
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: $(STAMP) ## set up .venv with the locked dependencies

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "tidegate needs Python 3.11 or newer: run 'make PYTHON=/path/to/python3.11'" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "python's venv is missing: 'apt-get install python3-venv' (Debian, Ubuntu), then run make again" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMP): $(UV) pyproject.toml uv.lock
	$(UV) sync --quiet --locked --all-extras $(addprefix --group ,$(WITH)) --python $(BIN)/python
	@touch $@

# The TypeScript client's tests are part of the suite. Where the machine has no npm, Node comes from
# PyPI; where neither can be had, those tests are skipped and say so.
$(NODE_MODULES): $(STAMP) $(TYPESCRIPT)/package-lock.json
	@command -v npm >/dev/null || $(UV) sync --quiet --locked --all-extras --inexact --group node --python $(BIN)/python
	@$(NPM) ci --no-audit --no-fund --loglevel=error \
	  && touch node_modules/.package-lock.json \
	  || echo "npm ci has failed: the TypeScript client's tests will be skipped, and it is not checked" >&2

# What the suite takes from registries besides: helm and kubectl, Playwright, Deno, Bun and Node 18.
# What cannot be had is named, and its tests are skipped. Chromium, nginx and HAProxy only root can
# install: the suite's last line says how.
$(TEST_TOOLS): $(STAMP) $(NODE_MODULES)
	@$(BIN)/python -m tools.binaries >/dev/null || true
	@$(UV) sync --quiet --locked --all-extras --inexact --group browser --python $(BIN)/python || true
	@cd $(TYPESCRIPT)/runtimes && PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci --no-audit --no-fund --loglevel=error || true
	@touch $@

demo: $(STAMP) ## three rolling updates on this machine: stock, stock+sleep, tidegate
	@$(BIN)/tidegate demo $(ARGS)

test: $(STAMP) $(NODE_MODULES) $(TEST_TOOLS) ## the test suite
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

check: lint $(NODE_MODULES) ## formatting, lint, types, layers: source, tests and TypeScript
	@$(NPM) run --silent check

lint: $(STAMP) ## the same without TypeScript
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) $(NODE_MODULES) ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@$(NPM) run --silent format

generate: $(STAMP) ## write what is made from declarations: docs, chart, manifests
	@$(BIN)/python -m tools.binaries > /dev/null
	@$(BIN)/python -m tools.generate

bench: $(STAMP) ## the engine's smoke benchmark
	@$(BIN)/python -m bench $(ARGS)

mutants: $(STAMP) ## change the core and count the changes that its tests miss (an hour; ARGS="drain --sample 60")
	@$(BIN)/python -m bench.mutants $(ARGS)

fuzz: $(STAMP) ## 10,000 hostile documents for each kind of a peer's document (half an hour)
	@$(BIN)/python -m pytest -n0 --timeout=900 --hypothesis-profile=fuzz $(HOSTILE) $(ARGS)

goals: $(STAMP) $(NODE_MODULES) ## rollouts on this machine meet their goals, and each of them can fail
	@$(BIN)/python -m pytest e2e -m "not e2e" $(ARGS)

e2e: $(STAMP) ## rollouts and failures on a real Kubernetes (Linux, root; see e2e/README.md)
	@$(BIN)/python -m tools.binaries
	@$(BIN)/python -m pytest e2e -m "e2e and not slow" $(ARGS)

e2e-all: $(STAMP) $(NODE_MODULES) ## the same and all that takes longer: scaling, lost nodes, adoption, what fails without
	@$(BIN)/python -m tools.binaries
	@$(BIN)/python -m pytest e2e $(ARGS)

build: $(STAMP) ## wheel and sdist into dist/
	$(UV) build

clean: ## remove what make has made
	rm -rf .venv dist reports .mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/runtimes/node_modules $(TYPESCRIPT)/dist $(TYPESCRIPT)/build
