PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint stress bench compat compat-third-party docs clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py $(wildcard dhagapatch/_c/*) | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[test]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/python examples/backup/demo.py $(DEMO_ARGS)

lint: $(VENV)/.installed
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

LINT ?= lint
test: $(VENV)/.installed $(LINT)
	$(BIN)/python -m pytest -q $(TEST_ARGS)

$(VENV)/.installed-bench: pyproject.toml $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[bench]'
	touch $@

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

compat: $(VENV)/.installed
	$(BIN)/python -m compat stdlib $(COMPAT_ARGS)

compat-third-party: $(VENV)/.installed
	$(BIN)/python -m compat third-party $(COMPAT_ARGS)

docs: $(VENV)/.installed
	$(BIN)/python -m pip install -q -e '.[docs]'
	$(BIN)/python docs/generate_patched.py --check
	$(BIN)/python -m mkdocs build -q --strict

stress: $(VENV)/.installed
	$(BIN)/python -m pytest -q -m slow -o faulthandler_timeout=600 $(TEST_ARGS)

clean:
	rm -rf $(VENV) site build *.egg-info
