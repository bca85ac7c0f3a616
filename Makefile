# Everything a developer or a newcomer types. Needs Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check bench lock clean

run: .venv/run
	@$(BIN)/afterglow serve

test: .venv/dev
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

bench: .venv/dev
	@$(MAKE) --no-print-directory .venv/bench || echo "The benchmarks go on without DSPy."
	$(BIN)/python -m benchmarks $(ARGS)

# uv installs the lock some ten times faster than pip; it is itself pinned by hash.
.venv/uv: uv.lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Afterglow needs Python 3.11 or newer; found $$($(PYTHON) -V). Try: make run PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r uv.lock.txt
	@touch $@

.venv/run: .venv/uv requirements.lock pyproject.toml
	@echo "Installing Afterglow into .venv ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

.venv/dev: .venv/run requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

.venv/bench: .venv/dev requirements-bench.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

lock: .venv/uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-find-links pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-find-links --group dev pyproject.toml -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-find-links --group bench pyproject.toml -c requirements-dev.lock -o requirements-bench.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
