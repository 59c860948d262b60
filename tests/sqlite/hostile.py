"""Unusual hosts and damaged files: hostile.py CLAIM EXTENSION DB. A claim that holds prints nothing."""

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time

EVENTS = "SELECT count(*) FROM events"
# Needs the chunks, not only what other columns say about them.
LINES = "SELECT sum(line) FROM events"


def load(connection, extension):
    connection.enable_load_extension(True)
    connection.load_extension(extension)
    connection.enable_load_extension(False)
    return connection


def opened(extension, db, **options):
    return load(sqlite3.connect(db, **options), extension)


def one(connection, sql):
    return connection.execute(sql).fetchone()[0]


def fails(connection, sql, *words):
    try:
        rows = list(connection.execute(sql))
    except Exception as error:
        for word in words:
            assert word in str(error), f"{sql}: {error}"
    else:
        raise AssertionError(f"{sql}: {rows[:3]}")
    # The connection still works.
    assert list(connection.execute("SELECT 1")) == [(1,)]


def a_database_of_another_program(extension, db):
    other = opened(extension, ":memory:")
    for sql in (EVENTS, "SELECT * FROM stack_at(1, 2)", "SELECT value_at(1, 2, 0, 'x')", "SELECT dashcam_run(1)"):
        fails(other, sql, "not a dashcam recording")
    assert one(other, "SELECT dashcam_run()") is None
    other.execute("CREATE TABLE t (x)")
    other.execute("INSERT INTO t VALUES (7)")
    assert one(other, "SELECT x FROM t") == 7


def tables_of_another_program_come_first(extension, db):
    path = db + ".other"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE events (x)")
    other.execute("INSERT INTO events VALUES (7)")
    other.commit()
    load(other, extension)
    assert one(other, "SELECT x FROM events") == 7
    other.execute("CREATE TABLE calls (y)")
    assert other.execute("SELECT y FROM calls").fetchall() == []
    other.execute("INSERT INTO calls VALUES (8)")
    assert one(other, "SELECT y FROM calls") == 8
    # Functions that the host has.
    third = sqlite3.connect(":memory:")
    third.create_function("regexp", 2, lambda pattern, text: "the host's")
    load(third, extension)
    assert one(third, "SELECT 'a' REGEXP 'b'") == "the host's"


def a_recording_of_a_newer_version(extension, db):
    newer = sqlite3.connect(db)
    newer.execute("PRAGMA user_version = 999")
    newer.commit()
    load(newer, extension)
    fails(newer, EVENTS, "999", "update dashcam")
    fails(newer, "SELECT * FROM stack_at(1, 2)", "999")
    assert one(newer, "SELECT count(*) FROM runs") == 2


def a_recording_without_its_tables(extension, db):
    for table in ("chunks", "losses", "runs"):
        broken = sqlite3.connect(db)
        broken.execute("PRAGMA foreign_keys = OFF")
        broken.execute(f"DROP TABLE {table}")
        broken.commit()
        load(broken, extension)
        fails(broken, EVENTS, "no table")
    # And an empty database that claims to be a recording.
    whole = sqlite3.connect(":memory:")
    whole.execute("PRAGMA application_id = 1685284963")
    load(whole, extension)
    fails(whole, EVENTS)


def a_view_in_place_of_a_table(extension, db):
    hostile = sqlite3.connect(db)
    called = []
    hostile.create_function("effect", 0, lambda: called.append(1))
    hostile.execute("ALTER TABLE runs RENAME TO real_runs")
    hostile.execute("CREATE VIEW runs AS SELECT *, effect() FROM real_runs")
    hostile.commit()
    load(hostile, extension)
    fails(hostile, EVENTS, "no table runs")
    assert not called


def damaged_chunks(extension, db):
    whole = one(opened(extension, db), EVENTS)
    assert whole > 0
    connection = sqlite3.connect(db)
    connection.execute("UPDATE chunks SET data = zeroblob(length(data)) WHERE run_id = 1")
    connection.commit()
    load(connection, extension)
    for _ in range(2):
        fails(connection, LINES, "chunk", "dashcam query")
        fails(connection, "SELECT line FROM events WHERE run_id = 1 AND kind = 'LINE'", "chunk")
        # The other run is whole.
        assert 0 < one(connection, EVENTS + " WHERE run_id = 2") < whole
    connection.execute("DELETE FROM chunks WHERE run_id = 2")
    assert one(connection, EVENTS + " WHERE run_id = 2") == 0
    connection.rollback()
    assert 0 < one(connection, EVENTS + " WHERE run_id = 2") < whole
    # What a row says about its chunk.
    connection.execute("UPDATE chunks SET event_count = 5 WHERE run_id = 2")
    fails(connection, EVENTS + " WHERE run_id = 2", "chunk")
    connection.rollback()
    connection.execute("UPDATE value_chunks SET data = x'00' WHERE run_id = 2")
    fails(connection, "SELECT name, value FROM variables WHERE run_id = 2", "chunk of values")


def damaged_pages(extension, db):
    import random

    random.seed(7)
    whole = open(db, "rb").read()
    sqls = (LINES, "SELECT * FROM variables", "SELECT sum(duration_ns) FROM calls", "SELECT * FROM code_objects",
            "SELECT e.seq, l.* FROM exceptions e, locals_at(e.run_id, e.seq) l")
    failed = 0
    for _ in range(60):
        bad = bytearray(whole)
        for _ in range(8):
            at = random.randrange(100, len(bad))
            bad[at : at + 16] = random.randbytes(16)
        with open(db, "wb") as file:
            file.write(bad)
        connection = sqlite3.connect(db)
        try:
            load(connection, extension)
        except sqlite3.OperationalError:
            failed += 1
        for sql in sqls:
            try:
                list(connection.execute(sql))
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                failed += 1
        connection.close()
    assert failed > 0


def two_threads(extension, db):
    expected = one(opened(extension, db), EVENTS)
    wrong = []

    def work():
        try:
            for _ in range(20):
                connection = opened(extension, db)
                if one(connection, EVENTS) != expected or not list(connection.execute("SELECT * FROM variables")):
                    wrong.append("rows")
                connection.close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong


def from_one_thread_to_another(extension, db):
    connection = opened(extension, db, check_same_thread=False)
    sql = "SELECT count(*), sum(is_mine(path)), count(call_at(run_id, start_seq, 0)) FROM calls"
    expected = connection.execute(sql).fetchone()
    cursor = connection.execute("SELECT * FROM events")
    cursor.fetchone()
    seen = []

    # At the same time, too: SQLite serialises them. The texts differ, or sqlite3 would share one statement.
    def work(n):
        seen.append(connection.execute(f"{sql} -- {n}").fetchone())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 4, seen
    threads = [threading.Thread(target=lambda: seen.append(len(cursor.fetchmany(10))))]
    threads[0].start()
    threads[0].join()
    assert seen[4:] == [10], seen
    closer = threading.Thread(target=connection.close)
    closer.start()
    closer.join()
    fails_closed = False
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        fails_closed = True
    assert fails_closed


def loaded_twice(extension, db):
    connection = opened(extension, db)
    connection.execute("SELECT dashcam_run(2)").fetchall()
    expected = one(connection, EVENTS)
    cursor = connection.execute("SELECT * FROM events")
    cursor.fetchone()
    load(connection, extension)
    assert one(connection, EVENTS) == expected and one(connection, "SELECT dashcam_run()") == 2
    assert len(cursor.fetchall()) == expected - 1


def loaded_within_a_transaction(extension, db):
    connection = sqlite3.connect(db, isolation_level=None)
    connection.execute("BEGIN")
    try:
        load(connection, extension)
    except sqlite3.OperationalError as error:
        assert "transaction" in str(error), error
    else:
        raise AssertionError("loaded")
    connection.execute("COMMIT")
    load(connection, extension)
    expected = one(connection, EVENTS)
    connection.execute("BEGIN")
    connection.execute("SELECT dashcam_run(2)").fetchall()
    assert one(connection, EVENTS) < expected
    connection.execute("ROLLBACK")
    assert one(connection, EVENTS) < expected
    connection.execute("SELECT dashcam_run(NULL)").fetchall()
    assert one(connection, EVENTS) == expected


def a_temporary_table_of_the_hosts(extension, db):
    connection = sqlite3.connect(db)
    connection.execute("CREATE TEMP TABLE variables (mine)")
    for _ in range(2):
        try:
            load(connection, extension)
        except sqlite3.OperationalError as error:
            assert "variables" in str(error), error
        else:
            raise AssertionError("loaded")
    assert list(connection.execute("SELECT mine FROM variables")) == []
    connection.execute("DROP TABLE temp.variables")
    load(connection, extension)
    assert one(connection, "SELECT count(*) FROM variables") > 0


def closed_in_the_middle(extension, db):
    for _ in range(20):
        connection = opened(extension, db)
        cursors = [connection.execute(sql) for sql in ("SELECT * FROM events", "SELECT * FROM calls, variables")]
        for cursor in cursors:
            cursor.fetchone()
        connection.close()
        for cursor in cursors:
            try:
                cursor.fetchone()
            except sqlite3.ProgrammingError:
                pass
        # Not closed at all.
        left = opened(extension, db)
        left.execute("SELECT * FROM mutations").fetchone()


def closed_by_force(extension, db):
    """Calls sqlite3_close_v2 during a statement, which then goes on and is finalized."""
    import apsw

    connection = apsw.Connection(db)
    connection.enable_load_extension(True)
    connection.load_extension(extension)
    cursor = connection.cursor()
    cursor.execute("SELECT * FROM events")
    next(cursor)
    connection.close(True)
    try:
        list(cursor)
    except apsw.Error:
        pass


def after_a_fork(extension, db):
    connection = opened(extension, db)
    expected = one(connection, EVENTS)
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if one(opened(extension, db), EVENTS) == expected else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert one(connection, EVENTS) == expected


PRAGMAS = ("busy_timeout", "query_only", "trusted_schema", "foreign_keys", "temp_store", "journal_mode", "synchronous",
           "cache_size", "locking_mode", "recursive_triggers", "mmap_size", "user_version", "application_id")


def nothing_is_changed(extension, db):
    before = open(db, "rb").read()
    connection = sqlite3.connect(f"file:{db}?mode=ro", uri=True)
    asked, steps = [], []
    connection.set_authorizer(lambda *action: asked.append(action) or sqlite3.SQLITE_OK)
    connection.set_progress_handler(lambda: steps.append(1) and None, 1000)
    state = lambda: [one(connection, f"PRAGMA {name}") for name in PRAGMAS] + [
        connection.total_changes, connection.in_transaction, connection.isolation_level]
    was = state()
    load(connection, extension)
    for sql in (EVENTS, "SELECT * FROM variables", "SELECT dashcam_run(1)", "SELECT * FROM calls"):
        connection.execute(sql).fetchall()
    assert state() == was, (state(), was)
    writes = (sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
    written = [action for action in asked if action[0] in writes and action[3] != "temp"]
    assert asked and not written, written
    asked.clear(), steps.clear()
    connection.execute("SELECT count(*) FROM runs, runs, runs, runs, runs, runs, runs, runs, runs, runs").fetchall()
    assert asked and steps, "the host's handlers are gone"
    connection.close()
    assert open(db, "rb").read() == before
    # Immutable, as datasette opens some files.
    frozen = opened(extension, f"file:{db}?immutable=1", uri=True)
    assert one(frozen, EVENTS) > 0
    frozen.close()
    assert open(db, "rb").read() == before


def nothing_is_locked(extension, db):
    for mode in ("delete", "wal"):
        writer = sqlite3.connect(db, timeout=0)
        assert one(writer, f"PRAGMA journal_mode = {mode}") == mode
        reader = opened(extension, db)
        assert one(reader, EVENTS) > 0
        reader.execute("SELECT * FROM variables").fetchone()
        # Without a running statement, no writer has to wait.
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO losses (run_id, kind, severity, count, detail) VALUES (1, ?, 'info', 1, '')", (mode,))
        writer.execute("COMMIT")
        if mode == "delete":
            # Another program has the lock; the host waits as usual, and reports that.
            writer.execute("BEGIN EXCLUSIVE")
            reader.execute("PRAGMA busy_timeout = 0")
            fails(reader, EVENTS, "locked")
            writer.execute("ROLLBACK")
        assert one(reader, EVENTS) > 0
        reader.close()
        assert one(writer, "PRAGMA wal_checkpoint(TRUNCATE)") == 0
        writer.close()


def a_recording_that_grows(extension, db):
    reader = opened(extension, db)
    before = one(reader, EVENTS)
    assert one(reader, "SELECT max(run_id) FROM runs") == 2
    program = os.path.join(os.path.dirname(sys.executable), "dashcam")
    record = lambda: subprocess.run([program, "record", "-o", db, "-c", ""], check=True, capture_output=True)
    record()
    assert one(reader, "SELECT max(run_id) FROM runs") == 3
    after = one(reader, EVENTS)
    assert after > before, (before, after)
    assert after == one(opened(extension, db), EVENTS)
    # Within a transaction the recording is as it was.
    reader.execute("BEGIN")
    assert one(reader, EVENTS) == after
    record()
    assert one(reader, EVENTS) == after and one(reader, "SELECT count(*) FROM runs") == 3
    reader.execute("COMMIT")
    assert one(reader, EVENTS) > after


def planned_before_it_grew(extension, db):
    """Runs a statement that sqlite3 has kept since there was only one run."""
    connection = opened(extension, db)
    connection.execute("PRAGMA foreign_keys = OFF")
    everything = connection.execute("SELECT seq FROM events ORDER BY seq").fetchall()
    connection.execute("BEGIN")
    for table in ("runs", "processes", "code_objects", "chunks", "value_chunks"):
        connection.execute(f"DELETE FROM main.{table} WHERE run_id = 2")
    sql = "SELECT seq, run_id FROM events ORDER BY seq"
    assert {run for _, run in connection.execute(sql)} == {1}
    connection.rollback()
    assert [(seq,) for seq, _ in connection.execute(sql)] == everything
    assert everything == sorted(everything)


def in_memory(extension, db):
    source = sqlite3.connect(db)
    # SQLite does not read from memory a file whose header says that it has a write-ahead log.
    assert one(source, "PRAGMA journal_mode = delete") == "delete"
    expected = one(opened(extension, db), EVENTS)
    copy = sqlite3.connect(":memory:")
    source.backup(copy)
    load(copy, extension)
    assert one(copy, EVENTS) == expected
    # Loaded first, filled later.
    late = opened(extension, ":memory:")
    fails(late, EVENTS, "not a dashcam recording")
    source.backup(late)
    load(late, extension)
    assert one(late, EVENTS) == expected
    # Another database in its place.
    source.execute("DELETE FROM chunks WHERE run_id = 1")
    source.commit()
    late.deserialize(source.serialize())
    load(late, extension)
    assert one(late, EVENTS + " WHERE run_id = 1") == 0


def attached(extension, db):
    other = opened(extension, ":memory:")
    other.execute("ATTACH ? AS recording", (db,))
    fails(other, EVENTS, "events")
    fails(other, "SELECT * FROM recording.events", "events")
    assert one(other, "SELECT count(*) FROM recording.runs") == 2
    recording = opened(extension, db)
    shutil.copy(db, db + ".copy")
    recording.execute("ATTACH ? AS other", (db + ".copy",))
    assert one(recording, EVENTS) > 0
    # The rows are never those of another database than the one that was named.
    recording.execute("DROP VIEW IF EXISTS other.events")
    fails(recording, "SELECT * FROM other.events", "events")
    fails(recording, "SELECT * FROM other.stack_at(1, 1)", "stack_at")
    recording.execute("CREATE TABLE other.notes AS SELECT seq FROM events LIMIT 3")
    assert one(recording, "SELECT count(*) FROM other.notes") == 3


def interrupted(extension, db):
    connection = opened(extension, db, check_same_thread=False)
    sql = "SELECT count(*) FROM events a, events b, events c WHERE a.line + b.line + c.line = -1"
    stopped = threading.Event()

    def stop():
        while not stopped.wait(0.01):
            connection.interrupt()

    stopper = threading.Thread(target=stop)
    stopper.start()
    began = time.monotonic()
    try:
        connection.execute(sql).fetchall()
    except sqlite3.OperationalError as error:
        assert "interrupted" in str(error), error
    else:
        raise AssertionError("it ended by itself")
    finally:
        stopped.set()
        stopper.join()
    assert time.monotonic() - began < 5
    assert one(connection, EVENTS) > 0


def an_old_sqlite(extension, db):
    """Calls the entry point as a library would that is too old. Such a library can no longer be installed."""
    library = ctypes.CDLL(extension)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    malloc = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)(libc.malloc)
    for number in (3_008_007, 3_037_002):
        version = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: number)
        # As in sqlite3ext.h, whose fields do not move.
        table = (ctypes.c_void_p * 200)()
        table[67] = ctypes.cast(version, ctypes.c_void_p)
        table[68] = ctypes.cast(malloc, ctypes.c_void_p)
        message = ctypes.c_char_p()
        code = library.sqlite3_extension_init(None, ctypes.byref(message), table)
        assert code == 1 and b"3.38.0 or newer" in message.value, (code, message.value)
    assert library.sqlite3_extension_init(None, ctypes.byref(message), None) == 1


def runs_that_are_not_there(extension, db):
    connection = opened(extension, db)
    fails(connection, "SELECT dashcam_run(9)", "no run 9", "2")
    fails(connection, "SELECT dashcam_run('last')", "number")
    assert one(connection, "SELECT dashcam_run()") is None
    assert one(connection, "SELECT dashcam_run(1)") == 1
    tables = ("events", "calls", "processes", "threads", "code_objects", "files", "losses", "event_counts")
    assert {one(connection, f"SELECT count(DISTINCT run_id) FROM {t}") for t in ("events", "calls", "code_objects")} == {1}
    chosen = [one(connection, f"SELECT count(*) FROM {table}") for table in tables]
    connection.execute("SELECT dashcam_run(NULL)").fetchall()
    everything = [one(connection, f"SELECT count(*) FROM {table}") for table in tables]
    assert all(a <= b for a, b in zip(chosen, everything)) and chosen[0] < everything[0]
    # The function cannot be called from a view.
    connection.execute("CREATE VIEW trap AS SELECT dashcam_run(1)")
    fails(connection, "SELECT * FROM trap", "unsafe")


def kept_texts(extension, db):
    """SQLite keeps texts while the recording behind them is read again."""
    connection = opened(extension, db)
    sql = ("SELECT max(c.qualname), (SELECT min(path) FROM calls WHERE qualname > ''), group_concat(DISTINCT c.path)"
           " FROM calls c GROUP BY c.call_id")
    rows = connection.execute(sql)
    seen = [rows.fetchone()]
    for n in range(20):
        # A change of its own: those of others are not visible before the statement ends.
        values = "VALUES (1, ?, 'info', 1, '')"
        connection.execute(f"INSERT INTO losses (run_id, kind, severity, count, detail) {values}", (str(n),))
        connection.execute(EVENTS).fetchall()
        seen.append(rows.fetchone())
    seen += rows.fetchall()
    assert seen == opened(extension, db).execute(sql).fetchall(), seen


def denied(extension, db):
    """A host forbids what the extension needs."""
    connection = sqlite3.connect(db)
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_CREATE_VTABLE else sqlite3.SQLITE_OK)
    try:
        load(connection, extension)
    except sqlite3.OperationalError as error:
        assert "not authorized" in str(error), error
    else:
        raise AssertionError("loaded")
    connection.set_authorizer(None)
    load(connection, extension)
    connection.set_authorizer(
        lambda action, name, *_: sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ and name == "chunks" else sqlite3.SQLITE_OK)
    fails(connection, LINES, "prohibited")
    connection.set_authorizer(None)
    assert one(connection, LINES) > 0


def two_libraries(extension, db):
    import apsw

    expected = one(opened(extension, db), EVENTS)
    other = apsw.Connection(db)
    other.enable_load_extension(True)
    try:
        other.load_extension(extension)
    except apsw.Error as error:
        assert "another SQLite library" in str(error), error
    else:
        raise AssertionError("loaded")
    assert list(other.execute("SELECT count(*) FROM runs")) == [(2,)]
    assert one(opened(extension, db), EVENTS) == expected


if __name__ == "__main__":
    claim, extension, db = sys.argv[1:]
    globals()[claim](extension, db)
