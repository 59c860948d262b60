#!/bin/bash
# arm.sh [FOLDER]: builds dashcam for 64-bit ARM and tries it under emulation (qemu-user), all by itself:
# unit tests of `schema`, `recorder` and what of them needs no emulated time, then real recordings with an
# arm64 Python. Needs root (it uses chroot and a mount namespace of its own), Debian's package archive, this
# machine's crates (`cargo fetch` is done first), and 4 GB in FOLDER (default build/arm). Takes 20 minutes or
# more; what has been unpacked and compiled is used again. Not part of `make test`.
#
# Nothing is installed in this machine: Debian's compilers, their library closure and qemu are unpacked into
# FOLDER/host, an arm64 Python and its closure into FOLDER/target.
#
# What it cannot show: qemu on x86 runs ARM code with x86's memory order, which is the stricter one. That the
# ring needs no more than ARM gives is what `make loom` checks, on the same source.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(realpath -m "${1:-$here/build/arm}")
suite=${SUITE:-sid} python=${ARM_PYTHON:-3.13}
host=$folder/host target=$folder/target
[ "$(uname -m)" = x86_64 ] || { echo "SKIPPED: arm.sh emulates ARM on x86-64, and this is $(uname -m)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "SKIPPED: arm.sh needs root for chroot" >&2; exit 1; }
[ -e /etc/apt/sources.list.d/debian.sources ] || { echo "SKIPPED: arm.sh needs Debian's packages" >&2; exit 1; }

# unpack ARCHITECTURE INTO PACKAGE…: with everything they depend on.
unpack() {
    local arch=$1 into=$2 work=$folder/apt-$1 mirror
    shift 2
    [ ! -e "$into/unpacked" ] || return 0
    mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/debian.sources)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$into"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$work/sources.list"
    : > "$work/status"      # an empty status file makes apt download the full closure and touch nothing here
    local apt=(apt-get -q -o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
        -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "Dir::State::status=$work/status"
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Install-Recommends=false)
    "${apt[@]}" update > "$work/log" && "${apt[@]}" -y -d install "$@" >> "$work/log" || { tail -5 "$work/log" >&2; return 1; }
    for deb in "$work"/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$into" --keep-directory-symlink \
            --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
    done
    rm -rf "$work/cache"
    touch "$into/unpacked"
}
echo "== unpacking $suite's compilers, qemu, and Python $python for arm64"
# base-files has the links of a merged /usr, which everything else is unpacked through.
unpack amd64 "$host" base-files bash coreutils dash grep sed diffutils rustc cargo gcc libc6-dev gcc-aarch64-linux-gnu \
    libc6-dev-arm64-cross qemu-user
unpack arm64 "$target" base-files "python$python" libstd-rust-dev
# Usually made by a package's scripts, which do not run here.
ln -sf gcc "$host/usr/bin/cc"
# The compiler looks for another machine's standard library beside its own.
mkdir -p "$host/usr/lib/rustlib"
[ -e "$host/usr/lib/rustlib/aarch64-unknown-linux-gnu" ] ||
    cp -a "$target/usr/lib/rustlib/aarch64-unknown-linux-gnu" "$host/usr/lib/rustlib/"

echo "== taking the crates along"
mkdir -p "$folder"/{vendor,build,out} "$host"/{src,vendor,build,out,target,root/.cargo,usr/local/bin}
(cd "$here" && cargo vendor --quiet --locked --versioned-dirs "$folder/vendor" > /dev/null)
cat > "$host/root/.cargo/config.toml" <<'END'
[source.crates-io]
replace-with = "taken-along"
[source.taken-along]
directory = "/vendor"
[target.aarch64-unknown-linux-gnu]
linker = "aarch64-linux-gnu-gcc"
runner = ["qemu-aarch64", "-L", "/target"]
# To optimise the crates takes longer than it saves: little runs of them.
[profile.dev.package."*"]
opt-level = 0
END
# What `dashcam record` starts. The system can run a script, but no program for ARM.
cat > "$host/usr/local/bin/python-arm" <<END
#!/bin/sh
exec qemu-aarch64 -L /target /target/usr/bin/python$python "\$@"
END
chmod +x "$host/usr/local/bin/python-arm"
cat > "$host/usr/local/bin/try" <<'END'
set -eu
export HOME=/root PATH=/usr/local/bin:/usr/bin CARGO_TARGET_DIR=/build CARGO_NET_OFFLINE=true
export PYO3_NO_PYTHON=1 PYO3_BUILD_EXTENSION_MODULE=1 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
arm="--target aarch64-unknown-linux-gnu" jobs="--jobs ${JOBS:-2}"
cd /src
echo "== unit tests of schema and recorder, compiled for ARM, under qemu"
# Skipped: one that counts chunks, which end by time too; under emulation there are more.
failed=0
cargo test $jobs $arm --locked --quiet --no-fail-fast -p dashcam-schema -p dashcam-recorder --lib -- --test-threads 2 \
    --skip a_shim_that_begins_no_epoch_does_not_take_all_memory || failed=1

echo "== the shim, and what it is loaded with"
cargo build $jobs $arm --locked --quiet -p dashcam-recorder --bin dashcam-recorder
mkdir -p /out/bin /out/lib/python3/site-packages
cp /build/aarch64-unknown-linux-gnu/debug/dashcam-recorder /out/bin/
cargo build $jobs $arm --locked --quiet -p dashcam-inject
cargo rustc $jobs $arm --locked --quiet -p dashcam-recorder --lib --no-default-features --features python --crate-type cdylib
package=/out/lib/python3/site-packages/dashcam
cp -r recorder/python/dashcam "$package"
cp /build/aarch64-unknown-linux-gnu/debug/libdashcam_recorder.so "$package/_shim.abi3.so"
cp /build/aarch64-unknown-linux-gnu/debug/libdashcam_inject.so "$package/_inject.abi3.so"

echo "== programs, recorded by it with Python for ARM"
python-arm -c 'import platform, sys; print(platform.machine(), sys.version.split()[0])'
for program in ${PROGRAMS:-state_objects state_dicts state_reuse values exceptions generators threads}; do
    python-arm tests/programs/$program.py > /out/$program.bare 2>&1 || true
    qemu-aarch64 -L /target /out/bin/dashcam-recorder -o /out/$program.db --capture state --python python-arm \
        tests/programs/$program.py > /out/$program.recorded 2> /out/$program.said || true
    grep -v '^dashcam: \|cannot be preloaded' /out/$program.said >> /out/$program.recorded || true
    sed -n 's/^dashcam: //p' /out/$program.said
    cmp /out/$program.bare /out/$program.recorded || failed=1
done
exit $failed
END
rm -rf "${folder:?}"/out/*
# The mounts are gone with the namespace, whatever happens.
status=0
unshare --mount bash -eu -c '
    mount --make-rprivate /
    for name in vendor build out target; do mount --bind "$1/$name" "$1/host/$name"; done
    mount --bind "$2" "$1/host/src"; mount --bind /proc "$1/host/proc"; mount --bind /dev "$1/host/dev"
    exec chroot "$1/host" /bin/sh /usr/local/bin/try' - "$folder" "$here" || status=1

# Read here: what one machine records the other one reads.
dashcam=${DASHCAM:-$here/.venv/default/bin/dashcam}
if [ -x "$dashcam" ]; then
    echo "== what was recorded, read on $(uname -m)"
    for db in "$folder"/out/*.db; do
        "$dashcam" check "$db" || status=1
        for sql in "select count(*) as variables from variables where value is not null" \
            "select kind, count, detail from losses where severity <> 'info'"; do
            "$dashcam" query "$db" "$sql" --format csv || status=1
        done
    done
else
    echo "SKIPPED: reading what was recorded: no $dashcam (make .venv/installed-one)" >&2
fi
[ "$status" = 0 ] && echo "all of it worked" || echo "SOME OF IT FAILED" >&2
exit "$status"
