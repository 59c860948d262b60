//! Tables that answer questions, each compared with another way to the same answer.

use dashcam_tests::{Python, Recording, check, program, run, text};
use std::sync::LazyLock;

static RECORDING: LazyLock<Recording> =
    LazyLock::new(|| Recording::new(&Python::any(), [program("standard_library.py")]));

/// Its recording has values of variables, threads, and exceptions that lead to others.
static CHAINED: LazyLock<Recording> =
    LazyLock::new(|| Recording::new(&Python::any(), [program("chained.py")]));

fn agree(recording: &Recording, one: &str, other: &str) {
    let (first, second) = (recording.text(one), recording.text(other));
    assert!(!first.is_empty(), "{one}");
    assert!(first == second, "{one}\n{first}\n--- differs from\n{other}\n{second}");
}

#[test]
fn callers_and_callees_are_calls_with_their_parents() {
    let numbers =
        "count(*), sum(c.exit = 'unwind'), sum(coalesce(c.duration_ns, 0)), sum(c.self_ns)";
    let calls = "calls c left join calls p on p.call_id = c.parent_call_id";
    for (table, of) in [("callers_of", "callee_id"), ("callees_of", "caller_id")] {
        let of_calls = if of == "callee_id" { "c.code_id" } else { "p.code_id" };
        agree(
            &RECORDING,
            &format!(
                "select caller_id, line, callee_id, calls, failed, total_ns, self_ns
                 from code_objects o, {table}(o.code_id) t where o.kind <> 'module'
                 order by 1, 2, 3"
            ),
            &format!(
                "select p.code_id as caller, c.call_line, c.code_id as callee, {numbers}
                 from {calls} join code_objects o on o.code_id = {of_calls} where o.kind <> 'module'
                 group by 1, 2, 3 order by 1, 2, 3"
            ),
        );
    }
}

#[test]
fn a_function_is_named_by_the_end_of_its_qualified_name() {
    let names = |argument: &str| {
        RECORDING.text(&format!("select distinct callee from callers_of({argument}) order by 1"))
    };
    assert_eq!(names("'JSONEncoder.encode'"), "JSONEncoder.encode");
    assert!(names("'encode'").contains("JSONEncoder.encode"));
    assert_eq!(names("'ncode'"), "");
    assert_eq!(names("''"), "");
}

#[test]
fn a_call_tree_is_a_call_and_all_within() {
    for condition in ["depth = 0", "qualname = 'JSONEncoder.encode'", "parent_call_id > 0"] {
        let call =
            format!("(select max(call_id) from calls where {condition} and exit = 'return')");
        agree(
            &RECORDING,
            &format!(
                "select level, call_id, parent_call_id, qualname, call_line, start_seq, end_seq, start_ns,
                        duration_ns, self_ns, exit, arguments, result, exception, trim(tree)
                 from call_tree(1, {call}) order by call_id"
            ),
            &format!(
                "with recursive tree(level, id) as (
                   select 0, {call}
                   union all select level + 1, c.call_id from tree, calls c where c.parent_call_id = tree.id)
                 select level, call_id, parent_call_id, qualname, call_line, start_seq, end_seq, start_ns,
                        duration_ns, self_ns, exit, arguments, result, exception, trim(qualname)
                 from tree join calls on call_id = id order by call_id"
            ),
        );
    }
}

#[test]
fn lines_have_the_counts_of_line_events_and_the_time_there_was() {
    agree(
        &RECORDING,
        "select l.path, l.line, l.hits from (select distinct path from code_objects) f, lines(f.path) l
         where l.hits > 0 order by 1, 2",
        "select path, line, count from line_counts order by 1, 2",
    );
    let spent = RECORDING.number(
        "select sum(l.time_ns) from (select distinct path from code_objects) f, lines(f.path) l",
    );
    let passed = RECORDING.number("select max(time_ns) - min(time_ns) from events");
    assert!(spent <= passed && spent > passed / 100 * 98, "{spent} of {passed} ns");
    // One line only sleeps, and another only calls.
    let sleeps =
        "import time\ndef f():\n    time.sleep(0.05)\n    return 1\nfor n in range(3):\n    f()\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sleeps.py");
    std::fs::write(&path, sleeps).unwrap();
    Recording::new(&Python::any(), [path]).check(
        "select line, hits, time_ns > 145e6 from lines('sleeps.py')",
        "1 1 0
         2 1 0
         3 3 1
         4 3 0
         5 4 0
         6 3 0",
    );
}

#[test]
fn executable_lines_are_those_that_can_run() {
    agree(
        &RECORDING,
        "select path, line, max(count) from executable_lines where count > 0 group by 1, 2 order by 1, 2",
        "select path, line, count from line_counts where line > 0 order by 1, 2",
    );
    let source = "def f(n):\n    if n:\n        return 1\n    # nothing\n    x = (n,\n         2)\n    return x\n\nf(1)\nif f(2) > 1:\n    print(3)\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("parts.py");
    std::fs::write(&path, source).unwrap();
    for python in Python::all() {
        Recording::new(&python, [path.clone()]).check(
            "select line, qualname, count from executable_lines where path like '%parts.py' and count = 0
             order by line",
            "5 f 0
             6 f 0
             7 f 0
             11 <module> 0",
        );
    }
}

#[test]
fn values_of_a_name_are_its_variables() {
    agree(
        &CHAINED,
        "select v.seq, v.thread_id, v.call_id, v.scope, v.line, v.value, v.object_id, v.time_ns, v.qualname
         from values_of('error') v order by seq",
        "select v.seq, v.thread_id, v.call_id, v.scope, v.line, v.value, v.object_id, e.time_ns, o.qualname
         from variables v join events e using (run_id, seq) join code_objects o using (code_id)
         where v.name = 'error' order by v.seq",
    );
}

#[test]
fn events_between_are_events_with_names() {
    agree(
        &RECORDING,
        "select seq, time_ns, thread_id, kind, code_id, qualname, path, line, callable, exception, value
         from events_between(1, 30000, 30999) order by seq",
        "select seq, time_ns, thread_id, events.kind, code_id, qualname, path, line, callable, exception, value
         from events left join code_objects using (code_id) where seq between 30000 and 30999 order by seq",
    );
    check(
        "loops.py",
        "select b.line, b.source from runs r, events_between(r.run_id, 1, 1000000) b
         where b.path like '%/loops.py' and b.kind = 'LINE' and b.line = 2 limit 1",
        &format!(
            "2 {}",
            std::fs::read_to_string(program("loops.py")).unwrap().lines().nth(1).unwrap().trim()
        ),
    );
}

#[test]
fn a_timeline_counts_events_by_their_time() {
    for (recording, buckets) in [(&*RECORDING, 7), (&*RECORDING, 1), (&*CHAINED, 1000)] {
        agree(
            recording,
            &format!(
                "select bucket, events, calls, exceptions, threads from timeline({buckets})
                 where events > 0 order by bucket"
            ),
            &format!(
                "select time_ns * {buckets} / ((select max(time_ns) from events) + 1), count(*),
                        sum(kind = 'PY_START'), sum(kind = 'RAISE'), count(distinct thread_id)
                 from events group by 1 order by 1"
            ),
        );
        let text = recording.text(&format!(
            "select count(*), min(start_ns), sum(end_ns - start_ns) - (select max(time_ns) from events)
             from timeline({buckets})"
        ));
        assert_eq!(text, format!("{buckets} 0 1"));
    }
}

#[test]
fn slowest_and_failed_calls_are_calls() {
    agree(
        &RECORDING,
        "select call_id, duration_ns, arguments from slowest where call_line > 10 limit 20",
        "select call_id, duration_ns, arguments from calls where call_line > 10 and duration_ns is not null
         order by duration_ns desc limit 20",
    );
    agree(
        &RECORDING,
        "select call_id, exception, arguments from failed_calls",
        "select call_id, exception, arguments from calls where exit = 'unwind' order by call_id",
    );
}

#[test]
fn an_exception_chain_is_what_a_traceback_prints() {
    let source = "\
class Odd(Exception):
    pass

def first():
    raise KeyError('k')

def second():
    try:
        first()
    except KeyError as error:
        raise ValueError('v') from error

def third():
    try:
        second()
    except ValueError:
        int('x')

try:
    third()
except ValueError:
    pass
try:
    raise Odd(1) from OSError('never raised')
except Odd:
    pass
";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.py");
    std::fs::write(&path, source).unwrap();
    let chain = |type_and_line: &str| {
        format!(
            "select c.level, c.relation, c.type, c.qualname, c.line, c.seq is null
             from exceptions e, exception_chain(e.run_id, e.seq) c where {type_and_line} order by c.level"
        )
    };
    for python in Python::all() {
        let recording = Recording::new(&python, [path.clone()]);
        recording.check(
            &chain("e.type = 'ValueError' and e.line = 17"),
            "0 raised ValueError third 17 0
             1 context ValueError second 11 0
             2 cause KeyError first 5 0",
        );
        recording.check(
            &chain("e.type = 'Odd'"),
            "0 raised Odd <module> 24 0
             1 cause OSError - - 1",
        );
        recording.check(
            "select count(*) from exceptions e, exception_chain(e.run_id, e.seq) c
             where e.path like '%chain.py' and c.seq = e.seq and c.call_id = e.call_id and c.line = e.line
               and c.message is e.message and c.arguments is e.arguments",
            "4",
        );
    }
}

#[test]
fn invalid_questions_are_refused_in_one_line() {
    for (sql, words) in [
        ("select * from lines", &["lines(file)"][..]),
        ("select * from callers_of", &["callers_of(function)"]),
        ("select * from call_tree(1)", &["call_tree(run_id, call)"]),
        ("select * from call_tree(9, 1)", &["no run 9", "the last is 1"]),
        ("select * from call_tree(1, 123456789)", &["no call 123456789"]),
        ("select * from exception_chain(1, 1)", &["no exception", "exceptions.seq"]),
        ("select * from timeline(0)", &["1 to 1000000"]),
    ] {
        let mut query = RECORDING.python.dashcam();
        let output = run(query.arg("query").arg(&RECORDING.db).arg(sql));
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{sql}: {printed}");
        assert_eq!(printed.trim_end().lines().count(), 1, "{printed}");
        for word in words {
            assert!(printed.contains(word), "{word} is not in: {printed}");
        }
    }
    // A name that does not exist is no error where that is possible: there are no rows.
    for sql in
        ["callers_of('no_such_function')", "lines('no_such_file.py')", "values_of('no_such_name')"]
    {
        assert_eq!(RECORDING.text(&format!("select count(*) from {sql}")), "0");
    }
}

#[test]
fn a_question_by_name_is_about_the_run_that_is_shown() {
    let python = Python::any();
    let recording = Recording::new(&python, [program("loops.py")]);
    let again = run(python.record(&recording.db).arg(program("loops.py")));
    assert!(again.status.success(), "{}", text(&again.stderr));
    for table in
        ["lines('loops.py')", "timeline(3)", "executable_lines", "slowest", "values_of('k')"]
    {
        let sql = format!(
            "select group_concat(run_id) from (select distinct run_id from {table} order by 1)"
        );
        for (choice, expected) in [("1", "1"), ("2", "2"), ("all", "1,2")] {
            let mut query = python.dashcam();
            query
                .arg("query")
                .arg(&recording.db)
                .arg(&sql)
                .args(["--format", "csv", "--run", choice]);
            let output = run(&mut query);
            let found = text(&output.stdout);
            let found = found.lines().nth(1).unwrap_or_default().trim_matches('"');
            assert_eq!(found, expected, "{sql}");
        }
        let code = "import dashcam, sys\n\
                    with dashcam.open(sys.argv[1]) as recording:\n\
                    \x20   for run in (recording[1], recording[2]):\n\
                    \x20       for row in run.query(sys.argv[2]): assert row[0] in (str(run.run_id), None), row\n\
                    \x20   print([row[0] for row in recording.query(sys.argv[2])])";
        let output = run(python.bare().args(["-c", code]).arg(&recording.db).arg(&sql));
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
    }
}
