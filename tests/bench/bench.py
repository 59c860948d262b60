"""What recording costs, side by side: bare CPython; dashcam without values, with those of calls, with all that variables and
objects hold, and with `--events direct`; empty native callbacks for all but LINE, JUMP and INSTRUCTION, and for all; VizTracer.

    make bench                          all workloads, five rounds
    make bench BENCH_PYTHON=3.14        the same on another Python
    make bench BENCH_ARGS=--quick       a tenth of the work, one round: shows that it runs, measures little

Every round runs each contender once on each workload, so that a slow minute of the machine affects all of
them. A figure is the median of the rounds' ratios to the bare run of the same round.

    inside     seconds inside the workload, ratio to bare
    whole      wall time until the process and its recording are finished, less that of an empty script
               under the same contender, ratio to bare's seconds inside the workload
    B/event    bytes of the database per event, without and with the source texts kept in it
    B/call     bytes of the database with the values of calls, per call; B/event of state: with state, per event
    waited     share of the program's time that it waited for the recorder (the ring was full)
"""
import argparse
import json
import math
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VENV = ROOT / ".venv" / f"bench-{sys.version_info.major}.{sys.version_info.minor}"
PYTHON = VENV / "bin" / "python"
# Exact versions: another release is another measurement.
PEERS = {
    "viztracer": "viztracer==1.1.1",
    "sqlglot": "sqlglot==30.30.0",
    "html5lib": "html5lib==1.1",
    "pyperformance": "pyperformance==1.14.0",
}
KERNELS = "richards nbody raytrace chaos go async_tree generators".split()
WORKLOADS = [*KERNELS, *"json_python exceptions c_calls sqlglot_library html5lib_library".split()]
NEEDS = {"sqlglot_library": "sqlglot", "html5lib_library": "html5lib", **dict.fromkeys(KERNELS, "pyperformance")}


def skipped(what, why):
    print(f"SKIPPED: {what}: {why}", file=sys.stderr)


def prepare():
    """Makes a virtual environment with everything to be compared; what cannot be installed is missing from it."""
    wheel = max((ROOT / "build" / "wheel").glob("*.whl"), key=os.path.getmtime)
    pip = [ROOT / ".venv" / "build" / "bin" / "python", "-m", "pip", "--python", PYTHON, "install", "--quiet"]
    made_from, peers = VENV / "made-from", VENV / "peers"
    if not peers.exists() or peers.read_text() != str(PEERS):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", VENV], check=True)
        for peer in PEERS.values():
            if subprocess.run([*pip, peer], stdin=subprocess.DEVNULL).returncode:
                skipped(peer, "could not be installed")
        peers.write_text(str(PEERS))
    stamp = f"{wheel} {wheel.stat().st_mtime_ns}"
    if not made_from.exists() or made_from.read_text() != stamp:
        subprocess.run([*pip, "--no-deps", "--force-reinstall", wheel], check=True)
        made_from.write_text(stamp)


def installed(module):
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True).returncode == 0


def build_empty(folder):
    """Builds the extension module for the floor. Returns false where there is no compiler or no headers."""
    include = sysconfig.get_path("include")
    if not (Path(include) / "Python.h").exists():
        return skipped("empty callbacks", f"no Python.h in {include}")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if not compiler:
        return skipped("empty callbacks", "no C compiler")
    command = [compiler, "-O2", "-shared", "-fPIC", f"-I{include}", HERE / "empty.c", "-o", folder / "empty.so"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return skipped("empty callbacks", done.stderr.strip().splitlines()[-1])
    return True


def contenders(folder):
    """Returns name → command line before the script. `{out}` is a fresh folder."""
    record = [VENV / "bin" / "dashcam", "record", "-o", "{out}/x.db"]
    found = {"bare": [PYTHON], "dashcam": [*record, "--capture", "flow"],
             "calls": [*record, "--capture", "calls"], "state": [*record, "--capture", "state"],
             "direct": [*record, "--events", "direct", "--capture", "flow"]}
    if build_empty(folder):
        found["empty control"] = [PYTHON, HERE / "empty.py", folder, "control"]
        found["empty all"] = [PYTHON, HERE / "empty.py", folder, "all"]
    if installed("viztracer"):
        found["viztracer"] = [VENV / "bin" / "viztracer", "--quiet", "--tracer_entries", "10000000",
                              "-o", "{out}/result.json"]  # fmt: skip
    return found


def path_of(workload):
    return (folder_of_kernels() if workload in KERNELS else HERE / "workloads") / f"{workload}.py"


def folder_of_kernels():
    return ROOT / "build" / "bench-workloads"


def make_kernels():
    """Makes workloads from pyperformance's own files, which are not ours to keep in this repository."""
    folder = folder_of_kernels()
    subprocess.run([PYTHON, HERE / "kernels.py", folder], check=True)
    shutil.copy(HERE / "workloads" / "contract.py", folder)


def run(command, workload, scale, measure_database=False):
    out = Path(tempfile.mkdtemp(prefix="dashcam-bench-"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment.update(W_SCALE=repr(scale), W_TIME=str(out / "time"), PYTHONDONTWRITEBYTECODE="1", PYTHONHASHSEED="0")
    command = [str(part).format(out=out) for part in command]
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, path_of(workload)],
        env=environment, cwd=out, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    result = {"wall": time.perf_counter() - begun}
    printed = re.search(r"^result (.*)$", done.stdout, re.M)
    if done.returncode or not printed:
        raise SystemExit(f"{command} {workload} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    result["checksum"] = printed[1]
    result["inside"] = float((out / "time").read_text().split()[0])
    if measure_database:
        result.update(database(out / "x.db"))
    shutil.rmtree(out)
    return result


def database(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    ask = lambda sql: connection.execute(sql).fetchone()[0] or 0
    status, events, lost = connection.execute("select status, event_count, lost_count from runs").fetchone()
    sources = ask("select sum(length(cast(source as blob))) from files")
    waited = ask("select sum(count) from losses where kind = 'waited'")
    calls = ask("select sum(calls) from function_totals")
    connection.close()
    if status != "complete" or lost:
        raise SystemExit(f"{path}: {status}, {lost} events lost")
    bytes_ = sum(file.stat().st_size for file in path.parent.glob("x.db*"))
    return {"events": events, "bytes": bytes_, "source_bytes": sources, "waited": waited / 1e9, "calls": calls}


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def measure(commands, workload, rounds, scale, start_up):
    runs = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command, workload, scale, measure_database=name in ("dashcam", "calls", "state", "direct")))
            if runs[name][-1]["checksum"] != runs["bare"][0]["checksum"]:
                raise SystemExit(f"{name} changed what {workload} computes")
    row = {"workload": workload, "bare_s": statistics.median(r["inside"] for r in runs["bare"])}
    for name in commands:
        pairs = list(zip(runs["bare"], runs[name]))
        row[name] = {
            "inside": statistics.median(b["inside"] / a["inside"] for a, b in pairs),
            "inside_range": [f(b["inside"] / a["inside"] for a, b in pairs) for f in (min, max)],
            "whole": statistics.median(max(b["wall"] - start_up[name], b["inside"]) / a["inside"] for a, b in pairs),
        }
    last = runs["dashcam"][-1]
    row["events"] = last["events"]
    row["bytes_per_event"] = (last["bytes"] - last["source_bytes"]) / last["events"]
    row["bytes_per_event_with_source"] = last["bytes"] / last["events"]
    if "calls" in runs:
        last = runs["calls"][-1]
        row["bytes_per_call"] = (last["bytes"] - last["source_bytes"]) / max(last["calls"], 1)
    if "state" in runs:
        last = runs["state"][-1]
        row["bytes_per_event_of_state"] = (last["bytes"] - last["source_bytes"]) / last["events"]
        row["waited_with_state"] = statistics.median(r["waited"] / r["inside"] for r in runs["state"])
    row["waited"] = statistics.median(r["waited"] / r["inside"] for r in runs["dashcam"])
    return row


def table(rows, names):
    head = ["workload", "bare s", "events"] + [f"{n} {what}" for n in names for what in ("inside", "whole")]
    head += ["B/event", "with source", "B/call", "B/event of state", "waited", "waited with state"]
    lines = [head]
    for row in rows:
        cells = [row["workload"], f"{row['bare_s']:.3f}", f"{row['events']:,}"]
        cells += [f"{row[n][what]:.2f}" for n in names for what in ("inside", "whole")]
        cells += [f"{row['bytes_per_event']:.3f}", f"{row['bytes_per_event_with_source']:.3f}", f"{row.get('bytes_per_call', 0):.1f}"]
        cells += [f"{row.get('bytes_per_event_of_state', 0):.3f}", f"{row['waited']:.1%}", f"{row.get('waited_with_state', 0):.1%}"]
        lines.append(cells)
    mean = ["geometric mean", "", ""]
    mean += [f"{geometric_mean(r[n][what] for r in rows):.2f}" for n in names for what in ("inside", "whole")]
    lines.append(mean + [f"{geometric_mean(r['bytes_per_event'] for r in rows):.3f}", "", "", "", "", ""])
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(c.rjust(w) if i else c.ljust(w) for i, (c, w) in enumerate(zip(l, widths))) for l in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, one round")
    parser.add_argument("--rounds", type=int, help="rounds (5; 1 with --quick)")
    parser.add_argument("--scale", type=float, help="amount of work, 1 for about a second bare (0.3; 0.03 with --quick)")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("--only", nargs="*", help="contenders besides bare and dashcam (default: all)")
    parser.add_argument("--output", type=Path, default=ROOT / "bench.json")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)
    scale = options.scale or (0.03 if options.quick else 0.3)
    prepare()
    workloads = []
    for workload in options.workloads:
        if (needs := NEEDS.get(workload)) and not installed(needs):
            skipped(workload, f"{needs} is not installed")
        else:
            workloads.append(workload)
    if set(workloads) & set(KERNELS):
        make_kernels()
    folder = Path(tempfile.mkdtemp(prefix="dashcam-bench-"))
    commands = contenders(folder)
    if options.only is not None:
        commands = {n: c for n, c in commands.items() if n in ("bare", "dashcam", *options.only)}
    version = subprocess.check_output([PYTHON, "-c", "import sys; print(sys.version.split()[0])"], text=True).strip()
    machine = f"CPython {version}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}; {rounds} round{'s' * (rounds > 1)}, scale {scale:g}; ratios to bare", flush=True)
    start_up = {
        name: statistics.median(run(command, "nothing", 1)["wall"] for _ in range(1 if options.quick else 5))
        for name, command in commands.items()
    }
    rows = []
    for workload in workloads:
        print(f"  {workload} …", end="", file=sys.stderr, flush=True)
        rows.append(measure(commands, workload, rounds, scale, start_up))
        print(f" {rows[-1]['dashcam']['inside']:.2f}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    names = [name for name in commands if name != "bare"]
    print(table(rows, names))
    print("start-up and end of an empty script, s: " + ", ".join(f"{n} {s:.3f}" for n, s in start_up.items()))
    options.output.write_text(json.dumps(
        {"machine": machine, "rounds": rounds, "scale": scale, "start_up_s": start_up, "workloads": rows}, indent=1,
    ) + "\n")  # fmt: skip
    print(f"written to {os.path.relpath(options.output)}")


if __name__ == "__main__":
    main()
