"""Other libraries read exports and the Python API: they get the rows of SQL.

A claim prints nothing if it holds.
"""

import datetime
import json
import os
import sys
import warnings

import dashcam
import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet

VIRTUAL = ["events", "calls", "exceptions", "variables", "mutations"]
TABLES = [
    *VIRTUAL, "runs", "processes", "threads", "files", "code_objects", "event_counts", "line_counts",
    "branch_counts", "function_totals", "losses",
]  # fmt: skip


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return value


def arrow_rows(table):
    columns = [[plain(value) for value in column.to_pylist()] for column in table.columns]
    return [tuple(row) for row in zip(*columns, strict=True)]


def sql_rows(run, table, names):
    """Returns the same rows by SQL, with times as Python has them."""

    def value(name, row):
        if name == "wall_time":
            return None if row["wall_ns"] is None else row["wall_ns"]
        if name in ("started_at", "ended_at"):
            return row[name] and datetime.datetime.fromisoformat(row[name]).isoformat()
        return row[name]

    where = f" where run_id = {run.run_id}" if table == "runs" else ""
    rows = run.stream(f"select * from {table}{where}")
    return [tuple(value(name, row) for name in names) for row in rows]


def compare(run, table, data, claim):
    """Asserts that an Arrow table has the rows of a run."""
    names = data.column_names
    if "wall_time" in names:
        # Exact to the nanosecond, which Python's own times are not.
        at = names.index("wall_time")
        since = data.column("wall_time").cast("int64").to_pylist()
        start = datetime.datetime.fromisoformat(run.started_at)
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        began = (start - epoch) // datetime.timedelta(microseconds=1) * 1000
        wall = pyarrow.array([None if ns is None else ns - began for ns in since])
        data = data.set_column(at, "wall_time", wall)
    for name in ("started_at", "ended_at"):
        if name in names:
            data = data.set_column(names.index(name), name, data.column(name).cast(pyarrow.timestamp("us", "UTC")))
    found, expected = arrow_rows(data), sql_rows(run, table, names)
    found.sort(key=repr)
    expected.sort(key=repr)
    assert found == expected, (claim, table, run, found[:3], expected[:3])


def round_trip_of(*arguments):
    # Some values of a run that was killed are missing, by columns and by SQL alike.
    warnings.simplefilter("ignore", dashcam.DashcamWarning)
    *recordings, folder = arguments[-2:]
    for path in recordings:
        with dashcam.open(path) as recording:
            for run in recording.runs:
                for table in TABLES:
                    files = f"{folder}/{table}/run={run.uuid}"
                    data = pyarrow.parquet.read_table(files, partitioning=None)
                    compare(run, table, data, "pyarrow")
                    # Its times with a zone are in microseconds.
                    engine = duckdb.sql(
                        f"select * exclude (run{', process' if table in VIRTUAL else ''}{', wall_time' if table == 'events' else ''}) from "
                        f"read_parquet('{files}/**/*.parquet', hive_partitioning = true)"
                    ).arrow()
                    engine = engine.read_all() if hasattr(engine, "read_all") else engine
                    compare(run, table, engine, "duckdb")


def round_trip(*arguments):
    *recordings, folder = arguments
    for path in recordings:
        round_trip_of(path, folder)


def taken(*recordings):
    for path in recordings:
        with dashcam.open(path) as recording:
            run = recording.run()
            for table in TABLES:
                compare(run, table, pyarrow.table(run.arrow(table)), "arrow")
            calls = run.arrow("calls", ["qualname", "self_ns"], "depth < 4 and exit = 'return'")
            expected = [tuple(r) for r in run.query("select qualname, self_ns from calls where depth < 4 and exit = 'return'")]
            # Each of them reads the stream again from its start.
            assert polars.DataFrame(calls).rows() == expected
            assert arrow_rows(pyarrow.table(calls)) == expected
            assert duckdb.sql("select * from calls").fetchall() == expected
            frame = pyarrow.table(calls).to_pandas()
            assert list(frame.itertuples(index=False, name=None)) == expected
            if hasattr(pandas.DataFrame, "from_arrow"):
                assert len(pandas.DataFrame.from_arrow(calls)) == len(expected)
            schema = pyarrow.schema(calls)
            assert schema.names == ["qualname", "self_ns"], schema
            odd = "qualname like '%total' or line > 3 -- all of it"
            with_odd = pyarrow.table(run.arrow("exceptions", ["seq"], odd.replace("qualname", "path")))
            assert arrow_rows(with_odd) == [tuple(r) for r in run.query(f"select seq from exceptions where {odd.replace('qualname', 'path')}")]
            both = pyarrow.table(recording.arrow("events", ["run_id", "seq"]))
            assert arrow_rows(both) == [tuple(r) for r in recording.query("select run_id, seq from events")]
            for broken, words in [
                (run.arrow("evnts"), "no table evnts; did you mean events?"),
                (run.arrow("events", ["sek"]), "no column sek"),
                (run.arrow("events", where="nonsense("), "incomplete input"),
            ]:
                for take in (broken.__arrow_c_stream__, broken.__arrow_c_schema__):
                    try:
                        take()
                    except dashcam.DashcamError as error:
                        assert words in str(error) and "\n" not in str(error), error
                    else:
                        raise AssertionError(words)
        try:
            run.arrow("events")
        except dashcam.DashcamError as error:
            assert "closed" in str(error)
        else:
            raise AssertionError("closed")
        # A stream that is not read to its end.
        left = calls.__arrow_c_stream__()
        del left


def frames(*recordings):
    questions = [
        ("select * from calls", ()),
        ("select * from runs", ()),
        ("select * from code_objects", ()),
        ("select 1 as a, null as b, 2.5 as c, 'x' as d, x'00ff' as e union all select null, null, 3, null, null", ()),
        ("select seq from events where 0", ()),
        ("select ? as a, ? as b", (1, "x")),
        ("select :a as a, :b as b", {"a": 2.5, "b": b"x"}),
        ("select 1 as a union all select 'x'", ()),
        ("select 1 as a, 2 as a", ()),
        ("select 9007199254740993 as a union all select null", ()),
    ]
    with dashcam.open(recordings[0]) as recording:
        for run in recording.runs:
            for sql, parameters in questions:
                for make in ("to_pandas", "to_polars"):
                    if make == "to_polars" and "union all select 'x'" in sql:
                        continue
                    by_columns = getattr(run.query(sql, parameters), make)()
                    rows = run.query(sql, parameters)
                    # Rows that were begun to be read are read on by rows.
                    bool(rows)
                    by_rows = getattr(rows, make)()
                    if make == "to_pandas":
                        pandas.testing.assert_frame_equal(by_columns, by_rows)
                    else:
                        assert by_columns.schema == by_rows.schema, (sql, by_columns.schema, by_rows.schema)
                        assert by_columns.equals(by_rows), sql


def evolution(*arguments):
    """Reads a run that an older dashcam exported, without a column."""
    folder = arguments[-1]
    older = f"{folder}/../older"
    os.makedirs(f"{older}/runs/run=00000000-0000-7000-8000-000000000000")
    path = next(os.path.join(at, name) for at, _, names in os.walk(f"{folder}/runs") for name in names)
    data = pyarrow.parquet.read_table(path, partitioning=None)
    assert json.loads(data.to_pylist()[0]["command"])
    before = data.drop_columns(["uuid"])
    pyarrow.parquet.write_table(before, f"{older}/runs/run=00000000-0000-7000-8000-000000000000/part-0.parquet")
    uuid = data.column("uuid").to_pylist()[0]
    os.makedirs(f"{older}/runs/run={uuid}")
    pyarrow.parquet.write_table(data, f"{older}/runs/run={uuid}/part-0.parquet")
    expected = [(None, "00000000-0000-7000-8000-000000000000"), (uuid, uuid)]
    rows = duckdb.sql(
        f"select uuid, run from read_parquet('{older}/runs/**/*.parquet', hive_partitioning = true, union_by_name = true)"
        " order by run"
    ).fetchall()
    assert [(u, str(r)) for u, r in rows] == expected, rows


globals()[sys.argv[1]](*sys.argv[2:])
