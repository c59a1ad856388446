# `make demo` and `make test` set themselves up: nothing else has to be run first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
FOLDERS := intramix hdl quant compiler explore platforms runtime sim hls_reference cli
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONHASHSEED := 0

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast pynq-test notebooks runtime-wheel lint hls bench docs clean

help:
	@echo "make demo           train, quantize, compile, generate, simulate and check a small CNN"
	@echo "make test-fast      the tests of minutes: no simulator is built, nothing is trained for long"
	@echo "make test           the whole test suite"
	@echo "make pynq-test      run the driver through the pynq package on the simulated accelerator"
	@echo "make notebooks      run both notebooks, the PYNQ-Z2's on the simulated accelerator: build/notebooks/*.html"
	@echo "make lint           ruff and mypy"
	@echo "make hls            C-simulate the Vivado HLS reference kernels against PyTorch"
	@echo "make bench          measure the figures of docs/figures.md"
	@echo "make docs           the pages as a site: build/site/index.html"
	@echo "make runtime-wheel  what a board installs: dist/intramix_runtime-….whl"
	@echo "make setup          only make .venv and install into it"
	@echo "make clean          remove .venv, build/ and what tests and simulations left here"

setup: $(STAMP)

# The CPU build of torch is taken where one is at hand; elsewhere the standard wheel.
$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "intramix needs $(PYTHON): apt-get install python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "intramix needs Python's venv: apt-get install python3.11-venv" >&2; exit 1; }
	@command -v g++ >/dev/null || { echo "intramix needs a C++ compiler: apt-get install g++" >&2; exit 1; }
	@command -v perl >/dev/null || { echo "intramix needs perl (Verilator's launcher): apt-get install perl" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing intramix and what it needs into $(VENV) (minutes, once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[synthesis,test,lint]'
	@touch $@

demo: $(STAMP)
	$(BIN)/intramix demo

# Programs that pip cannot install: tests that need one which is not here are skipped, with the reason.
define OPTIONAL
	@command -v dtc >/dev/null || echo "dtc is missing, its tests are skipped: apt-get install device-tree-compiler"
	@command -v tclsh >/dev/null || echo "tclsh is missing, its tests are skipped: apt-get install tcl"
endef

test: $(STAMP)
	$(OPTIONAL)
	$(BIN)/python -m pytest -n 2

test-fast: $(STAMP)
	$(OPTIONAL)
	$(BIN)/python -m pytest -n 2 -m 'not long and not simulator and not slow'

# The pynq package of the boards' images needs NumPy 1 and an old pycparser; all else comes from $(VENV).
PYNQ := build/pynq
$(PYNQ)/.installed: $(STAMP)
	$(PYTHON) -m venv --clear $(PYNQ)
	$(PYNQ)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools<74' wheel 'numpy<2' 'pycparser<3' pytest
	$(PYNQ)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation pynq==3.0.1
	@echo "import glob, site; site.addsitedir(glob.glob('$(CURDIR)/$(VENV)/lib/python3*/site-packages')[0])" \
		> $$(echo $(PYNQ)/lib/python3*/site-packages)/intramix.pth
	@touch $@

pynq-test: $(PYNQ)/.installed
	$(PYNQ)/bin/python -m pytest -p no:xdist tests/runtime/test_pynq.py tests/platforms/test_pynq_handoff.py

# Notebooks run in the environment with pynq; what runs them and makes pages of them is installed when it is first asked for.
notebooks: $(PYNQ)/.installed
	@$(PYNQ)/bin/python -c 'import ipykernel, nbconvert' 2>/dev/null || \
		$(PYNQ)/bin/python -m pip install --quiet --disable-pip-version-check ipykernel nbconvert
	$(PYNQ)/bin/python examples/run_notebooks.py -o build/notebooks

runtime-wheel: $(STAMP)
	$(BIN)/python -m intramix.runtime.wheel -o dist

# mypy and mkdocstrings do not follow an editable install's mapping of folders: they see the package through links, from
# where the folder intramix/ is not the whole of it.
define PACKAGE_TREE
	@rm -rf build/typecheck/intramix && mkdir -p build/typecheck/intramix
	@ln -s $(addprefix ../../../,$(filter-out intramix,$(FOLDERS)) $(wildcard intramix/*.py) intramix/py.typed) build/typecheck/intramix
endef

lint: $(STAMP)
	$(BIN)/ruff check .
	$(PACKAGE_TREE)
	cd build/typecheck && mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache --package intramix

# Every LUT scheme, 8-bit products on DSPs and on LUTs; the published networks' layers on one build.
hls: $(STAMP)
	$(BIN)/intramix hls --board pynq-z2 -o build/hls/pynq-z2 --layers --run
	$(BIN)/intramix hls --board zcu102 -o build/hls/zcu102 --run
	$(BIN)/intramix hls --board small -o build/hls/small-sp2 --run
	$(BIN)/intramix hls --board small --lut-scheme pot-4 -o build/hls/small-pot --run

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Installed when it is first asked for: nobody needs it to use Intramix. The site opens from build/site/index.html.
docs: $(STAMP)
	@$(BIN)/python -c 'import mkdocs, mkdocstrings_handlers.python, material' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	$(PACKAGE_TREE)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean:
	rm -rf $(VENV) build dist sim_build report *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
