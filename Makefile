# Needs Rust and any CPython 3.12 or newer; everything else is set up here, in target/, build/, .venv/
# and .cache/. PYTHON=… names the interpreter to prefer, PYTHONS=… folders of further ones, separated by colons.
.DEFAULT_GOAL := help
.PHONY: demo test bench bench-large suites engines picture loom lint help clean
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Ours to say where: the tests and setuptools-rust look there.
unexport CARGO_TARGET_DIR VIRTUAL_ENV

SOURCES := $(shell find schema recorder replayer -type f \
	\( -name '*.rs' -o -name '*.toml' -o -name '*.py' -o -name '*.pyi' -o -name py.typed \) \
	-not -path '*/benches/*') Cargo.toml Cargo.lock pyproject.toml
# For the lints.
CARGO_PROFILE ?= dev
TOOLS := tests/tools/find-python.sh tests/tools/environments.sh

demo: .venv/installed-one ## record a real program and ask what happened
	@bash tests/demo/demo.sh

test: .venv/installed-all .venv/clients/ready ## build and run every test, on each Python from 3.12 to 3.15 there is
	@bash tests/tools/test.sh

bench: .venv/installed-$(if $(BENCH_PYTHON),all,one) ## measure slowdown and size (BENCH_ARGS=--quick for a short one, BENCH_PYTHON=3.14 for another Python)
	@.venv/$(or $(BENCH_PYTHON),default)/bin/python tests/bench/bench.py $(BENCH_ARGS)

bench-large: build/large.db ## measure how fast one moves in a recording of 114 million events with state
	CARGO_TARGET_DIR=target cargo bench --quiet --package dashcam-replayer --bench travel -- $(CURDIR)/$<

suites: .venv/installed-one ## run the test suites of known libraries while recording them
	@.venv/default/bin/python tests/suites/suites.py $(SUITES)

engines: .venv/installed-all ## install DuckDB, polars, chDB and Spark, and have them read exports
	@sh tests/tools/engines.sh
	@cargo test --package dashcam-tests --test columns

picture: .venv/installed-one ## draw the README's picture of the full screen anew
	@DASHCAM_PICTURE=1 cargo test --package dashcam-tests --test screen the_readme_shows

loom: ## check the ring under every interleaving of its two parties
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=build/loom cargo test --profile loom --package dashcam-recorder --lib --quiet loom

lint: ## formatting and clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --profile $(CARGO_PROFILE) -- -D warnings
	cargo fmt --all --check --manifest-path replayer/sqlite/Cargo.toml
	cargo clippy --manifest-path replayer/sqlite/Cargo.toml --target-dir target --profile $(CARGO_PROFILE) -- -D warnings

clean: ## remove everything that was built or set up
	rm -rf target build .venv .cache recorder/python/*.egg-info

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# Large, so made once; also when the recorder has changed.
build/large.db: tests/bench/large.py .venv/installed-one
	@rm -f $@ $@-*
	@.venv/default/bin/dashcam record -o $@ --capture state tests/bench/large.py

# The build environment: the first usable Python, which has to bring pip.
.venv/build/ready: $(TOOLS)
	@read -r version python < <(sh tests/tools/find-python.sh) || \
	{ echo "dashcam needs CPython 3.12 or newer, and none was found; PYTHON=/path/to/python names one" >&2; exit 1; }; \
	echo "building with Python $$version ($$python)"; "$$python" -m venv --clear .venv/build
	@touch $@

# One wheel for all versions (abi3). Left-overs in build/lib would end up in it.
build/wheel/ready: $(SOURCES) .venv/build/ready
	@rm -rf build/wheel build/lib* build/bdist*; mkdir -p build
	@command -v cargo >/dev/null || { echo "dashcam needs Rust: cargo was not found" >&2; exit 1; }
	@echo "building the wheel; the first time takes some minutes"
	@.venv/build/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel . > build/wheel.log 2>&1 || \
	{ tail -40 build/wheel.log; echo "the wheel was not built; everything it said is in build/wheel.log" >&2; exit 1; }
	@touch $@

.venv/installed-one: build/wheel/ready
	@sh tests/tools/environments.sh build/wheel/*.whl
	@touch $@

.venv/installed-all: build/wheel/ready
	@sh tests/tools/environments.sh build/wheel/*.whl all
	@touch $@ .venv/installed-one

# Clients that load the extension, on the newest Python there is. The tests say what is missing.
.venv/clients/ready: tests/sqlite/clients.sh .venv/installed-all
	@sh tests/sqlite/clients.sh
	@touch $@
