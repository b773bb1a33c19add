# Two commands matter: `make demo` and `make test`. Everything they need, they set up themselves.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo chaos bench test lint lock clean

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(STAMP)  ## the virtual environment with the locked packages

$(STAMP): requirements.txt pyproject.toml
	@sh sandbox/setup.sh $(PYTHON) $(VENV)
	@touch $@

demo: $(STAMP)  ## the whole road on this machine (KEEP=1 leaves it running, KILL=1 kills the database meanwhile)
	@$(BIN)/python -m sandbox.demo $(if $(KEEP),--keep) $(if $(KILL),--kill-database)

chaos: $(STAMP)  ## the road under load while faults are thrown in (SEED=n, RUNS=n, KEEP=1)
	@$(BIN)/python -m sandbox.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(if $(KEEP),--keep)

bench: $(STAMP)  ## what capture, fence and gate cost, and how fast copy, bridge and verify are
	@$(BIN)/python -m sandbox.bench $(if $(KEEP),--keep)

test: $(STAMP) lint  ## every check and every test
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)  ## ruff, pyright, import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright

lock: $(STAMP)  ## compile requirements.in into the hashed requirements.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --quiet requirements.in --output-file requirements.txt

clean:  ## remove what these commands made
	@rm -rf $(VENV) .sandbox .pytest_cache .ruff_cache .hypothesis build *.egg-info
