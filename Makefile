# Two commands matter: `make demo` and `make test`. Everything they need, they set up themselves.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# mariadb or mysql, for demo, chaos, bench and test
DATABASE ?= $(STREAMBACK_DATABASE)
export STREAMBACK_DATABASE := $(DATABASE)
# in-process or pulumi, for demo
ENGINE ?= $(STREAMBACK_ENGINE)
export STREAMBACK_ENGINE := $(ENGINE)
# Each of some hundred processes would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

# What also runs over connections to the database, and through the statement function (tests/functions/conftest.py).
BY_CONNECTION := $(addprefix tests/functions/test_,legacy_rows.py legacy_values.py bridge_order.py bridge_exchange.py \
  bridge_ownership.py install_triggers.py install_tokens.py install_online_ddl.py install_uninstall.py copy_values.py)

.PHONY: help setup engine demo chaos bench picture docs test .linted .tested mysql sweep tables lint lock clean

help:  ## list these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: $(INSTALLED)  ## create the virtual environment with the locked packages

$(INSTALLED): requirements.txt pyproject.toml
	@sh sandbox/setup.sh $(PYTHON) $(VENV)
	@touch $@

engine: $(INSTALLED)  ## bring the pulumi CLI: an installed one, else built once with Go in minutes
	@$(BIN)/python -m sandbox.pulumi_cli

demo: $(INSTALLED)  ## run the migration (KEEP=1 keeps it, KILL=1 kills the database, BROWNFIELD=1 adopts a shop, with BRIDGE, RDS)
ifdef BROWNFIELD
	@$(BIN)/python -m sandbox.brownfield_demo $(if $(KEEP),--keep) $(if $(BRIDGE),--bridge $(BRIDGE)) $(if $(RDS),--rds $(RDS))
else
	@$(BIN)/python -m sandbox.demo $(if $(KEEP),--keep) $(if $(KILL),--kill-database)
endif

chaos: $(INSTALLED)  ## migrate under load with injected faults (SEED=n, RUNS=n, BROWNFIELD=1, MUTATE=name, KEEP=1)
	@$(BIN)/python -m sandbox.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(if $(MUTATE),--mutate $(MUTATE)) \
	  $(if $(BROWNFIELD),--brownfield) $(if $(BRIDGE),--bridge $(BRIDGE)) $(if $(RDS),--rds $(RDS)) $(if $(KEEP),--keep)

bench: $(INSTALLED)  ## compare speed and cost with others (QUICK=1, LATENCY=aws, KEEP=1)
	@$(BIN)/python -m sandbox.bench $(if $(QUICK),--quick) $(if $(LATENCY),--latency $(LATENCY)) $(if $(KEEP),--keep)

picture: $(INSTALLED)  ## record docs/demo.svg from a run of the demo
	@$(BIN)/python docs/make_picture.py

docs: $(INSTALLED)  ## write the pages that are made from the code
	@$(BIN)/python -m components.settings_page > docs/settings.md
	@$(BIN)/python -m components.security_page > docs/security.md

test: $(INSTALLED)  ## run every check, and every test but the long ones
	@$(MAKE) --no-print-directory --jobs=2 --keep-going .linted .tested

.tested: $(INSTALLED)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Pyright needs one core for half a minute; its output comes in one piece.
.linted: $(INSTALLED)
	@mkdir -p .sandbox
	@$(MAKE) --no-print-directory lint > .sandbox/lint.log 2>&1; result=$$?; cat .sandbox/lint.log; exit $$result

mysql: $(INSTALLED)  ## run the tests that touch the database on MySQL (LONG=1: the long ones, too)
	@STREAMBACK_DATABASE=mysql $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
	  tests/runbook tests/sandbox tests/functions tests/emulator

sweep: $(INSTALLED)  ## run the long tests, and kill at every boundary: `make test` tries one in ten
	@SWEEP=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "sweep or long"
	@for way in mysql function; do TRANSPORT=$$way $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
	  $(BY_CONNECTION) || exit 1; done

tables: $(INSTALLED)  ## take random tables over and back (TABLES=n, FIRST=seed, DATABASE=mysql)
	@TABLES=$(or $(TABLES),2000) FIRST=$(or $(FIRST),0) $(BIN)/python -m pytest -n 2 --dist load \
	  tests/functions/test_random_systems.py

lint: $(INSTALLED)  ## check style, import rules, unused code, types and workflows
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/pyright
	@$(BIN)/zizmor --offline --quiet .github/workflows

lock: $(INSTALLED)  ## compile requirements.in into the hashed requirements.txt
	@$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --quiet requirements.in --output-file requirements.txt

clean:  ## remove what these commands made
	@rm -rf $(VENV) .sandbox .pytest_cache .ruff_cache .hypothesis build *.egg-info
