//! Functions that SQLite lacks for texts and numbers.

use dashcam_tests::{Python, Recording, program, run, text};

fn recording() -> Recording {
    Recording::new(&Python::any(), [program("loops.py")])
}

#[test]
fn texts_match_regular_expressions() {
    let recording = recording();
    recording.check(
        "select 'Order.total' regexp '^Order', 'Order.total' regexp 'tot', 'Order.total' regexp '^tot',
                'größe' regexp '^gr\\wße$', regexp('a|b', 'xbx'), 'x' regexp null, null regexp 'x'",
        "1 1 0 1 1 - -",
    );
    recording.check(
        "select count(*) from code_objects where path regexp 'loops[.]py$' and qualname = '<module>'",
        "1",
    );
}

/// Results are those of Python's `statistics` and of SQLite's own extension.
#[test]
fn medians_and_percentiles_are_interpolated() {
    let recording = recording();
    recording.check(
        "select median(column1), percentile(column1, 0), percentile(column1, 100), percentile(column1, 25),
                percentile(column1, 75) from (values (4), (1), (null), (2.5), (10))",
        "3.25 1.0 10.0 2.125 5.5",
    );
    recording.check("select median(7), median(null)", "7.0 -");
    recording.check("select median(column1) from (values (1)) where false", "-");
    recording.check(
        "select column1, median(column2) from (values ('a', 1), ('b', 5), ('a', 3)) group by 1",
        "a 2.0
         b 5.0",
    );
    recording.check(
        "select median(self_ns) <= percentile(self_ns, 99) and count(*) > 0 from calls",
        "1",
    );
}

#[test]
fn wrong_arguments_are_refused() {
    let recording = recording();
    for (sql, words) in [
        ("select median('x')", "median: numbers are needed"),
        ("select percentile(1, 101)", "p is to be a number from 0 to 100"),
        ("select percentile(1, null)", "p is to be a number from 0 to 100"),
        ("select percentile(1, column1) from (values (1), (2))", "p differs from row to row"),
        ("select 'x' regexp '('", "not a regular expression: unclosed group"),
    ] {
        let mut command = recording.python.dashcam();
        let output = run(command.arg("query").arg(&recording.db).arg(sql));
        let printed = text(&output.stderr);
        assert!(!output.status.success() && printed.contains(words), "{sql}: {printed}");
        assert_eq!(printed.lines().count(), 1, "{sql}: {printed}");
    }
}
