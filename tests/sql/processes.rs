//! A run with several processes: tables, positions, the replayer's commands, and the comparison of
//! two runs.

use dashcam_tests::{Python, Recording, program, run, run_with_input, text};
use serde_json::Value;

fn recorded() -> Recording {
    Recording::new(&Python::any(), [program("sql/processes.py")])
}

/// What `dashcam replay` answers to commands.
fn replay(recording: &Recording, commands: &str) -> String {
    let mut replay = recording.python.dashcam();
    text(&run_with_input(replay.arg("replay").arg(&recording.db), commands.as_bytes()).stdout)
}

#[test]
fn tables_have_the_rows_of_all_processes() {
    let recording = recorded();
    let sql = "SELECT process_id, parent_process_id, exit_code FROM processes ORDER BY process_id";
    assert_eq!(recording.text(sql), "1 - 0\n2 1 3\n3 1 1");
    let sql = "SELECT process_id, seq / 1000000000000, arguments FROM calls JOIN
               (SELECT call_id, start_seq AS seq FROM calls) USING (call_id)
               WHERE qualname = 'work' ORDER BY process_id";
    assert_eq!(recording.text(sql), "1 0 rounds=3\n2 1 rounds=10\n3 2 rounds=5");
    let sql = "SELECT caller, count(*), sum(calls) FROM callers_of('work') GROUP BY caller";
    assert_eq!(recording.text(sql), "<module> 3 3");
    let sql = "SELECT type, outcome, process_id FROM exceptions WHERE outcome = 'program'";
    assert_eq!(recording.text(sql), "ValueError program 3");
    // What variables held in the children.
    let sql = "SELECT c.process_id, v.value FROM calls c, locals_at(c.run_id, c.end_seq, 0) v
               WHERE c.qualname = 'work' AND v.name = 'total' ORDER BY 1";
    assert_eq!(recording.text(sql), "1 3\n2 45\n3 10");
    let sql = "SELECT process_id, value_at(run_id, end_seq, 0, 'rounds * 2') FROM calls
               WHERE qualname = 'work' ORDER BY 1";
    assert_eq!(recording.text(sql), "1 6\n2 20\n3 10");
    let sql = "SELECT count(DISTINCT value) FROM values_of('total') WHERE qualname = 'work'";
    assert_eq!(recording.text(sql), "10");
    // The call of the module began before the fork, so no event of the child begins it.
    let sql = "SELECT count(*) FROM variables WHERE name = 'TOTAL' AND value = '45' AND call_id =
               (SELECT parent_call_id FROM calls WHERE qualname = 'work' AND process_id = 2)";
    assert_eq!(recording.text(sql), "1");
    let sql = "SELECT p.qualname, p.process_id, p.exit FROM calls c
               JOIN calls p ON p.call_id = c.parent_call_id
               WHERE c.qualname = 'work' ORDER BY p.process_id";
    assert_eq!(recording.text(sql), "<module> 1 return\n<module> 2 open\n<module> 3 unwind");
    let sql = "SELECT count(*) FROM calls WHERE call_id = 1000000000001 AND start_seq = call_id";
    assert_eq!(recording.text(sql), "1");
    let events = "SELECT (SELECT sum(events) FROM timeline(7)) = (SELECT count(*) FROM events)";
    assert_eq!(recording.text(events), "1");
    let runs = run(recording.python.dashcam().arg("runs").arg(&recording.db));
    assert!(text(&runs.stdout).contains("processes"), "{}", text(&runs.stdout));
    let check = run(recording.python.dashcam().arg("check").arg(&recording.db));
    assert!(check.status.success(), "{}", text(&check.stdout));
}

#[test]
fn positions_between_processes_are_refused() {
    let recording = recorded();
    let mut query = recording.python.dashcam();
    let sql = "SELECT * FROM stack_at(1, 999999999999)";
    let output = run(query.arg("query").arg(&recording.db).arg(sql));
    let error = text(&output.stderr);
    assert!(error.contains("no event 999999999999: process 1 has events 1 to "), "{error}");
}

#[test]
fn the_replayer_goes_from_process_to_process() {
    let recording = recorded();
    let said = replay(&recording, "processes\n");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].starts_with("> 1 pid ") && lines[0].contains(", exit 0, "), "{said}");
    assert!(lines[1].contains(" of process 1, exit 3, "), "{said}");
    assert!(lines[2].contains(" of process 1, exit 1, "), "{said}");
    // The first process calls it with 3, and no line says so before the others.
    let said = replay(
        &recording,
        "break work\ncontinue\nargs\ncontinue\nprocess 2\ngoto start\ncontinue\nargs\n",
    );
    let expected = [
        "rounds = 3\n! process 2 reaches breakpoint 1: process 2, then continue",
        "nothing comes after this",
        "process 2: ",
        "rounds = 10\n",
    ];
    let mut rest = said.as_str();
    for part in expected {
        let Some((_, after)) = rest.split_once(part) else { panic!("no {part:?} in {said}") };
        rest = after;
    }
    let said = replay(&recording, "goto crash\nprocess 3\ngoto crash\n");
    assert!(said.contains("one ended process 3: process 3, then goto crash"), "{said}");
    assert!(said.contains("raises ValueError('as planned')"), "{said}");
    // A write in one process is none in another.
    let said = replay(&recording, "process 2\ngoto end\nlast-write TOTAL\nlast-write TOTAL\n");
    assert!(said.contains("TOTAL = 45"), "{said}");
    assert!(said.contains("*** nothing wrote TOTAL before"), "{said}");
}

#[test]
fn equal_processes_of_two_runs_are_compared() {
    let recording = recorded();
    let again = run(recording.python.record(&recording.db).arg(program("sql/processes.py")));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let mut diff = recording.python.dashcam();
    diff.arg("diff").arg(&recording.db).args(["--format", "json", "--ignore", "pid"]);
    let printed = text(&run(&mut diff).stdout);
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
    let all = report["differences"].as_array().unwrap();
    let mine: Vec<_> = all.iter().filter(|of| of["is_mine"] == true).collect();
    assert!(mine.is_empty(), "{mine:?}");
    let is_paired =
        |of: &&Value| of["processes"][0].as_i64().map(|id| id + 3) == of["processes"][1].as_i64();
    assert!(all.iter().all(|of| is_paired(&of)), "{printed}");
}
