#!/bin/sh
# Lists the usable Pythons, one a line: "3.13 /path/to/python". Usable: runs, is CPython 3.12 or newer
# with the GIL, and can make virtual environments. Each is tried by running it, because a name on PATH may be a
# launcher for a version that is not there. Of two of one version the first found counts:
# $PYTHON, then what is on PATH, then pyenv's, then those in the folders that $PYTHONS lists, separated by colons.
set -u
candidates() {
    [ -z "${PYTHON:-}" ] || command -v "$PYTHON"
    for name in python3 python3.15 python3.14 python3.13 python3.12 python; do
        command -v "$name"
    done
    for root in "${PYENV_ROOT:-$HOME/.pyenv}" "$(pyenv root 2>/dev/null)"; do
        [ -z "$root" ] || ls -d "$root"/versions/3.*/bin/python3 | sort -rV
    done
    printf '%s\n' "${PYTHONS:-}" | tr : '\n' | while read -r folder; do
        [ -z "$folder" ] || ls "$folder"/bin/python3.*[0-9]
    done
}
probe='
import sys, venv
assert sys.implementation.name == "cpython" and sys.version_info >= (3, 12)
assert "t" not in sys.abiflags
print("%d.%d %s" % (*sys.version_info[:2], sys.executable))'
candidates 2>/dev/null | while read -r python; do
    "$python" -c "$probe" </dev/null 2>/dev/null
done | awk '!seen[$1]++'
