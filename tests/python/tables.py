"""Rows, calls and exceptions are what SQL returns by other ways."""

import copy
import importlib.util
import json
import os
import pickle
import sqlite3
import subprocess
import sys

import dashcam

PROGRAM = os.path.join(os.path.dirname(sys.executable), "dashcam")


def asked(db, sql):
    """Returns the rows that the program `dashcam` gives, as dicts."""
    command = [PROGRAM, "query", db, sql, "--format", "jsonl"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def raises(kind, words, function, *args, **kwargs):
    try:
        result = function(*args, **kwargs)
    except kind as error:
        assert words in str(error) and "\n" not in str(error), str(error)
    else:
        raise AssertionError(f"no {kind.__name__} but {result!r}")


def twice(db):
    """Records another run of the same program into the same file."""
    shop = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shop.py")
    command = [PROGRAM, "record", "-o", db, "--capture", "flow", shop]
    subprocess.run(command, check=True, capture_output=True)


def records(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        calls = list(run.calls())
        assert [call.row.asdict() for call in calls] == asked(db, "select * from calls")
        inits = [call for call in calls if call.qualname.split(".")[-1] == "__init__"]
        longest = max(call.duration_ns for call in inits)
        named = [call.call_id for call in run.calls("__init__", "duration_ns >= ?", [longest])]
        assert named == [call.call_id for call in inits if call.duration_ns == longest]
        assert [call.call_id for call in run.calls("__init__")] == [call.call_id for call in inits]
        assert not list(run.calls("__init__", "duration_ns > ?", [longest]))
        by_name = run.calls("parse", "exit = :exit", {"exit": "unwind"})
        [call] = by_name
        assert call.arguments["text"] == "" and call.parent.qualname == "main"
        outermost = call
        while outermost.parent is not None:
            outermost = outermost.parent
        assert outermost.qualname == "<module>" and outermost.depth == 0
        assert not list(run.calls("pars")) and not list(run.calls("*arse")) and not list(run.calls("["))
        errors = list(run.exceptions())
        assert [e.row.asdict() for e in errors] == asked(db, "select * from exceptions")
        [error] = run.exceptions("type = ?", ["ValueError"])
        assert error.handler.seq == error.handled_seq and error.moment.seq == error.seq
        assert "ValueError" in repr(error) and "parse(text='')" in repr(call)
        raises(AttributeError, "no 'nothing' in Call", lambda: call.nothing)
        raises(dashcam.DashcamError, "no such column", lambda: list(run.calls(where="nonesuch = 1")))


def of_run(db):
    twice(db)
    plain = sqlite3.connect(db)
    with dashcam.open(db) as recording:
        first, second = recording.runs
        assert (first, second) == (recording[1], recording.run()) and recording.run(1) == first
        assert list(recording) == [1, 2] and len(recording) == 2 and first != second
        for name in ("events", "calls", "exceptions", "line_counts", "threads", "code_objects", "losses"):
            [(total,)] = recording.query(f"select count(*) from {name}")
            counts = [run.query(f"select count(*) from {name}")[0][0] for run in (first, second)]
            assert sum(counts) == total and (all(counts) or name == "losses"), (name, counts, total)
        for run in (first, second):
            assert run.query("select distinct run_id from events") == [(run.run_id,)]
            assert run.query("with c as (select run_id from calls) select distinct run_id from c") == [
                (run.run_id,)
            ]
            sql = """-- a comment
                with recursive n(i) as (values (1) union all select i + 1 from n where i < 3)
                select i, (select run_id from runs) from n"""
            assert run.query(sql) == [(i, run.run_id) for i in (1, 2, 3)]
            assert run.query("select e.run_id from (select * from events) e limit 1") == [(run.run_id,)]
            assert run.query("explain query plan select * from events")[0].detail
            wanted = plain.execute("select * from runs where run_id = ?", [run.run_id]).fetchone()
            assert run.query("select * from runs") == [wanted] and tuple(run.row) == wanted
            assert run.threads == plain.execute(
                "select * from threads where process_id = ?", [run.start.process_id]).fetchall()
        # Both runs have the same files, which are stored once.
        assert len(first.files) == len(second.files) > 1 and first.status == "complete"
        assert first.command[0].endswith("shop.py") and first.exit_code == 0
        raises(AttributeError, "a run has no 'nothing'", lambda: first.nothing)
        raises(KeyError, "3", lambda: recording[3])
        raises(dashcam.DashcamError, "no run 3", recording.run, 3)
        with open(first.command[0]) as file:
            assert first.source("shop.py") == file.read()
        raises(dashcam.DashcamError, "no code of hop.py ran", first.source, "hop.py")
    plain.close()


def rows(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        [(count,)] = run.query("select count(*) from events")
        found = run.query("select seq, kind, line from events")
        assert found[0].seq == found[0]["seq"] == found[0][0] and len(found._kept) < count
        assert len(found) == count == len(list(found)) and found[-1] == found[count - 1]
        assert found[2:5] == list(found)[2:5] and found[1:2][0].kind == found[1].kind
        assert found == [tuple(row) for row in found] and found and not run.query("select 1 where 0")
        row = run.query("select 1 as count, 2 as \"index\", 3 as \"a b\", 4, 5 as _x, 6 as count")[0]
        assert (row.count, row.index, row["a b"], row["4"], row["_x"]) == (1, 2, 3, 4, 5)
        assert row == (1, 2, 3, 4, 5, 6) and row[1:3] == (2, 3) and "count=1" in repr(row)
        for other in (copy.copy(row), copy.deepcopy(row), pickle.loads(pickle.dumps(row))):
            assert other == row and other.count == 1
        raises(AttributeError, "no column 'nothing'; there are count", lambda: row.nothing)
        raises(KeyError, "nothing", lambda: row["nothing"])
        raises(IndexError, "", lambda: found[count])
        values = run.query("select 1, 1.5, 'a', x'00ff', null, 9e999, -9e999, 1e300, '\U0001f600', 9223372036854775807")[0]
        assert values == (1, 1.5, "a", b"\0\xff", None, float("inf"), -float("inf"), 1e300, "\U0001f600", 2**63 - 1)
        assert list(map(type, values[:4])) == [int, float, str, bytes]
        assert len(recording.query("select * from events").columns) == 15


def parameters(db):
    with dashcam.open(db) as recording:
        values = [1, -(2**63), 1.5, float("inf"), "ü'\0", b"\0\xff", None, "", b"", 1e-300]
        marks = ", ".join("?" * len(values))
        assert recording.query(f"select {marks}", values) == [tuple(values)]
        assert recording.query("select ?, ?, ?", [True, bytearray(b"a"), float("nan")]) == [(1, b"a", None)]
        named = recording.query("select :a, @b, $c, :a", {"a": 1, ":b": 2, "c": 3, "unused": 4})
        assert named == [(1, 2, 3, 1)]
        assert recording.query("select ?2, ?1", [1, 2]) == [(2, 1)]
        query = recording.query
        raises(dashcam.DashcamError, "has 1 parameters, 0 were given", query, "select ?")
        raises(dashcam.DashcamError, "has 0 parameters, 1 were given", query, "select 1", [1])
        raises(dashcam.DashcamError, "no value for :a", query, "select :a", {"b": 1})
        raises(OverflowError, "64 bits", query, "select ?", [2**63])
        raises(TypeError, "no SQL value: list", query, "select ?", [[]])
        raises(TypeError, "a sequence or mapping", query, "select ?", "a")
        raises(UnicodeEncodeError, "surrogates", query, "select ?", ["\ud800"])


def streams(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        sql = "select seq, kind, thread_id from events order by seq"
        all_rows = list(run.query(sql))
        assert len(all_rows) > 3000
        # Three streams at once, with other questions in between.
        a, b = run.stream(sql), run.stream(sql + " desc")
        kept = run.query(sql)
        for at, (x, y, z) in enumerate(zip(a, b, kept, strict=True)):
            assert x == all_rows[at] == z and y == all_rows[-at - 1]
            if at % 500 == 0:
                assert run.at(x.seq).event == x.kind
        for call in run.calls():
            assert call.start.call_id == call.call_id
        # Streams that are not read to their end are closed.
        for _ in range(50):
            assert next(run.stream(sql)) == all_rows[0]
        half = run.stream(sql)
        next(half)
        half.close()
        assert list(half) == []
        assert recording.query("select 1") == [(1,)]
        assert not recording._server.abandoned


def frames(db):
    with dashcam.open(db) as recording:
        rows = recording.query("select 1 as a, 9007199254740993 as b, 'x' as a union all select 2, null, 'y'")
        found = {name for name in ("pandas", "polars") if importlib.util.find_spec(name)}
        for name, make in (("pandas", rows.to_pandas), ("polars", rows.to_polars)):
            if name not in found:
                raises(dashcam.DashcamError, f"this needs {name}, which is not installed", make)
                continue
            frame = make()
            assert list(frame.columns) == ["a", "b", "a_2"] and len(frame) == 2
            assert int(frame["b"][0]) == 9007199254740993 and list(frame["a_2"]) == ["x", "y"]
        if found:
            assert type(rows.df()).__module__.split(".")[0] == min(found)
        else:
            raises(dashcam.DashcamError, "pandas or polars", rows.df)


def refused(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        for ask in (recording.query, run.query):
            raises(dashcam.DashcamError, "no such table: evnts; did you mean events?", ask, "select * from evnts")
            raises(dashcam.DashcamError, "did you mean qualname?", ask, "select qualnme from calls")
            raises(dashcam.DashcamError, "this statement is not a query", ask, "delete from runs")
            raises(dashcam.DashcamError, "one statement at a time", ask, "select 1; select 2")
            raises(dashcam.DashcamError, "syntax error", ask, "select select")
            raises(dashcam.DashcamError, "", ask, "")
        assert run.query("select 1") == [(1,)]


globals()[sys.argv[1]](sys.argv[2])
