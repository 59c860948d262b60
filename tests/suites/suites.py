"""Known libraries' own test suites, run bare and recorded: every test must end the same way.

    make suites                          all of them, once
    make suites SUITES="markdown flask"  some
    make suites SUITES="--times 3"       each recorded three times
    make suites SUITES="--capture flow"  an option of `dashcam record`

The sources come from the package index (their sdists hold the tests) and stay in .cache/suites. Each
library has a virtual environment of its own there.
"""

import argparse
import os
import re
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "suites"
PYTEST = "pytest==9.0.1"


@dataclass
class Suite:
    """How the tests in a library's sdist are run."""

    # The sdist, and what its tests need besides it.
    source: str
    needs: list[str]
    # What follows `python`.
    command: list[str]
    # The sdist's folder to import the library from. None: it has to be built, so its wheel is installed instead.
    path: str | None = "."
    # The sdist's folder to run in.
    folder: str = "."
    environment: dict[str, str] = field(default_factory=dict)


def pytest(*arguments):
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0", *arguments]


SUITES = {
    "markdown": Suite("markdown==3.10", ["pyyaml==6.0.3"], ["-m", "unittest", "discover", "-v", "tests"]),
    "jinja2": Suite("jinja2==3.1.6", ["markupsafe==3.0.3", "trio==0.32.0", PYTEST], pytest("tests"), path="src"),
    "click": Suite("click==8.3.1", [PYTEST], pytest("tests"), path="src"),
    "pyyaml": Suite("pyyaml==6.0.4", [PYTEST], pytest("tests"), path=None),
    "tornado": Suite("tornado==6.6.1", [], ["-m", "tornado.test", "--verbose"]),
    # The short part of it that leaves event loops and weak references to the interpreter's shutdown.
    "tornado-gen": Suite("tornado==6.6.1", [], ["-m", "tornado.test", "--verbose", "tornado.test.gen_test"]),
    "django": Suite(
        "django==5.2.19",
        ["asgiref==3.10.0", "sqlparse==0.5.3", "jinja2==3.1.6", "pyyaml==6.0.4", "pytz==2025.2"],
        ["runtests.py", "--parallel=1", "--verbosity=2", "template_tests", "utils_tests"],
        path=".",
        folder="tests",
    ),
    "attrs": Suite(
        "attrs==26.1.0",
        [PYTEST, "hypothesis==6.148.2", "cloudpickle==3.1.2", "pympler==1.1"],
        pytest("tests"),
        path=None,
    ),
    "networkx": Suite("networkx==3.6.1", [PYTEST], pytest("networkx/algorithms", "networkx/classes")),
    "werkzeug": Suite(
        "werkzeug==3.1.9",
        [
            PYTEST,
            "markupsafe==3.0.3",
            "pytest-timeout==2.4.0",
            "ephemeral-port-reserve==1.1.4",
            "cryptography==46.0.3",
            "watchdog==6.0.0",
            "cffi==2.0.0",
        ],
        pytest("tests", "-m", "not dev_server"),
        path=None,
    ),
    "flask": Suite("flask==3.1.3", [PYTEST, "asgiref==3.10.0", "python-dotenv==1.2.1"], pytest("tests"), path=None),
    "black": Suite(
        "black==26.10.1",
        [PYTEST, "aiohttp==3.14.5"],
        pytest("tests", "--run-optional", "no_jupyter", "-p", "no:xdist"),
        path=None,
    ),
    "aiohttp": Suite(
        "aiohttp==3.14.5",
        [
            PYTEST,
            "blockbuster==1.5.25",
            "isal==1.8.0",
            "zlib_ng==1.0.0",
            "pytest-mock==3.15.1",
            "re-assert==1.1.0",
            "freezegun==1.5.5",
            "trustme==1.2.1",
            "time-machine==3.1.0",
            "proxy.py==2.4.10",
            "pytest-codspeed==4.2.0",
            "pytest-xdist==3.8.0",
            "pytest-cov==7.0.0",
            "pytest-timeout==2.4.0",
            "python-on-whales==0.79.0",
            "gunicorn==23.0.0",
            "uvloop==0.22.1",
            "setuptools==80.9.0",
        ],
        pytest(
            "-n",
            "0",
            "-p",
            "no:cov",
            "-o",
            "addopts=",
            "tests/test_helpers.py",
            "tests/test_multipart.py",
            "tests/test_client_request.py",
            "tests/test_web_response.py",
            "tests/test_urldispatch.py",
            "tests/test_web_functional.py",
            "tests/test_cookiejar.py",
        ),
        path=None,
    ),
    "trio": Suite(
        "trio==0.35.0",
        [
            PYTEST,
            "async_generator==1.10",
            "trustme==1.2.1",
            "pyOpenSSL==25.3.0",
            "astor==0.8.1",
            "jedi==0.19.2",
            "typing-extensions==4.15.0",
        ],
        pytest(
            "-p",
            "trio._tests.pytest_plugin",
            "src/trio/_core/_tests",
            "src/trio/_tests/test_channel.py",
            "src/trio/_tests/test_sync.py",
            "src/trio/_tests/test_threads.py",
            "src/trio/_tests/test_timeouts.py",
        ),
        path=None,
    ),
    "sqlalchemy": Suite(
        "sqlalchemy==2.1.9",
        [PYTEST, "greenlet==3.2.4", "typing-extensions==4.15.0"],
        pytest("test/base", "test/sql/test_compiler.py", "test/engine"),
        path=None,
    ),
    "pydantic": Suite(
        "pydantic==2.14.4",
        [
            PYTEST,
            "dirty-equals==0.11",
            "pytest-mock==3.15.1",
            "pytest-benchmark==5.2.3",
            "pytest-run-parallel==0.8.0",
            "faker==38.2.0",
            "pytz==2025.2",
            "jsonschema==4.25.1",
            "packaging==25.0",
            "pytest-examples==0.0.18",
            "time-machine==3.1.0",
            "cloudpickle==3.1.2",
            "email-validator==2.3.0",
        ],
        pytest(
            "tests/test_main.py",
            "tests/test_validators.py",
            "tests/test_fields.py",
            "tests/test_generics.py",
            "tests/test_types.py",
            "tests/test_json_schema.py",
        ),
        path=None,
    ),
}


def pip(*arguments):
    python = ROOT / ".venv" / "build" / "bin" / "python"
    subprocess.run([python, "-m", "pip", *arguments], check=True, stdin=subprocess.DEVNULL)


def prepare(suite):
    """Unpacks the library's sources and installs what its tests need. Returns the folder and the environment."""
    wheel = max((ROOT / "build" / "wheel").glob("*.whl"), key=os.path.getmtime)
    folder = CACHE / suite.source.replace("==", "-")
    venv = CACHE / "venv" / f"{folder.name}-{sys.version_info[0]}.{sys.version_info[1]}"
    if not (venv / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", venv], check=True)
    into = ["--python", venv / "bin" / "python", "install", "--quiet"]
    ready = venv / "ready"
    wanted = "\n".join([*suite.needs, *([suite.source] if suite.path is None else [])])
    if not ready.exists() or ready.read_text() != wanted:
        if wanted:
            pip(*into, *wanted.split("\n"))
        ready.write_text(wanted)
    pip(*into, "--no-deps", "--force-reinstall", wheel)
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        archive = next(CACHE.glob(f"{folder.name}.tar.gz"), None)
        if archive is None:
            pip("download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", CACHE, suite.source)
        with tarfile.open(CACHE / f"{folder.name}.tar.gz") as archive:
            archive.extractall(CACHE, filter="data")
    return folder, venv


def outcome(case):
    """Returns how a test of a JUnit report ended."""
    return next((part.tag for part in case if part.tag in ("failure", "error", "skipped")), "passed")


def run(name, folder, command):
    """Runs the suite. Returns {test: outcome}, the exit status, the seconds and the text on stderr."""
    suite = SUITES[name]
    report = CACHE / f"{name}.xml"
    report.unlink(missing_ok=True)
    arguments = list(suite.command)
    if "pytest" in arguments:
        arguments.append(f"--junitxml={report}")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if suite.path is not None:
        environment["PYTHONPATH"] = str(folder / suite.path)
    environment.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1", **suite.environment)
    begun = time.perf_counter()
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder / suite.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    seconds = time.perf_counter() - begun
    if report.exists():
        cases = xml.parse(report).iter("testcase")
        results = {f"{c.get('classname')}.{c.get('name')}": outcome(c) for c in cases}
    else:
        lines = r"^(\w+ \([\w.]+\))(?:\n.*)? \.\.\. (ok|FAIL|ERROR|skipped|expected failure)"
        results = dict(re.findall(lines, done.stderr, re.M))
    if not results:
        raise SystemExit(f"{name}: no test ran:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return results, done.returncode, seconds, done.stderr


def try_suite(name, times, options):
    """Runs one suite bare and recorded. Returns False if anything ends differently."""
    folder, venv = prepare(SUITES[name])
    bare, status, seconds, _ = run(name, folder, [venv / "bin" / "python"])
    is_good = True
    for _ in range(times):
        database = CACHE / f"{name}.db"
        for old in CACHE.glob(f"{name}.db*"):
            old.unlink()
        record = [venv / "bin" / "dashcam", "record", "-o", database, *options]
        recorded, same_status, longer, stderr = run(name, folder, record)
        differing = sorted(t for t in bare.keys() | recorded.keys() if bare.get(t) != recorded.get(t))
        unstable = set()
        if differing or status != same_status:
            # A test that depends on time or chance also differs between two bare runs.
            for _ in range(2):
                again, another_status, _, _ = run(name, folder, [venv / "bin" / "python"])
                unstable |= {t for t in differing if again.get(t) != bare.get(t)}
                status = same_status if another_status == same_status else status
        # Children are not recorded yet. Anything else that is missing is a fault.
        faults = "select count(*) from losses where severity <> 'info' and kind not like 'child%'"
        query = f"select status, event_count, lost_count, ({faults}) from runs"
        asked = subprocess.run(
            [venv / "bin" / "dashcam", "query", database, query, "--format", "csv"], capture_output=True, text=True
        )
        row = asked.stdout.strip().splitlines()[-1:] or [asked.stderr.strip()]
        differing = [test for test in differing if test not in unstable]
        is_whole = row[0].startswith("complete,") and row[0].endswith(",0")
        good = not differing and status == same_status and is_whole
        size = database.stat().st_size if database.exists() else 0
        print(
            f"{name}: {len(bare)} tests, exit status {status} bare and {same_status} recorded, "
            f"{len(differing)} end differently ({len(unstable)} differ from run to run); "
            f"{seconds:.1f} s and {longer:.1f} s; {row[0]}; {size / 1e6:.1f} MB; {'ok' if good else 'FAILED'}",
            flush=True,
        )
        for test in differing[:20]:
            print(f"    {test}: {bare.get(test)} bare, {recorded.get(test)} recorded")
        if not good:
            print(*(line for line in stderr.splitlines()[-200:] if "dashcam" in line or "Fatal" in line), sep="\n")
        losses = [venv / "bin" / "dashcam", "query", database, "select kind, severity, count, detail from losses"]
        print(subprocess.run(losses, capture_output=True, text=True).stdout, end="", flush=True)
        is_good = is_good and good
    return is_good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    parser.add_argument("--times", type=int, default=1, help="record each suite so many times")
    parser.add_argument("--capture", default="state", choices=["flow", "calls", "state"])
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.suites) - SUITES.keys())
    if unknown:
        parser.error(f"no such suite: {', '.join(unknown)}; there are {', '.join(SUITES)}")
    options = ["--capture", arguments.capture]
    names = arguments.suites or SUITES
    failed = [name for name in names if not try_suite(name, arguments.times, options)]
    print(f"{len(failed)} of {len(names)} suites FAILED: {', '.join(failed)}" if failed else "all suites end as bare")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
