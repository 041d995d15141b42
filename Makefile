# Every target that needs the environment makes it first; the first time takes about a minute, later 0.1 s.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
EXPORT := $(BIN)/uv export --quiet --frozen --no-emit-project --no-emit-index-url --no-header --format requirements-txt

.PHONY: help install demo test check requirements bench telco faults lock clean

help: ## Show this
	@sed -nE 's/^([a-z.-]+):.*## (.*)/  \1\t\2/p' Makefile | expand -t 16

install: $(STAMP) ## Make .venv with everything that is pinned in requirements.lock

demo: $(STAMP) ## Run the main job on a fresh system: publish, order, fulfill, look; ARGS=--stay keeps it up
	@$(BIN)/orderloom demo $(ARGS)

test: $(STAMP) ## Run the everyday tests
	@$(BIN)/pytest -n auto --dist loadfile $(ARGS)

faults: $(STAMP) ## Kill, cut and hold up everything at every place; writes faults/results.json; ARGS="races --seed 7"
	@$(BIN)/python -m tests.faults $(ARGS)

bench: $(STAMP) ## Measure beside a bare Temporal workflow; writes bench/results.json
	@$(BIN)/python -m bench $(ARGS)

telco: $(STAMP) ## Try the system on the 7,043 customers of a telephone company, where their data is
	@$(BIN)/python -m bench.telco $(ARGS)

requirements: $(STAMP) ## Show which requirement row is proved by which test
	@$(BIN)/python -m tests.requirements $(ARGS)

check: $(STAMP) ## Check style, types, architecture, dependencies, the compose file and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile

lock: $(STAMP) ## Pin what pyproject.toml asks for: requirements.lock and requirements-production.lock
	@$(BIN)/uv lock --quiet
	@{ echo "# Everything, for development. Made by 'make lock'."; $(EXPORT) --all-extras --all-groups; } > requirements.lock
	@{ echo "# What the image runs on. Made by 'make lock'."; $(EXPORT) --no-default-groups; } > requirements-production.lock

.env: ## Generate the passwords that docker-compose.yml asks for
	@umask 077; for name in POSTGRES ORDERLOOM_OWNER ORDERLOOM_APP TEMPORAL; do \
		echo "$${name}_PASSWORD=$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(24))')"; done > $@
	@echo "Wrote $@"

clean: ## Remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

# uv is pinned with its hashes like everything else; pip installs it, and it installs the rest.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Orderloom needs Python 3.11 or newer; choose one with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python has no venv here; on Debian: apt-get install python3-venv"; exit 1; }
	@echo "Setting up .venv …"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^uv==/ {uv = 1} uv {print} uv && !/\\$$/ {exit}' requirements.lock > .venv/uv.lock
	@$(BIN)/pip --disable-pip-version-check --quiet install --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip sync --python $(BIN)/python --quiet --require-hashes requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $@
