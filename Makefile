# make demo   set up, run the whole pipeline and a small ablation on the sample, print where the report is
# make test   set up, run all tests
# make check  what CI runs: linters, types, import contract, then the tests
PYTHON ?= python3
# where the demo's run folder is, and what is added to its command, such as DEMO="--limit 200"
RUN ?= runs/sample
DEMO ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: demo test check clean
.DELETE_ON_ERROR:

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/datassay run examples/sample.toml --output $(RUN) $(DEMO)

test: $(STAMP)
	$(BIN)/python -m pytest -n 2

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

clean:
	rm -rf $(VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
