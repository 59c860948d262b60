//! `dashcam query` at a terminal: the tests type statements and read the screen.

use super::{Terminal, mode, orders};
use dashcam_tests::{Python, Recording, run_with_input, text};
use std::os::unix::fs::PermissionsExt as _;

const SIZE: (u16, u16) = (100, 24);
const NO_PAGER: &[(&str, &str)] = &[("PAGER", "")];

fn query(recording: &Recording, environment: &[(&str, &str)]) -> Terminal {
    let mut terminal = Terminal::start("query", recording, SIZE, &[], environment);
    terminal.sees(&["run 1", ".help lists commands", "dashcam> "]);
    terminal
}

#[test]
fn statements_are_answered_until_one_leaves() {
    let recording = orders();
    let mut terminal = query(&recording, NO_PAGER);
    terminal.press("select count(*) as finals from calls where exit = 'unwind';\r");
    terminal.sees(&["finals"]);
    // A statement over several lines, with a semicolon in quotes.
    terminal.press("select 'a;b' as two,\r");
    terminal.press("  6 * 7 as answer\r;\r");
    terminal.sees(&["a;b", "42"]);
    // An error does not end the shell.
    terminal.press("select colour from events;\r");
    terminal.sees(&["*** ", "no such column: colour"]);
    terminal.press("delete from runs;\r");
    terminal.sees(&["recordings are read-only"]);
    // Two statements at once.
    terminal.press("select 'one'; select 'two' as second;\r");
    terminal.sees(&["second"]);
    // Waits for the prompt: what is typed before that is not edited yet, and Ctrl-D would be lost.
    terminal.wait("no prompt", |screen| screen.contents().trim_end().ends_with("dashcam>"));
    terminal.press("\x04");
    assert_eq!(terminal.end(), 0);
    let history = recording.folder.path().join("state/dashcam/query_history");
    let kept = std::fs::read_to_string(&history).unwrap();
    assert!(kept.contains("select 'a;b' as two, 6 * 7 as answer ;"), "{kept}");
    assert_eq!(mode(&history), 0o600);
    // The history is there the next time.
    let mut terminal = query(&recording, NO_PAGER);
    terminal.press("\x1b[A");
    terminal.sees(&["dashcam> select 'one'; select 'two' as second;"]);
    terminal.press("\r");
    terminal.press(".quit\r");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn commands_and_completion() {
    let recording = orders();
    let mut terminal = query(&recording, NO_PAGER);
    terminal.press(".mo\tjsonl\r");
    terminal.press("select 1 as n;\r");
    terminal.sees(&["{\"n\":1}"]);
    terminal.press(".schema failed_c\t\r");
    terminal.sees(&["failed_calls: Calls that an exception ended", "exception", "arguments"]);
    terminal.press(".tabels\r");
    terminal.sees(&["no command .tabels; did you mean .tables?"]);
    terminal.press(".mode xml\r");
    terminal.sees(&["no mode xml"]);
    terminal.press(".run 7\r");
    terminal.sees(&["no run 7"]);
    terminal.press(".run all\r");
    terminal.sees(&["all runs."]);
    terminal.press(".run 1\r");
    terminal.sees(&["run 1."]);
    // Completes a table, a column of it by its short name, and a function.
    terminal.press("select c.qualn\t, medi\tc.depth) from call\ts c where c.call_l\t > 0;");
    terminal.sees(&["select c.qualname, median(c.depth) from calls c where c.call_line > 0;"]);
    terminal.press("\r");
    terminal.sees(&["{\"qualname\":"]);
    terminal.press(".help\r");
    terminal.sees(&[".mode table|csv|json|jsonl", ".quit"]);
    terminal.press(".quit\r");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn long_results_go_through_a_pager() {
    let recording = orders();
    let folder = recording.folder.path();
    let pager = folder.join("pager");
    std::fs::write(&pager, "#!/bin/sh\necho \"paged $1 $(wc -l)\"\n").unwrap();
    std::fs::set_permissions(&pager, std::fs::Permissions::from_mode(0o755)).unwrap();
    let pager = format!("{} lines:", pager.display());
    let mut terminal = query(&recording, &[("PAGER", &pager)]);
    // A result that fits the screen does not go through the pager.
    terminal.press("select 'short' as one;\r");
    terminal.sees(&["short"]);
    terminal.press(".mode csv\r");
    terminal.press("select seq from events limit 200;\r");
    terminal.sees(&["paged lines: 201"]);
    // The end of the pager does not end the shell.
    terminal.press("select 6 * 7 as answer;\r");
    terminal.sees(&["42"]);
    terminal.press(".quit\r");
    assert_eq!(terminal.end(), 0);
    // A statement on the command line uses the pager too, unless `--no-pager` is given.
    let sql = "select seq from events limit 200";
    let arguments = &[sql, "--format", "csv"];
    let mut terminal = Terminal::start("query", &recording, SIZE, arguments, &[("PAGER", &pager)]);
    terminal.sees(&["paged lines: 201"]);
    assert_eq!(terminal.end(), 0);
    let arguments = &[sql, "--format", "csv", "--no-pager"];
    let mut terminal = Terminal::start("query", &recording, SIZE, arguments, &[("PAGER", &pager)]);
    assert_eq!(terminal.end(), 0);
    assert!(!terminal.text().contains("paged"), "{}", terminal.text());
}

#[test]
fn without_a_terminal_a_statement_is_read_from_standard_input() {
    let recording = orders();
    let query = |input: &[u8]| {
        let mut command = recording.python.dashcam();
        run_with_input(command.arg("query").arg(&recording.db).args(["--format", "csv"]), input)
    };
    let output = query(b"select 6 * 7\n  as answer;\n");
    assert_eq!(text(&output.stdout), "answer\n42\n");
    let output = query(b" -- nothing\n");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).lines().count(), 1, "{}", text(&output.stderr));
}

#[test]
fn a_long_query_says_how_far_it_is_and_ctrl_c_ends_it() {
    let loops = "def f(n):\n    return n\nfor n in range(300_000):\n    f(n)";
    let recording = Recording::new(&Python::any(), ["-c", loops]);
    let mut terminal = query(&recording, NO_PAGER);
    // Ctrl-C discards the statement that was begun.
    terminal.press("select from where\x03");
    terminal.wait("no new prompt", |screen| screen.contents().matches("dashcam> ").count() == 2);
    terminal.press("select count(v.value) as found from variables v where v.name like '%n%';\r");
    terminal.sees(&["of the run read"]);
    terminal.press("\x03");
    terminal.sees(&["*** interrupted"]);
    terminal
        .wait("the bar is still there", |screen| !screen.contents().contains("of the run read"));
    // It has not ended the shell.
    terminal.press("select 6 * 7 as answer;\r");
    terminal.sees(&["42"]);
    terminal.press(".quit\r");
    assert_eq!(terminal.end(), 0);
}
