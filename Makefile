PYTHON ?= $(shell for p in python3.15 python3.14 python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint stress faults sanitize bench compat compat-third-party docs clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py $(wildcard dhagapatch/_c/*) | $(BIN)/python
	$(BIN)/python -m pip install -q -e '.[test]'
	$(BIN)/python -m compileall -q dhagapatch  # as an installation that is no editable one does: else each start may
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

faults: $(VENV)/.installed
	$(BIN)/python -m pip install -q 'setuptools>=77'  # a new environment's own may not know today's pyproject.toml
	$(BIN)/python tests/deliberate_faults.py $(FAULTS)

# The compiled part with the checks of AddressSanitizer and UndefinedBehaviorSanitizer; the stack is left out, which greenlet moves.
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer --param asan-stack=0 -g
SANITIZED := build/sanitized
SANITIZE_TESTS ?= ../../tests/fuzz ../../tests/core ../../tests/twin ../../tests/isolated/test_isolated.py
SANITIZE_ARGS ?= -k "not poll and not late and not inspect_top"
sanitize: $(VENV)/.installed
	$(BIN)/python -m pip install -q 'setuptools>=77'  # a new environment's own may not know today's pyproject.toml
	rm -rf $(SANITIZED)
	CFLAGS="$(SANITIZERS)" LDFLAGS="-fsanitize=address,undefined" $(BIN)/python setup.py -q build --build-lib $(SANITIZED) --build-temp build/sanitized-objects
	cd $(SANITIZED) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" PYTHONMALLOC=malloc \
	  ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:replace_intrin=0:handle_segv=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 \
	  PYTHONPATH="$$PWD" FUZZ_SEEDS=$${FUZZ_SEEDS:-10} TEST_PATIENCE=10 "$(abspath $(BIN)/python)" -m pytest -q -p no:cacheprovider $(SANITIZE_ARGS) $(SANITIZE_TESTS)

clean:
	rm -rf $(VENV) site build *.egg-info
