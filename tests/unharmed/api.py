"""Failures of the recorder behind dashcam.record(): none is an exception in the program's way."""
import contextlib
import os
import resource
import signal
import sqlite3
import sys
import tempfile

import dashcam


def f(i):
    return i + 1


def work(n=1000):
    return sum(f(i) for i in range(n))


@contextlib.contextmanager
def heard():
    """Lines on standard error meanwhile."""
    lines = []
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            lines += file.read().decode().splitlines()


def recorder():
    return dashcam._session.process.pid


def one_line(lines, words):
    assert len(lines) == 1 and lines[0].startswith("dashcam: ") and words in lines[0], lines


def killed():
    for n in (10, 1_000_000):
        with heard() as lines:
            recording = dashcam.record("x.db")
            with recording:
                process = dashcam._session.process
                process.kill()
                work(n)
        one_line(lines, "recorder process")
        assert "recorder process" in recording.failed and recording.run_id, recording.failed
        assert not dashcam.is_recording()

    @dashcam.record_calls(db="x.db")
    def decorated():
        os.kill(recorder(), signal.SIGKILL)
        return inner()

    @dashcam.record_calls(db="x.db")
    def inner():
        return 7

    with heard() as lines:
        assert decorated() == 7
    one_line(lines, "recorder process")
    with heard() as lines:
        try:
            with dashcam.record("x.db"):
                os.kill(recorder(), signal.SIGKILL)
                raise ValueError("its own")
        except ValueError as error:
            assert str(error) == "its own" and error.__context__ is None
    one_line(lines, "recorder process")
    with heard() as lines:
        dashcam.start("x.db")
        os.kill(recorder(), signal.SIGKILL)
        assert dashcam.stop() is None
    one_line(lines, "recorder process")
    # The next one works.
    with dashcam.record("x.db") as recording:
        work()
    assert recording.failed is None and recording.run_id == 6, recording.run_id


def stopped():
    with heard() as lines:
        with dashcam.record("x.db", max_wait=0.5) as recording:
            pid = recorder()
            os.kill(pid, signal.SIGSTOP)
            result = work()
    one_line(lines, "held up")
    assert result == 500500 and "held up" in recording.failed
    with heard() as lines:
        os.kill(pid, signal.SIGCONT)
        os.waitpid(pid, 0)
    assert not lines, lines
    # It stored what there was.
    with dashcam.open("x.db") as stored:
        assert stored.run().status == "complete" and len(list(stored.run().calls("f"))) == 1000
    # In the middle, where the ring fills.
    with heard() as lines:
        with dashcam.record("y.db", max_wait=0.5) as recording:
            pid = recorder()
            os.kill(pid, signal.SIGSTOP)
            result = work(2_000_000)
            os.kill(pid, signal.SIGCONT)
    one_line(lines, "--max-wait")
    assert result == 2_000_001_000_000 and "--max-wait" in recording.failed


def full():
    """The recorder's files may not grow any more."""
    with heard() as lines:
        with dashcam.record("x.db") as recording:
            resource.prlimit(recorder(), resource.RLIMIT_FSIZE, (65_536, 65_536))
            result = work(300_000)
    one_line(lines, "x.db")
    assert "x.db" in recording.failed and recording.run_id == 1, recording.failed
    assert result == 45_000_150_000


def refused(words, *args, **kwargs):
    ran = []
    try:
        with dashcam.record(*args, **kwargs):
            ran.append(1)
    except dashcam.DashcamError as error:
        assert words in str(error) and "\n" not in str(error), str(error)
    else:
        raise AssertionError("it began")
    assert not ran and not dashcam.is_recording()


def leaves_nothing():
    # Inside the program.
    for tool in range(6):
        sys.monitoring.use_tool_id(tool, f"t{tool}")
    refused("tool ids", "x.db")
    for tool in range(6):
        sys.monitoring.free_tool_id(tool)
    assert os.listdir() == [], os.listdir()
    refused("no/such/x.db", "no/such/x.db")
    refused("directory", "/")
    assert os.listdir() == [], os.listdir()
    # Beside another run nothing is added.
    with dashcam.record("x.db"):
        work()
    for tool in range(6):
        sys.monitoring.use_tool_id(tool, f"t{tool}")
    refused("tool ids", "x.db")
    for tool in range(6):
        sys.monitoring.free_tool_id(tool)
    with dashcam.open("x.db") as recording:
        assert recording.query("select count(*) from runs") == [(1,)]


def few_descriptors():
    descriptors = lambda: set(os.listdir("/proc/self/fd"))
    for limit in (200, 64, 40):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
        with dashcam.record("x.db") as recording:
            work()
        assert recording.failed is None, recording.failed
    # Too few to begin, whichever is the one that is missing.
    before = descriptors()
    for limit in range(len(before), len(before) + 14):
        try:
            # The loader of the recorder's libraries may have something to say as well.
            with heard():
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, 4096))
                with dashcam.record("y.db"):
                    pass
        except dashcam.DashcamError as error:
            assert "\n" not in str(error)
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            assert os.listdir() == ["x.db"], (limit, os.listdir(), str(error))
            assert len(descriptors()) == len(before), (limit, descriptors())
        else:
            break
    else:
        raise AssertionError("it never began")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))


def beside():
    with dashcam.record("x.db"):
        work()
    other = sqlite3.connect("x.db", isolation_level=None)
    other.execute("begin immediate")
    with heard() as lines:
        with dashcam.record("x.db") as recording:
            work()
    one_line(lines, "recording into x.2.db instead")
    assert recording.path == "x.2.db" and recording.failed is None
    with dashcam.open("x.2.db") as stored:
        assert len(list(stored.run().calls("f"))) == 1000
    other.close()


globals()[sys.argv[1]](*sys.argv[2:])
