#!/bin/sh
# environments.sh WHEEL [all]: a virtual environment .venv/X.Y with WHEEL in it for the first usable
# Python or, with `all`, for each; .venv/default names the first. Says which were made and which not.
set -eu
cd "$(dirname "$0")/../.."
wheel=$1
pythons=$(sh tests/tools/find-python.sh)
[ "${2:-}" = all ] || pythons=$(printf '%s\n' "$pythons" | head -1)
pip=".venv/build/bin/python -m pip"
put() { $pip --python "$1/bin/python" install --quiet --no-deps --force-reinstall "$wheel"; }
printf '%s\n' "$pythons" | while read -r version python; do
    venv=.venv/$version
    # Without pip: some distributions leave ensurepip out. The build environment's pip serves all.
    [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null ||
        "$python" -m venv --without-pip --clear "$venv"
    # The pip that an older Python brings may not run on a newer one.
    put "$venv" 2>/dev/null || { $pip install --quiet --upgrade pip; put "$venv"; }
    echo "Python $version: $("$venv/bin/python" -c 'import sys; print(sys.version.split()[0])') from $python, in $venv"
done
ln -sfn "$(printf '%s\n' "$pythons" | head -1 | cut -d' ' -f1)" .venv/default
[ "${2:-}" != all ] || for version in 3.12 3.13 3.14 3.15; do
    [ -x ".venv/$version/bin/python" ] || echo "SKIPPED: no usable Python $version here; nothing is tested with it" >&2
done
