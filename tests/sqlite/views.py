"""A client that has loaded nothing reads the recording that is its argument."""

import sqlite3
import sys

connection = sqlite3.connect(sys.argv[1])

for statement in (
    "SELECT * FROM events",
    "SELECT count(*) FROM events",
    "SELECT kind, count(*) FROM events WHERE kind = 'LINE' GROUP BY kind",
    "SELECT * FROM events WHERE run_id = 1 ORDER BY seq LIMIT 3",
    "SELECT * FROM runs JOIN calls USING (run_id) WHERE exit = 'unwind'",
    "SELECT exists(SELECT 1 FROM variables WHERE name = 'total' AND 0 < 1)",
    "CREATE TEMP TABLE copy AS SELECT * FROM mutations",
):
    try:
        rows = connection.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        assert "dashcam sqlite-extension" in str(error) and "dashcam query" in str(error), error
    else:
        raise AssertionError(f"{statement}: {rows}")

# Clients that list what there is.
listed = {name for name, in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'")}
tables = {"events", "calls", "c_calls", "exceptions", "variables", "mutations"}
assert listed == tables | {"executable_lines", "slowest", "failed_calls"}, listed
columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
assert columns[:3] == ["run_id", "seq", "process_id"], columns
names = "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.name = 'calls'"
assert ("calls", "duration_ns") in connection.execute(names).fetchall()
assert connection.execute("SELECT * FROM events LIMIT 0").fetchall() == []

# Operations on whole databases.
dump = "\n".join(connection.iterdump())
copy = sqlite3.connect(":memory:")
copy.executescript(dump)
assert copy.execute("SELECT count(*) FROM runs").fetchone() == (2,)
for statement in ("VACUUM", "ANALYZE", "PRAGMA integrity_check", "CREATE TABLE t (x)",
                  "ALTER TABLE t RENAME COLUMN x TO y", "ALTER TABLE t RENAME TO u", "DROP TABLE u"):
    connection.execute(statement)
connection.close()
copy.close()
