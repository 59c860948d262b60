"""Known libraries' own test suites, run bare and recorded: every test must end the same way.

    make suites                     all of them
    make suites SUITES="markdown"   one

The sources come from the package index (their sdists hold the tests) and stay in .cache/suites.
"""
import os
import re
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "suites"
VENV = ROOT / ".venv" / "suites"
# name: what to fetch, what its tests need, how to run them
SUITES = {
    "markdown": ("markdown==3.10", ["pyyaml==6.0.3"], ["-m", "unittest", "discover", "-v", "tests"]),
    "jinja2": ("jinja2==3.1.6", ["markupsafe==3.0.3", "trio==0.32.0"], ["-m", "pytest", "tests"]),
    "click": ("click==8.3.1", [], ["-m", "pytest", "tests"]),
}
PYTEST = ["pytest==9.0.1"]


def pip(*arguments):
    python = ROOT / ".venv" / "build" / "bin" / "python"
    subprocess.run([python, "-m", "pip", *arguments], check=True, stdin=subprocess.DEVNULL)


def prepare(name):
    """Unpacks the library's sources and installs what its tests need; gives the folder."""
    requirement, needs, _ = SUITES[name]
    wheel = max((ROOT / "build" / "wheel").glob("*.whl"), key=os.path.getmtime)
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", VENV], check=True)
    into = ["--python", python, "install", "--quiet"]
    pip(*into, *PYTEST, *needs)
    pip(*into, "--no-deps", "--force-reinstall", wheel)
    folder = CACHE / requirement.replace("==", "-")
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip("download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", CACHE, requirement)
        with tarfile.open(next(CACHE.glob(f"{folder.name}.tar.gz"))) as archive:
            archive.extractall(CACHE, filter="data")
    return folder


def run(name, folder, command):
    """Runs the suite and gives {test: outcome}, the exit status and the seconds."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    arguments = list(SUITES[name][2])
    if "pytest" in arguments:
        arguments += ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PYTHONPATH"] = str(folder / "src" if (folder / "src").exists() else folder)
    environment.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, *arguments], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    seconds = time.perf_counter() - begun
    if report.exists():
        cases = xml.parse(report).iter("testcase")
        results = {f"{c.get('classname')}.{c.get('name')}": c[0].tag if len(c) else "passed" for c in cases}
    else:
        results = dict(re.findall(r"^(\w+ \([\w.]+\))(?:\n.*)? \.\.\. (ok|FAIL|ERROR|skipped)", done.stderr, re.M))
    if not results:
        raise SystemExit(f"{name}: no test ran:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return results, done.returncode, seconds, done.stderr


def main():
    failed = False
    for name in sys.argv[1:] or SUITES:
        folder = prepare(name)
        database = CACHE / f"{name}.db"
        for old in CACHE.glob(f"{name}.db*"):
            old.unlink()
        bare, status, seconds, _ = run(name, folder, [VENV / "bin" / "python"])
        recorded, same_status, longer, stderr = run(
            name, folder, [VENV / "bin" / "dashcam", "record", "-o", database]
        )
        differing = sorted(t for t in bare.keys() | recorded.keys() if bare.get(t) != recorded.get(t))
        said = [line for line in stderr.splitlines() if line.startswith("dashcam: ")]
        query = "select status, event_count, lost_count from runs"
        run_row = subprocess.run(
            [VENV / "bin" / "dashcam", "query", database, query, "--format", "csv"], capture_output=True, text=True
        )
        row = run_row.stdout.strip().splitlines()[-1:] or [run_row.stderr.strip()]
        good = not differing and status == same_status and re.fullmatch(r"complete,\d+,0", row[0])
        print(f"{name}: {len(bare)} tests, exit status {status} bare and {same_status} recorded, "
              f"{len(differing)} end differently; {seconds:.1f} s and {longer:.1f} s; {row[0]}; "
              f"{'ok' if good else 'FAILED'}", flush=True)  # fmt: skip
        for test in differing[:20]:
            print(f"    {test}: {bare.get(test)} bare, {recorded.get(test)} recorded")
        if not good:
            print(*said, sep="\n")
            failed = True
        size = database.stat().st_size if database.exists() else 0
        print(f"    {size / 1e6:.1f} MB recorded")
    return failed


if __name__ == "__main__":
    sys.exit(main())
