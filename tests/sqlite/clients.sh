#!/bin/sh
# clients.sh: an environment .venv/clients with SQLite clients from PyPI, on the newest Python with dashcam for
# which they are built; not yet 3.15.
set -eu
cd "$(dirname "$0")/../.."
newest=$(ls -d .venv/3.*/ | sort -V | grep -v '3\.15' | tail -1)
mkdir -p .venv/clients
"$newest/bin/python" -m venv --without-pip --clear .venv/clients
.venv/build/bin/python -m pip --python .venv/clients/bin/python install --quiet apsw datasette ||
    { rm -rf .venv/clients/bin; echo "SKIPPED: apsw and datasette could not be installed" >&2; }
