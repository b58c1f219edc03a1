# Tasks of the project. `make run` and `make test` need nothing but Python 3 (any 3.8+) to begin with.
PY      := .venv/bin/python
UV      := .tools/bin/uv
LOCK    := requirements/dev.txt
STAMP   := .venv/.installed

.PHONY: install run test chaos check fix bench lock clean

install: $(STAMP)

$(UV):
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(UV) $(LOCK) pyproject.toml .python-version
	$(UV) --system-certs venv --quiet --allow-existing .venv
	$(UV) --system-certs pip sync --quiet --compile-bytecode --python $(PY) --require-hashes $(LOCK)
	$(UV) --system-certs pip install --quiet --python $(PY) --no-deps --editable .
	$(PY) -m compileall -q src
	@touch $@

run: install
	.venv/bin/junto serve

# One more than there are cores, since many tests wait; four at most, since many start servers.
TESTERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores + 1 : 4)))
test: install
	$(PY) -m pytest -n $(TESTERS) --dist worksteal

# The faults of docs/reliability.md at full size: the better part of an hour. `make test` has the short version of each.
chaos: install
	JUNTO_CHAOS=long $(PY) -m pytest tests/chaos tests/contract/speech

check: install
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(MAKE) --no-print-directory test

fix: install
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

bench: install
	$(PY) -m bench

# Lock files carry hashes and no address of any registry; uv.lock itself would, so it is not kept.
lock: $(UV)
	$(UV) --system-certs lock --quiet
	mkdir -p requirements
	$(UV) export --quiet --no-emit-index-url --no-emit-project --no-annotate --no-header --format requirements-txt --group builtin --group dev --extra speech --extra piper --output-file $(LOCK)
	$(UV) export --quiet --no-emit-index-url --no-emit-project --no-annotate --no-header --format requirements-txt --group builtin --extra otel --extra speech --no-dev --output-file requirements/run.txt
	rm -f uv.lock
