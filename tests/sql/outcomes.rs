//! What became of exceptions, and which runs a query sees.

use dashcam_tests::{
    Python, Recording, check, plain, program, run, run_with_input, tests_path, text,
};

#[test]
fn exceptions_say_what_stopped_them() {
    for python in Python::all() {
        let recording = Recording::new(&python, [program("sql/swallowed.py")]);
        // CPython decides whether an unfinished generator gets a GeneratorExit when it ends.
        recording.check(
            "select type, line, outcome, coalesce(swallowed_by, '-') from exceptions
             where path like '%/swallowed.py' and type <> 'GeneratorExit' order by seq",
            "AttributeError 9 swallowed hasattr
             AttributeError 9 swallowed getattr
             TypeError 12 swallowed list
             StopIteration 26 swallowed for
             StopIteration 26 swallowed list
             IndexError 33 swallowed for
             ValueError 38 swallowed __del__
             ValueError 42 swallowed the interpreter, which called gone
             TypeError 12 handled -
             LookupError 51 thread -
             LookupError 55 thread -
             LookupError 60 handled -
             SystemExit 90 program -",
        );
        recording.check(
            "select distinct coalesce(swallowed_by, '-') from exceptions
             where path like '%/swallowed.py' and type = 'GeneratorExit'",
            if recording.number("select count(*) from exceptions where type = 'GeneratorExit'") > 0
            {
                "generator.close"
            } else {
                ""
            },
        );
        // Every exception has one of these outcomes. Only a swallowed one says by what, and a
        // handled one says where.
        recording.check(
            "select count(*) from exceptions
             where outcome not in ('handled', 'swallowed', 'thread', 'program')
                or (swallowed_by is null) = (outcome = 'swallowed')
                or handled_seq is null and outcome = 'handled'",
            "0",
        );
    }
}

#[test]
fn what_ended_the_program_is_one_command_away() {
    for python in Python::all() {
        let recording = Recording::new(
            &python,
            ["-c", "import json\ndef pay(o):\n return o['p'] * 2\npay({'p': None})"],
        );
        recording.check(
            "select type, line from exceptions where outcome in ('thread', 'program')",
            "TypeError 3",
        );
        let mut replay = python.dashcam();
        let output =
            run_with_input(replay.arg("replay").arg(&recording.db), b"goto crash\nprint o\n");
        let printed = text(&output.stdout);
        assert!(
            printed.contains("raises TypeError") && printed.ends_with("{'p': None}\n"),
            "{printed}"
        );
    }
    // Code that runs after the program has ended did not end it.
    let late = "import atexit, sys\ndef bye(): raise ValueError\natexit.register(bye)\n\
                def hook(*a): raise KeyError\nsys.excepthook = hook\nraise RuntimeError('end')";
    Recording::new(&Python::any(), ["-c", late]).check(
        "select type, outcome from exceptions where path = '<string>' order by seq",
        "RuntimeError program
         KeyError swallowed
         ValueError swallowed",
    );
    let recording = Recording::new(&Python::any(), ["-c", "raise SystemExit"]);
    let mut replay = recording.python.dashcam();
    let output = run_with_input(replay.arg("replay").arg(&recording.db), b"break unhandled\nc\n");
    assert!(text(&output.stdout).contains("raises SystemExit"), "{}", text(&output.stdout));
}

#[test]
fn a_query_sees_one_run() {
    let python = Python::any();
    let first = Recording::new(&python, ["-c", "[].count(1)"]);
    let again = run(python.record(&first.db).args(["-c", "'x'.upper()\n'x'.upper()"]));
    assert!(again.status.success());
    let ask = |sql: &str, more: &[&str]| {
        let mut query = python.dashcam();
        query.arg("query").arg(&first.db).arg(sql).args(["--format", "csv"]).args(more);
        text(&run(&mut query).stdout).replace("\r\n", "\n")
    };
    let calls = "select count(*) as n from events where kind = 'CALL' and callable = 'str.upper'";
    assert_eq!(ask(calls, &[]), "n\n2\n");
    assert_eq!(ask(calls, &["--run", "1"]), "n\n0\n");
    assert_eq!(ask(calls, &["--run", "all"]), "n\n2\n");
    for table in [
        "events",
        "calls",
        "exceptions",
        "threads",
        "processes",
        "code_objects",
        "event_counts",
        "line_counts",
        "branch_counts",
        "function_totals",
    ] {
        let number = |more: &[&str]| -> i64 {
            let printed = ask(&format!("select count(*) from {table}"), more);
            printed.lines().nth(1).unwrap().parse().unwrap()
        };
        let (one, two, all) = (number(&["--run", "1"]), number(&[]), number(&["--run", "all"]));
        assert_eq!(one + two, all, "{table}");
    }
    assert_eq!(ask("select count(*) as n from runs", &[]), "n\n2\n");
    // Rows on the right of a LEFT JOIN are also those of this run.
    let joined = "select count(*) as n from runs left join exceptions using (run_id)
                  where run_id = 1 and seq is not null";
    assert_eq!(ask(joined, &[]), "n\n0\n");
}

#[test]
fn a_statement_may_come_from_standard_input() {
    let recording = Recording::new(&Python::any(), [program("loops.py")]);
    let mut query = recording.python.dashcam();
    query.arg("query").arg(&recording.db).args(["-", "--format", "csv"]);
    let output = run_with_input(&mut query, b"select 1 + 1 as two\n");
    assert_eq!(text(&output.stdout).replace("\r\n", "\n"), "two\n2\n");
}

#[test]
fn long_values_are_whole_in_a_pipe() {
    let recording = Recording::new(&Python::any(), [program("loops.py")]);
    for (format, length) in [("table", 70_000), ("csv", 70_000), ("jsonl", 70_000)] {
        let mut query = recording.python.dashcam();
        let sql =
            format!("select 1 as a, printf('%.*c', {length}, 'x') as b union all select 2, 'y'");
        let output = run(query.arg("query").arg(&recording.db).args([&sql, "--format", format]));
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{format}: {}", text(&output.stderr));
        assert!(printed.contains(&"x".repeat(length)), "{format}");
        // The long value makes no other row long.
        assert!(printed.lines().last().unwrap().len() < 100, "{format}");
    }
}

#[test]
fn a_program_without_record_is_refused() {
    let script = tests_path("programs/loops.py");
    let output = run(Python::any().dashcam().arg(script));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("dashcam record"), "{}", text(&output.stderr));
    check("loops.py", "select 1", "1");
}

#[test]
fn messages_are_what_str_gives() {
    for python in Python::all() {
        let recording = Recording::new(&python, [program("sql/messages.py")]);
        let printed = text(&recording.output.stdout);
        // The exceptions that the program itself handled, in the order in which it handled them.
        // Some were raised and swallowed before that.
        let rows = recording.rows(
            "select type, message from exceptions where handled_line = 58 order by handled_seq",
        );
        let name = |row: &[serde_json::Value]| {
            let class = plain(&row[0]);
            format!("{}: {}\n", class.rsplit('.').next().unwrap(), plain(&row[1]))
        };
        let recorded: String = rows.iter().map(|row| name(row)).collect();
        assert_eq!(recorded, printed, "{python}");
        // However an exception travelled, it is one row.
        recording.check(
            "select type, count(*) from exceptions
             where type in ('ModuleNotFoundError', 'RuntimeError') group by 1 order by 1",
            "ModuleNotFoundError 2
             RuntimeError 1",
        );
    }
}

#[test]
fn a_signal_where_a_function_begins_leaves_the_stacks_whole() {
    for python in Python::all() {
        let recording = Recording::new(&python, [program("sql/signal_at_entry.py")]);
        assert_eq!(text(&recording.output.stdout), "{'timed out'}\n".repeat(3));
        recording.check("select kind, detail from losses where severity <> 'info'", "");
        recording.check(
            "select count(*), sum(outcome = 'handled') from exceptions where type = 'Timeout'",
            "15 15",
        );
        // Every call has an end, and its depth is one more than that of its caller.
        recording.check(
            "select count(*) from calls c left join calls p on p.call_id = c.parent_call_id
             where c.path like '%signal_at_entry.py'
               and (c.exit = 'open' or c.depth <> coalesce(p.depth + 1, 0))",
            "0",
        );
        // The exception leaves a function at most once for each time it is raised.
        recording.check(
            "select qualname from calls where exit = 'unwind' and qualname <> 'fib'
             and path like '%signal_at_entry.py' group by qualname having count(*) > 10",
            "on_alarm",
        );
    }
}

/// The recording's tables come first, whatever the file has of the same name.
#[test]
fn another_table_does_not_replace_one_of_the_recording() {
    let recording = Recording::new(&Python::any(), [program("loops.py")]);
    let code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('drop view events'); \
                c.execute('create table Events (x)'); c.commit()";
    assert!(run(recording.python.bare().args(["-c", code]).arg(&recording.db)).status.success());
    recording.check("select count(*) > 100 from events", "1");
}

#[test]
fn positions_outside_the_run_are_refused() {
    let recording =
        Recording::new(&Python::any(), ["-c", "per = {}\ndef f(x):\n per[x] = 1\nf(2)\n"]);
    let (first, last) = (
        recording.number("select min(seq) from events"),
        recording.number("select max(seq) from events"),
    );
    let range = format!("run 1 has events {first} to {last}");
    let replay = |more: &[&str], commands: &str| {
        let mut replay = recording.python.dashcam();
        replay.arg("replay").arg(&recording.db).args(more);
        run_with_input(&mut replay, commands.as_bytes())
    };
    let printed =
        text(&replay(&[], "goto 99999999\ngoto 200%\ngoto 3000s\ngoto -1\nstpe\n").stdout);
    for words in [&*range, "from 0% to 100%", "ends after", "unknown command: stpe"] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    let output = replay(&["--at", "999999999"], "");
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains(&range));
    for (sql, words) in [
        ("select * from stack_at(7, 1)", "no run 7"),
        ("select * from locals_at(1, 99999999)", &*range),
    ] {
        let mut query = recording.python.dashcam();
        let output = run(query.arg("query").arg(&recording.db).arg(sql));
        assert_eq!(output.status.code(), Some(1), "{sql}");
        assert!(text(&output.stderr).contains(words), "{sql}: {}", text(&output.stderr));
    }
    // At the position of the write itself, the write counts.
    let printed = text(&replay(&[], "goto end\nback-next\nlast-write per\norigin per\n").stdout);
    assert!(printed.contains("{}") && !printed.contains("no write of"), "{printed}");
}

#[test]
fn steps_stay_in_the_users_code() {
    let source = "import json\ndef f(s):\n    return json.loads(s)\nf('[1]')\ntry:\n    f('{')\nexcept ValueError:\n    pass\nprint(2)\n";
    let recording = Recording::new(&Python::any(), ["-c", source]);
    let replay = |more: &[&str], commands: &str| {
        let mut replay = recording.python.dashcam();
        replay.arg("replay").arg(&recording.db).args(more);
        text(&run_with_input(&mut replay, commands.as_bytes()).stdout)
    };
    let lines = |printed: &str| -> Vec<String> {
        let stops = printed.lines().filter(|line| line.starts_with("> "));
        stops.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    let mine = lines(&replay(&[], "goto <string>:4\nstep\nstep\nstep\nback-step\nback-step\n"));
    assert_eq!(
        mine,
        ["<string>:4", "<string>:3", "<string>:5", "<string>:6", "<string>:5", "<string>:3"]
    );
    let all = lines(&replay(&[], "set mine off\ngoto <string>:3\nstep\n"));
    assert!(all[1].starts_with("__init__.py:"), "{all:?}");
    assert_eq!(lines(&replay(&["--all-code"], "goto <string>:3\nstep\n")), all[..2]);
    // The exception is raised in json and handled here.
    let printed = replay(&[], "break exception JSONDecodeError\nc\nc\nc\n");
    assert!(
        printed.contains("raises") && printed.matches("breakpoint 1\n").count() <= 2,
        "{printed}"
    );
    let printed = replay(&[], "break exception in <string>\nc\n");
    assert!(printed.contains("nothing comes after"), "{printed}");
    let printed = replay(&[], "tbreak print\nc\ninfo\nbreak\n");
    assert!(printed.contains("calls print") && printed.contains("no breakpoints"), "{printed}");
    let printed = replay(&[], "goto <string>:3\ndisplay s[:1]\nargs\nlist <string>:7\nuntil\n");
    assert!(printed.contains("1: s[:1] = '['") && printed.contains("s = '[1]'"), "{printed}");
    assert!(printed.contains("except ValueError"), "{printed}");
    let sql =
        "select qualname, is_mine from function_totals where qualname in ('f', 'loads') order by 1";
    recording.check(sql, "f 1\nloads 0");
}
