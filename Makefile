# One command each; `make` alone lists them. Everything is installed into .venv, and only what is missing.

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin

# The interpreter that makes the virtual environment.
PYTHON ?= python3
# The index that torch comes from, remembered in .venv for the next command; PyPI's where none is named.
-include $(VENV)/torch.mk
TORCH_INDEX_URL ?=
# torch and torchvision, as tested.
TORCH_SPEC ?= $(shell sed -n -E '/^torch(vision)?==/p' constraints.txt)
# Quiet but for errors; PIP_FLAGS=-v tells all.
PIP_FLAGS ?= -qq
# More for pytest: PYTEST_FLAGS="-x -k search".
PYTEST_FLAGS ?=
# How many tests of the suite run side by side.
WORKERS ?= 2

PIP_INSTALL = $(BIN)/python -m pip install $(PIP_FLAGS) --disable-pip-version-check --no-input

# True CLIP numbers to reproduce, where they are at hand.
REFERENCE_DATA := $(wildcard ../shared/data)
ifneq ($(REFERENCE_DATA),)
export CLIPSEARCH_REFERENCE_DATA ?= $(abspath $(REFERENCE_DATA))
endif

.PHONY: help setup demo serve test golden test-golden test-faults test-contract screenshots check lint types format dockerfile-check benchmark benchmark-quick clean distclean

help:  ## list the commands
	@sed -n -E 's/^([a-z-]+):.*  ## /\1\t/p' Makefile | expand -t 18

setup: $(VENV)/.installed-dev  ## install the package, its tests' needs and the tools into .venv
	@echo "Ready: $(BIN)/clipsearch --help. Checks at each commit: $(BIN)/pre-commit install"

demo: $(VENV)/.installed-demo  ## install, draw a picture-book, index it and search it
	@$(BIN)/clipsearch demo

serve: $(VENV)/.installed-demo  ## start the server with the page and the API
	@$(BIN)/clipsearch serve

# What is timed runs by itself, before the rest; a part of the suite may hold none of either (5). The model's threads
# would be in the workers' way.
test: export OMP_NUM_THREADS ?= 1
test: $(VENV)/.installed-dev $(VENV)/.installed-clients  ## the whole suite
	@$(BIN)/pytest -m alone $(PYTEST_FLAGS); alone=$$?; \
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not alone and not trained_weights" $(PYTEST_FLAGS); rest=$$?; \
	case "$$alone $$rest" in "0 0") ;; "5 0"|"0 5") $(if $(PYTEST_FLAGS),true,false) ;; *) false ;; esac

golden: test-golden  ## the same as test-golden

test-golden: $(VENV)/.installed-dev  ## only the comparison with true CLIP numbers
	@$(BIN)/pytest -m golden $(PYTEST_FLAGS)

test-faults: export CLIPSEARCH_KILL_CYCLES ?= 200
test-faults: $(VENV)/.installed-dev  ## only kills, full disks and damaged files, at length
	@$(BIN)/pytest -m faults $(PYTEST_FLAGS)

test-contract: export CLIPSEARCH_CONTRACT_CASES ?= 10000
test-contract: $(VENV)/.installed-dev  ## only the API against its document, with 10,000 requests
	@$(BIN)/pytest tests/test_contract.py $(PYTEST_FLAGS)

screenshots: export CLIPSEARCH_SCREENSHOTS := $(CURDIR)/docs/images
screenshots: $(VENV)/.installed-dev  ## take the README's pictures of the page anew
	@$(BIN)/pytest -q tests/browser/test_screenshots.py

check: lint types test  ## what CI runs

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Not formatted as agreed: make format" >&2; exit 1; }

types: $(VENV)/.installed-dev  ## mypy, strict
	@$(BIN)/mypy

format: $(VENV)/.installed-dev  ## put the code into the agreed format
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

dockerfile-check:  ## run the Dockerfile's commands without a Docker daemon (root, minutes)
	@$(PYTHON) scripts/check_dockerfile.py

benchmark: $(VENV)/.installed-dev  ## measure everything beside its rivals (hours, PyPI); BENCHMARK=search-1m one line of it
	@$(BIN)/python scripts/benchmark.py $(or $(BENCHMARK),all)

benchmark-quick: $(VENV)/.installed-dev  ## six figures in under 50 seconds
	@$(BIN)/python scripts/benchmark.py --quick

clean:  ## remove what tools left behind
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis htmlcov .coverage
	@find clipsearch migrations scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## remove .venv as well
	@rm -rf $(VENV)

# Beside the editable install, whose finder comes too late in a folder that holds a clone named clipsearch.
ON_PATH = $(BIN)/python -c "import pathlib, sysconfig; \
  pathlib.Path(sysconfig.get_path('purelib'), 'clipsearch_checkout.pth').write_text('$(CURDIR)\n')"

PACKAGE := setup.cfg pyproject.toml clipsearch/__init__.py

# Each step leaves a file behind when it is done, so a step that was cut short is done again.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "clipsearch needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is not complete here. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(PIP_INSTALL) --constraint constraints.txt --upgrade pip setuptools
	@touch $@

# Alone and first: with its own index, and without what it asks for, which comes with the rest.
$(VENV)/.torch: constraints.txt | $(VENV)/.made
	@echo "Installing $(TORCH_SPEC) from $(or $(TORCH_INDEX_URL),the usual index)"
	@$(PIP_INSTALL) --no-deps $(TORCH_INDEX_URL:%=--index-url %) $(TORCH_SPEC)
	@echo 'TORCH_INDEX_URL ?= $(TORCH_INDEX_URL)' > $(VENV)/torch.mk
	@touch $@

# The tested versions, with torch as it was chosen above: nothing that follows may replace it.
$(VENV)/constraints.txt: constraints.txt $(VENV)/.torch
	@sed -E '/^torch(vision)?==/d' constraints.txt > $@.new
	@$(BIN)/python -m pip freeze --disable-pip-version-check | sed -n -E '/^torch(vision)?==/p' >> $@.new
	@mv $@.new $@

$(VENV)/.installed-demo: $(PACKAGE) $(VENV)/constraints.txt
	@echo "Installing clipsearch"
	@$(PIP_INSTALL) --constraint $(VENV)/constraints.txt --no-build-isolation --editable .
	@$(ON_PATH)
	@touch $@

$(VENV)/.installed-dev: $(PACKAGE) $(VENV)/constraints.txt
	@echo "Installing clipsearch with its tests and tools"
	@$(PIP_INSTALL) --constraint $(VENV)/constraints.txt --no-build-isolation --editable '.[dev]'
	@$(ON_PATH)
	@touch $(VENV)/.installed-demo $@

# Other systems' own clients, for the tests of the wires; beside ours, for the needs of both exclude each other.
$(VENV)/.installed-clients: constraints-clients.txt | $(VENV)/.made
	@echo "Installing the clients of other systems into $(VENV)/clients"
	@rm -rf $(VENV)/clients
	@$(PYTHON) -m venv $(VENV)/clients
	@$(VENV)/clients/bin/python -m pip install $(PIP_FLAGS) --disable-pip-version-check --no-input --no-deps \
	  --requirement constraints-clients.txt
	@touch $@
