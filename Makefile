# Everything a person does with the project. `make help` lists it.
#
# The environment is .venv, from the hashed lock files; run-time data is in var/. Both may be deleted.
# A bare Debian 12 with python3 and make is enough; make PYTHON=... chooses another Python.

SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --require-hashes
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# What production sets; `make check` judges the settings as they would be there.
PRODUCTION := env -u SWAT_INSECURE_HTTP -u SWAT_DEMO -u SWAT_DATA_DIR DEBUG=0 \
	ALLOWED_HOSTS=swat.example.org DATABASE_URL=sqlite://:memory: \
	SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')"

.DEFAULT_GOAL := help
.PHONY: help setup run test faults check bench lock
.DELETE_ON_ERROR:

help:  ## List what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: .venv/.runtime  ## Make the environment in .venv, nothing else

run: .venv/.runtime  ## Start everything on this machine with demo data; Ctrl-C stops it
	@exec $(BIN)/python -m swat.embedded.run

test: .venv/.dev  ## Run all tests on PostgreSQL, Valkey and Chromium (ARGS="-k word" goes to pytest)
	@exec $(BIN)/python -m swat.embedded.test $(ARGS)

faults: .venv/.dev  ## Kill every process, PostgreSQL and Redis, and type sixty hostile strings into every field
	@exec $(BIN)/python -m swat.embedded.test tests/faults tests/views/test_hostile_text.py

check: .venv/.dev  ## Format, lint, types, layers, templates, migrations and deployment settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	@if [ -d templates ]; then echo "$(BIN)/djade --check"; \
		find templates -name '*.html' -exec $(BIN)/djade --check --target-version 5.2 {} +; fi
	@echo "manage.py makemigrations --check, check --deploy"
	@$(PRODUCTION) $(BIN)/python manage.py makemigrations --check --dry-run
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: .venv/.dev  ## Time planner, verifier, pages and 300 watchers beside their peers, race, walk at random, kill everything 200 times
	@$(BIN)/python benchmarks/plan.py
	@$(BIN)/python benchmarks/verify.py
	@$(BIN)/python benchmarks/races.py
	@$(BIN)/python benchmarks/walks.py
	@$(BIN)/python benchmarks/scale.py
	@$(BIN)/python benchmarks/watchers.py
	@$(BIN)/python benchmarks/faults.py

lock: .venv/.uv  ## Compile requirements*.in into the hashed lock files (UPGRADE=1 takes newer versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements-uv.in -o requirements-uv.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements.in -o requirements.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements-dev.in -o requirements-dev.txt

# The stamps below are touched last, so an interrupted step is done again and a finished one never.

.venv/.uv: requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ [ "$$(id -u)" = 0 ] && echo "Installing python3-venv" && apt-get -qq update && \
		  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
		  python3-venv >/dev/null; } || \
		{ echo "Python's venv module is incomplete. As root: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

.venv/.runtime: requirements.txt .venv/.uv
	@echo "Installing what the product needs"
	@$(INSTALL) -r $<
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.uv
	@echo "Installing what tests and checks need"
	@$(INSTALL) -r $<
	@touch .venv/.runtime $@
