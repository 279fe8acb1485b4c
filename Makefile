# Two commands do everything on a fresh machine: make demo, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -c constraints.txt
RUN := runs/digits

.PHONY: demo test lint bench web web-test screenshots clean system-packages

demo: $(VENV)/demo.stamp
	@$(BIN)/opsin demo digits

test: $(VENV)/test.stamp system-packages lint web-test
	@$(BIN)/python -m pytest

lint: $(VENV)/test.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

# The views. What is built is committed, so that nobody needs Node to use them.
web: web/node_modules/.stamp
	@cd web && npm run --silent build

web-test: web/node_modules/.stamp
	@cd web && npm run --silent check && npm run --silent test

screenshots: $(VENV)/test.stamp system-packages
	@$(BIN)/python docs/screenshots.py

web/node_modules/.stamp: web/package.json web/package-lock.json
	@echo "installing what the views are built with"
	@cd web && npm ci --silent
	@touch $@

bench: $(VENV)/bench.stamp
	@for script in bench/*.py; do $(BIN)/python $$script || exit 1; done
	@$(BIN)/python bench/tables.py

$(VENV)/bin/python:
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/demo.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing opsin (PyTorch is most of it: about 3 GB, a few minutes)"
	@$(PIP) -q -e ".[demo]"
	@touch $@

$(VENV)/test.stamp: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing opsin with its test tools (PyTorch is most of it: about 3 GB, a few minutes)"
	@$(PIP) -q -e ".[test]"
	@touch $@ $(VENV)/demo.stamp

$(VENV)/bench.stamp: $(VENV)/test.stamp
	@$(PIP) -q -e ".[test,bench]"
	@touch $@

# Debian and Ubuntu: what the tests need beside Python. Elsewhere the tests that need them are skipped with a reason,
# unless CI=true, where a missing component is a failure.
system-packages:
	@if command -v apt-get >/dev/null && ! { dpkg -s dataset-fashion-mnist chromium fonts-noto-cjk >/dev/null 2>&1; }; then \
	  as_root=""; [ "$$(id -u)" = 0 ] || as_root="sudo"; \
	  echo "installing dataset-fashion-mnist, chromium and fonts-noto-cjk"; \
	  $$as_root apt-get update -qq && $$as_root apt-get install -y -qq --no-install-recommends dataset-fashion-mnist chromium fonts-noto-cjk >/dev/null; \
	fi

clean:
	@rm -rf $(VENV) web/node_modules build dist .pytest_cache .ruff_cache .hypothesis
