# Two commands do everything on a fresh machine: `make book`, then `make test`.
# `make help` lists the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
REPORT := $(BIN)/vmalloc-model
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
          --generate-hashes --no-header --no-emit-index-url --no-annotate

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: book
book: $(VENV)/book.stamp  ## build the whole report: environment, every notebook, the HTML
	@$(REPORT) build

.PHONY: test
test: $(VENV)/dev.stamp  ## run every test (the book is built first, if it is not current)
	@$(REPORT) build
	@$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

.PHONY: test-checked
test-checked: $(VENV)/dev.stamp  ## run the tests of the compiled code with every index checked
	@VMALLOC_MODEL_CHECKED=1 NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist load tests/freespace/test_fast.py \
	    tests/allocator/test_allocator_fast.py tests/replay tests/workloads/test_workload_churn.py

.PHONY: check
check: $(VENV)/book.stamp  ## compare what is computed now with the committed data/results/
	@$(REPORT) check

.PHONY: accept
accept: $(VENV)/book.stamp  ## make what is computed now the committed data/results/
	@$(REPORT) accept

.PHONY: text
text: $(VENV)/book.stamp  ## build the plain-text edition as well
	@$(REPORT) build --text

.PHONY: dist
dist: $(VENV)/book.stamp  ## pack the release: book, plain text, data of every figure, checksums
	@$(REPORT) dist

.PHONY: lint
lint: $(VENV)/dev.stamp  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: bench
bench: $(VENV)/dev.stamp  ## time the fast paths (never part of the tests)
	@$(BIN)/python -m pytest benchmarks -o python_files='bench_*.py' --benchmark-only

.PHONY: lock
lock: $(VENV)/dev.stamp  ## resolve requirements*.in again into the locked requirements*.txt
	@$(LOCK) --upgrade pyproject.toml requirements.in -o requirements.txt
	@$(LOCK) --upgrade requirements-dev.in -o requirements-dev.txt

.PHONY: clean
clean:  ## remove everything that was built, the environment too
	@rm -rf $(VENV) _build dist book/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## list these targets
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# --- the environment -------------------------------------------------------------------------

$(VENV)/pyvenv.cfg:
	@$(PYTHON) tools/check_python.py
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/book.stamp: requirements.txt pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing the locked requirements (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/book.stamp
	@echo "installing what the tests need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
