# make          create .venv and install Holdfast into it
# make run      set up the demo company in demo/ and run the main job on its ten thousand clients
# make test     lint, types, architecture, unit, contract, end-to-end and documentation tests
# make lint     ruff and strict types
# make docs     regenerate the reference pages and the pictures of the README
# make bench    the figures, as JSON
# make lock     refresh requirements.lock

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
STAMP := $(VENV)/.installed
DEMO ?= demo

.PHONY: install run test lint docs bench lock clean
install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
ifneq ($(UV),)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
endif
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src
	@touch $@

run: $(STAMP)
	@$(BIN)/holdfast init $(DEMO) --demo
	@$(BIN)/holdfast run --workspace $(DEMO)
	@grep -q practicedata $(DEMO)/config.json && \
	  sed -i.practice -e 's/practicedata/sourcedata/' -e 's/practicemodels/models/' $(DEMO)/config.json || \
	  echo "the demo's story has been told; to hear it again: rm -r $(DEMO)"
	@$(BIN)/holdfast run --workspace $(DEMO)
	@$(BIN)/holdfast assess --workspace $(DEMO) --top 20

test: lint
	$(BIN)/python tests/system_packages.py
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python docs/generate.py

bench: $(STAMP)
	$(BIN)/python benchmarks/full_process.py
	$(BIN)/python benchmarks/ingestion.py bulk
	$(BIN)/python benchmarks/ingestion.py top
	$(BIN)/python benchmarks/ingestion.py table

lock:
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --all-extras --upgrade pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis build dist
