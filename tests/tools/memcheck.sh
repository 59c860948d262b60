#!/bin/bash
# Records programs at level `state` under valgrind's memcheck, and fails if the shim reads what nobody has
# written, or what is nobody's. Slow; needs valgrind, and symbols of the C library.
#
#     tests/tools/memcheck.sh [PYTHON-VERSION] [PROGRAM…]
#
# Reports without a frame of the shim are CPython's own and do not count.
set -uo pipefail
cd "$(dirname "$0")/../.."
version=${1:-3.13}
[ "$#" -eq 0 ] || shift
programs=("$@")
[ "$#" -gt 0 ] || programs=(tests/values/hostile.py tests/programs/{values,state_objects,state_hidden,state_reuse}.py)
command -v valgrind >/dev/null || { echo "SKIPPED: valgrind is not here"; exit 0; }
valgrind --quiet ".venv/$version/bin/python" -c pass >/dev/null 2>&1 ||
    { echo "SKIPPED: valgrind cannot run Python $version (it needs symbols of its dynamic loader)"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The program alone runs under valgrind, not its recorder.
cat >"$folder/python$version" <<END
#!/bin/bash
exec valgrind --quiet --error-limit=no --num-callers=16 --log-file="$folder/log.%p" "$PWD/.venv/$version/bin/python" "\$@"
END
chmod +x "$folder/python$version"
export PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
status=0
for program in "${programs[@]}"; do
    rm -f "$folder"/log.* "$folder"/db*
    ".venv/$version/bin/dashcam" record --python "$folder/python$version" -o "$folder/db" --capture state "$program" \
        >"$folder/out" 2>&1 </dev/null
    ended=$?
    # Reports are paragraphs; each line begins with the process.
    reports=$(cat "$folder"/log.* 2>/dev/null | sed 's/^==[0-9]*== *//' |
        awk -v RS= '/_shim|dashcam_recorder|dashcam_schema/ { print $0 "\n" }')
    count=$(printf '%s' "$reports" | grep -c '^Invalid\|uninitialised')
    if [ -n "$reports" ]; then
        status=1
        echo "$reports"
    fi
    echo "$program on Python $version: exit status $ended, $count reports; $(tail -n 1 "$folder/out")"
done
exit "$status"
