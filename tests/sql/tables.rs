//! Each table is compared with the events that it summarises or is made of.

use dashcam_tests::{Python, Recording, check, plain, program};
use std::sync::LazyLock;

/// One recording for all questions that only read. Nothing here changes it.
static RECORDING: LazyLock<Recording> =
    LazyLock::new(|| Recording::new(&Python::any(), [program("standard_library.py")]));

/// The events, with every condition decided by SQLite itself: it hands none to the inside of a
/// LIMIT.
const ALONE: &str = "(select * from events limit -1 offset 0)";

fn agree(one: &str, other: &str) {
    let (one, other) = (RECORDING.text(one), RECORDING.text(other));
    assert!(!one.is_empty());
    assert!(one == other, "\n{one}\n--- differs from\n{other}");
}

#[test]
fn event_count_is_the_number_of_events() {
    agree("select event_count from runs", "select count(*) from events");
    agree("select event_count from runs", "select sum(count) from event_counts");
}

#[test]
fn event_counts_are_counts_of_events() {
    agree(
        "select kind, thread_id, code_id, count from event_counts order by 1, 2, 3",
        "select kind, thread_id, code_id, count(*) from events group by 1, 2, 3 order by 1, 2, 3",
    );
}

#[test]
fn line_counts_are_counts_of_line_events() {
    agree(
        "select path, line, count from line_counts order by 1, 2",
        "select path, line, count(*) from events join code_objects using (code_id)
         where events.kind = 'LINE' group by 1, 2 order by 1, 2",
    );
}

#[test]
fn branch_counts_are_counts_of_branches() {
    agree(
        "select code_id, sum(taken + not_taken) from branch_counts group by 1 order by 1",
        "select code_id, count(*) from events where kind like 'BRANCH%' group by 1 order by 1",
    );
    // A `for` and an `if` that went both ways have one row each.
    check(
        "loops.py",
        &format!(
            "select taken > 0, not_taken > 0 from branch_counts where path = '{}' and line < 4",
            program("loops.py").display()
        ),
        "1 1
         1 1",
    );
}

#[test]
fn filters_decide_as_sqlite_would() {
    for condition in [
        "kind = 'LINE'",
        "kind in ('CALL', 'RAISE')",
        "kind = 'NO SUCH KIND'",
        "kind like 'PY%'",
        "code_id = (select code_id from code_objects where qualname = 'JSONEncoder.encode')",
        "line = 10",
        "line between 10 and 12",
        "seq between 1000 and 1009",
        "seq = 1000",
        "seq > 1000 and seq <= 1010",
        "time_ns > (select max(time_ns) / 2 from events)",
        "callable = 'len'",
        "exception = 'StopIteration'",
        "exception is not null",
        "target_offset < offset",
        "kind = 'CALL' and callable like 'json.%' and line > 100",
        "thread_id = (select min(thread_id) from threads) and kind = 'PY_START'",
        "thread_id = -1",
        "run_id = 1",
        "run_id = 2",
        "offset = 4",
        "kind = null",
        "seq < 1e9 and line = '10'",
    ] {
        let sums = "select count(*), sum(seq), min(seq), max(seq) from";
        agree(
            &format!("{sums} events where {condition}"),
            &format!("{sums} {ALONE} where {condition}"),
        );
    }
}

#[test]
fn every_order_and_limit() {
    for rest in [
        "where kind = 'RAISE' order by seq desc limit 3",
        "order by seq limit 5 offset 70000",
        "where line > 20 order by seq limit 7",
        "order by time_ns desc, seq limit 4",
    ] {
        agree(
            &format!("select seq, kind from events {rest}"),
            &format!("select seq, kind from {ALONE} {rest}"),
        );
    }
}

#[test]
fn seq_is_unique_and_increasing() {
    agree("select count(*) from events", "select count(distinct seq) from events");
    agree(
        "select 0",
        "select count(*) from (select seq <= lag(seq) over () as bad from events) where bad",
    );
}

#[test]
fn a_call_is_from_start_to_end() {
    agree("select count(*) from calls", "select count(*) from events where kind = 'PY_START'");
    agree(
        "select count(*), sum(call_id) from calls where exit = 'return'",
        "select count(*), sum(call_id) from calls c join events e on e.seq = c.end_seq
         where e.kind = 'PY_RETURN' and e.code_id = c.code_id",
    );
    agree(
        "select count(*) from calls where exit = 'unwind'",
        "select count(*) from calls c join events e on e.seq = c.end_seq
         where e.kind = 'PY_UNWIND' and e.code_id = c.code_id and e.exception = c.exception",
    );
    agree(
        "select count(*) from calls",
        "select count(*) from calls c join events e on e.seq = c.start_seq where e.time_ns = c.start_ns",
    );
    agree("select 0", "select count(*) from calls where duration_ns < 0 or self_ns > duration_ns");
}

#[test]
fn function_totals_are_sums_of_calls() {
    agree(
        "select code_id, calls, unwinds, self_ns from function_totals where calls > 0 order by 1",
        "select code_id, count(*), sum(exit = 'unwind'), sum(self_ns) from calls
         where exit <> 'open' group by 1 order by 1",
    );
}

#[test]
fn an_exception_is_one_row_however_far_it_travels() {
    check(
        "recursion_deep.py",
        "select type, message, handled_line, (select count(*) from events e where e.kind = 'RAISE'
           and e.exception = x.type) from exceptions x where type = 'LookupError'",
        "LookupError bottom 28 42",
    );
    check(
        "uncaught.py",
        "select type, line, handled_seq from exceptions where type = 'ZeroDivisionError'",
        "ZeroDivisionError 9 -",
    );
    // A handler begins at the first `except` of its `try`, whichever of them takes the exception.
    check(
        "exceptions.py",
        &format!(
            "select type, message, line, handled_line from exceptions where path = '{}' order by seq",
            program("exceptions.py").display()
        ),
        "KeyError 1 7 12
         IndexError list index out of range 9 12
         OSError os 11 26",
    );
}

#[test]
fn sources_are_kept() {
    for python in Python::all() {
        let script = program("unicode_names.py");
        let recording = Recording::new(&python, [&script]);
        let source = recording
            .value(&format!("select source from files where path = '{}'", script.display()));
        assert_eq!(plain(&source), std::fs::read_to_string(&script).unwrap());
        recording.check(
            "select qualname, first_line from code_objects where qualname like 'Größe.%' order by 2",
            "Größe.__init__ 5\nGröße.面積 8",
        );
    }
}

#[test]
fn kinds_of_code_objects() {
    check(
        "async_basics.py",
        "select kind from code_objects where qualname in ('main', 'agen', 'Ticker', 'Ticker.__init__') order by qualname",
        "class\nfunction\nasync_generator\ncoroutine",
    );
    check(
        "lambdas.py",
        "select distinct kind from code_objects where qualname = '<lambda>'",
        "lambda",
    );
}

#[test]
fn runs_say_how_they_came_about() {
    for python in Python::all() {
        let script = program("arguments.py");
        let recording = Recording::new(&python, [script.as_os_str(), "a b".as_ref()]);
        let version = python.eval("sys.version.split()[0]");
        recording.check(
            "select python_version, status, exit_code from runs",
            &format!("{version} complete 0"),
        );
        let command = plain(&recording.value("select command from runs"));
        assert!(command.contains(r#""a b""#), "{command}");
        let times = plain(&recording.value("select started_at || ended_at from runs"));
        assert!(times.contains('T') && times.matches('Z').count() == 2, "{times}");
        assert!(recording.number("select pid from processes") > 1);
        recording.check("select name from threads", "MainThread");
    }
}

/// The parts of a statement that the tables take over do not change the answer: variables and
/// changes of objects in any order, those of some calls, or only their number.
#[test]
fn variables_and_mutations_are_the_same_however_they_are_asked_for() {
    for name in ["state_objects.py", "state_changes.py", "generators.py", "threads.py"] {
        let path = program(name);
        let recording = Recording::new(&Python::any(), ["--no-stdlib".as_ref(), path.as_os_str()]);
        for (table, columns) in [
            ("variables", "name, value, object_id, scope"),
            ("mutations", "type, operation, key, value"),
        ] {
            let columns = format!("seq, call_id, thread_id, line, {columns}");
            // SQLite itself sorts, filters and counts the rows of a LIMIT.
            let alone = format!("(select * from {table} limit -1 offset 0)");
            let same = |one: &str, other: &str| {
                let (one, other) = (recording.text(one), recording.text(other));
                assert!(one == other, "{name}: {table}\n{one}\n--- differs from\n{other}");
            };
            same(
                &format!("select seq from {table} order by seq desc"),
                &format!("select seq from {alone} order by seq desc"),
            );
            // Within one run, only the position decides the order.
            same(
                &format!("select seq from {table} order by run_id desc, seq"),
                &format!("select seq from {alone} order by seq"),
            );
            same(
                &format!("select {columns} from {table} order by run_id, seq"),
                &format!("select {columns} from {alone}"),
            );
            same(
                &format!("select call_id, line, count(*) from {table} group by 1, 2"),
                &format!("select call_id, line, count(*) from {alone} group by 1, 2"),
            );
            same(
                &format!("select {columns} from {table} order by seq desc limit 3"),
                &format!(
                    "select * from (select row_number() over () as n, {columns} from {alone})
                     order by n desc limit 3"
                )
                .replace("select * from (", &format!("select {columns} from (")),
            );
            for call in recording.rows(&format!("select distinct call_id from {alone} limit 40")) {
                let call = plain(&call[0]);
                same(
                    &format!("select {columns} from {table} where call_id = {call}"),
                    &format!("select {columns} from {alone} where call_id = {call}"),
                );
            }
            same(
                &format!(
                    "select c.qualname, v.* from calls c join {table} v using (run_id, call_id)
                     order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
                ),
                &format!(
                    "select c.qualname, v.* from calls c join {alone} v using (run_id, call_id)
                     order by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
                ),
            );
        }
    }
}

/// The slowest calls are sorted before their arguments are written.
#[test]
fn the_calls_that_come_first_are_those_sqlite_finds() {
    let all = "(select * from calls limit -1 offset 0)";
    for column in ["duration_ns", "self_ns", "start_seq", "end_seq", "depth"] {
        for direction in ["", "desc"] {
            for limit in ["1", "20", "5 offset 3", "100000"] {
                let end = format!("order by {column} {direction} limit {limit}");
                agree(
                    &format!("select {column} from calls {end}"),
                    &format!("select {column} from {all} {end}"),
                );
            }
        }
    }
    let end = "order by start_seq desc limit 30";
    agree(&format!("select * from calls {end}"), &format!("select * from {all} {end}"));
}
