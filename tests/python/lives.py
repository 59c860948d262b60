"""The child process that answers questions: when it starts and ends, and what goes wrong."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings

import dashcam

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


def raises(kind, words, function, *args, **kwargs):
    try:
        result = function(*args, **kwargs)
    except kind as error:
        assert words in str(error) and "\n" not in str(error), str(error)
        return str(error)
    raise AssertionError(f"no {kind.__name__} but {result!r}")


def child(recording):
    return recording._server._child.process


def is_there(pid):
    return os.path.exists(f"/proc/{pid}")


def lazy(db):
    assert not {"dashcam._replay", "dashcam._server", "dashcam._rows"} & set(sys.modules)
    assert {"open", "Recording", "Moment"} <= set(dir(dashcam))
    assert dashcam.Moment.__module__ == "dashcam._replay"
    raises(AttributeError, "module 'dashcam' has no attribute 'nothing'", lambda: dashcam.nothing)
    code = "import sys; before = set(sys.modules); import dashcam; print(*sorted(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = [name for name in said.stdout.split() if name.startswith("dashcam")]
    assert ours == ["dashcam", "dashcam._shim"] and "typing" not in said.stdout.split(), said.stdout


def closing(db):
    with dashcam.open(db) as recording:
        run, pid = recording.run(), child(recording).pid
        start, rows = run.start, run.query("select seq from events")
        assert is_there(pid) and start.stack and rows[0]
    assert not is_there(pid) and recording.closed
    assert start.stack and rows[0] and run.status == "complete"
    raises(dashcam.DashcamError, "this recording was closed", run.query, "select 1")
    raises(dashcam.DashcamError, "this recording was closed", start.step)
    raises(dashcam.DashcamError, "this recording was closed", len, rows)
    recording.close()
    # Without a reference to the recording, the child ends.
    recording = dashcam.open(db)
    pid = child(recording).pid
    del recording
    gc.collect()
    assert not is_there(pid)
    # It ends when the process that opened it ends.
    code = f"import dashcam; r = dashcam.open({db!r}); print(r._server._child.process.pid)"
    said = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, check=True)
    assert not is_there(int(said.stdout)) and not said.stderr, said.stderr
    # It ends when that process is killed.
    code += "; import os, sys; sys.stdout.flush(); os.kill(os.getpid(), 9)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pid = int(said.stdout)
    while is_there(pid):
        # The process that inherits the child waits for it.
        os.sched_yield()


def forking(db):
    recording = dashcam.open(db)
    run, pid = recording.run(), child(recording).pid
    rows = run.stream("select seq from events")
    next(rows)
    ready, go = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        forked = os.fork()
    if forked == 0:
        try:
            raises(dashcam.DashcamError, "opened before a fork; open it again", run.query, "select 1")
            rows.close()
            recording.close()
            del recording, run, rows
            gc.collect()
            with dashcam.open(db) as again:
                assert again.run().query("select 1") == [(1,)]
            os.write(ready[1], b".")
            os.read(go[0], 1)
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    assert os.read(ready[0], 1) == b"."
    # Here everything still works, and the child ends on request although the forked process is alive.
    assert len(list(rows)) > 1000 and child(recording).pid == pid
    process = child(recording)
    recording.close()
    assert process.returncode == 0, "it was killed: it did not see the end of its input"
    os.write(go[1], b".")
    assert os.waitpid(forked, 0)[1] == 0
    for end in (*ready, *go):
        os.close(end)


def threads(db):
    wrong = []

    def work(run, number):
        try:
            assert list(shared) == events
            for call in run.calls():
                assert call.start.call_id == call.call_id
            assert run.query("select ?", [number]) == [(number,)]
        except BaseException as error:
            wrong.append(error)

    with dashcam.open(db) as recording:
        run = recording.run()
        events = list(run.stream("select seq, kind from events order by seq"))
        shared = run.query("select seq, kind from events order by seq")
        all_threads = [threading.Thread(target=work, args=(run, n)) for n in range(6)]
        for thread in all_threads:
            thread.start()
        for thread in all_threads:
            thread.join()
        assert not wrong, wrong


def dying(db):
    with dashcam.open(db) as recording:
        run, pid = recording.run(), child(recording).pid
        rows = run.stream("select seq from events")
        next(rows)
        os.kill(pid, signal.SIGKILL)
        raises(dashcam.DashcamError, "dashcam ended unexpectedly (status -9)", run.query, "select 1")
        # The next question goes to another child.
        assert run.query("select 1") == [(1,)] and child(recording).pid != pid
        raises(dashcam.DashcamError, "the rest of these rows is gone", list, rows)
        # The last line that the child printed.
        os.write(recording._server._child._errors, b"one\ndashcam: the last line\n")
        child(recording).kill()
        raises(dashcam.DashcamError, "the last line", run.query, "select 1")
        recording.refresh()
        assert recording.query("select count(*) from runs") == [(1,)]


def interrupting(db):
    def interrupt():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    with dashcam.open(db) as recording:
        run, pid = recording.run(), child(recording).pid
        rows = run.stream("select seq from events")
        next(rows)
        for _ in range(3):
            timer = threading.Timer(0.1, interrupt)
            timer.start()
            try:
                run.query(ENDLESS)
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError("it ended")
            timer.join()
            assert run.query("select 1") == [(1,)] and run.start.step() is not None
            assert child(recording).pid == pid, "it was not killed"
        raises(dashcam.DashcamError, "it was closed", list, rows)
        # Rows of which a part did not arrive are not complete.
        rows = run.query(f"select 1 union all select * from ({ENDLESS})")
        assert rows[0] == (1,)
        timer = threading.Timer(0.1, interrupt)
        timer.start()
        try:
            len(rows)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("it ended")
        timer.join()
        raises(dashcam.DashcamError, "the rest of these rows is gone", len, rows)
        # A question from a signal handler, in the middle of another question.
        said = []

        def ask(*_):
            try:
                run.query("select 1")
            except dashcam.DashcamError as error:
                said.append(str(error))
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGINT, ask)
        timer = threading.Timer(0.1, interrupt)
        timer.start()
        try:
            run.query(ENDLESS)
        except KeyboardInterrupt:
            pass
        timer.join()
        signal.signal(signal.SIGINT, before)
        assert len(said) == 1 and "from within a question" in said[0], said
        assert run.query("select 1") == [(1,)] and child(recording).pid == pid
        # A child that does not react.
        os.kill(pid, signal.SIGSTOP)
        timer = threading.Timer(0.1, interrupt)
        timer.start()
        try:
            run.query("select 1")
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("it answered")
        timer.join()
        assert run.query("select 1") == [(1,)] and child(recording).pid != pid
    # An interrupt from a terminal reaches only the program.
    code = f"""if True:
        import dashcam, os, signal
        os.setpgid(0, 0)
        with dashcam.open({db!r}) as recording:
            signal.signal(signal.SIGINT, lambda *_: None)
            os.killpg(0, signal.SIGINT)
            print(recording.query("select 1") == [(1,)])"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.stdout == "True\n" and not said.stderr, said


def bad_files(db):
    folder = os.path.dirname(db)
    os.chdir(folder)
    raises(dashcam.DashcamError, "nothing.db: no such file", dashcam.open, "nothing.db")
    with open("text.db", "w") as file:
        file.write("this is a text, and quite a long one at that " * 20)
    raises(dashcam.DashcamError, "text.db: not a database", dashcam.open, "text.db")
    raises(dashcam.DashcamError, "(a directory)", dashcam.open, folder)
    other = sqlite3.connect("other.db")
    other.execute("create table t (a)")
    other.commit()
    other.close()
    message = raises(dashcam.DashcamError, "other.db: ", dashcam.open, "other.db")
    program = os.path.join(os.path.dirname(sys.executable), "dashcam")
    said = subprocess.run([program, "runs", os.path.abspath("other.db")], capture_output=True, text=True)
    assert said.stderr.strip() == f"dashcam: {message}"
    newer = sqlite3.connect(db)
    newer.execute("pragma user_version = 9999")
    newer.commit()
    newer.close()
    raises(dashcam.DashcamError, "9999", dashcam.open, os.path.basename(db))
    raises(TypeError, "", dashcam.open, 3)


def damage(db):
    database = sqlite3.connect(db)
    database.execute("update chunks set data = zeroblob(length(data)) where chunk_id = 1")
    database.commit()
    database.close()
    with dashcam.open(db) as recording:
        run = recording.run()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            assert len(run.query("select kind from events")) < run.event_count
            assert len(run.query("select line from events")) < run.event_count
        assert [w.category for w in said] == [dashcam.DashcamWarning], said
        assert "chunk 1" in str(said[0].message) and "unavailable" in str(said[0].message)
        raises(dashcam.DashcamError, "chunk 1", lambda: run.start)


globals()[sys.argv[1]](sys.argv[2])
