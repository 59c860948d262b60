#!/bin/bash
# Every test. Called by `make test`, which has set up the environments.
set -uo pipefail
cd "$(dirname "$0")/../.."
status=0
step() {
    echo "== $1"
    shift
    local begun=$SECONDS
    "$@" || { status=1; echo "FAILED: $*" >&2; }
    echo "== took $((SECONDS - begun)) s"
}
pythons=$(for venv in .venv/3.*/; do "$venv/bin/python" -c 'import sys; print(sys.version.split()[0], end=" ")'; done)
echo "testing with Python $pythons"
# CI has one build of everything for both; see .ci/run.
profile=${SETUPTOOLS_RUST_CARGO_PROFILE:-test}
step "unit and integration tests" cargo test --profile "$profile" --workspace --no-fail-fast --quiet
step "the ring, model-checked" make --no-print-directory loom
step "the benchmark runs" .venv/default/bin/python tests/bench/bench.py --quick --only "empty control" \
    --workloads richards exceptions --output build/bench-quick.json
step "libraries' own tests, recorded" .venv/default/bin/python tests/suites/suites.py markdown tornado-gen
echo
if [ "$status" = 0 ]; then
    echo "all tests passed, with Python $pythons"
else
    echo "SOME TESTS FAILED (Python $pythons)"
fi
[ -e .venv/engines ] || echo "SKIPPED: DuckDB, polars, chDB and Spark on exports; make engines installs and asks them"
for version in 3.12 3.13 3.14 3.15; do
    [ -x ".venv/$version/bin/python" ] || echo "SKIPPED: Python $version is not here; nothing was tested with it"
done
exit "$status"
