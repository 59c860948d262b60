//! Restricts a statement to one run: in every table that holds several runs, only that run's rows
//! remain.

use super::scope::rows_of_run;
use dashcam_schema::tables::TABLES;
use std::fmt::Write as _;

/// Returns the statement with definitions of the tables' names as the rows of one run in front of
/// it. Statements that cannot have these in front, such as pragmas, are returned unchanged.
pub fn of_run(sql: &str, run_id: i64) -> String {
    let (begin, word) = first_word(sql, 0);
    let end = begin + word.len();
    match &*word.to_ascii_uppercase() {
        "EXPLAIN" => {
            let (_, query) = first_word(sql, end);
            let (mut from, _) = first_word(sql, end);
            if query.eq_ignore_ascii_case("query") {
                let (plan, word) = first_word(sql, from + query.len());
                from = first_word(sql, plan + word.len()).0;
            }
            format!("{}{}", &sql[..from], of_run(&sql[from..], run_id))
        }
        "WITH" => {
            let (next, word) = first_word(sql, end);
            let rest = if word.eq_ignore_ascii_case("recursive") { next + word.len() } else { end };
            // RECURSIVE permits recursion, but does not require it.
            format!("WITH RECURSIVE {},{}", tables(run_id), &sql[rest..])
        }
        "SELECT" | "VALUES" => format!("WITH {} {sql}", tables(run_id)),
        _ => sql.to_owned(),
    }
}

/// For example `events AS NOT MATERIALIZED (SELECT * FROM temp.events WHERE run_id = 1), …`.
fn tables(run_id: i64) -> String {
    let mut out = String::new();
    for table in TABLES {
        let Some(filter) = rows_of_run(table, run_id) else { continue };
        let comma = if out.is_empty() { "" } else { ", " };
        let name = table.name;
        // In the file, a run may have no UUID. The temporary view has it.
        let is_temporary = table.is_virtual || name == "runs";
        let schema = if is_temporary { "temp" } else { "main" };
        // Writing to a string does not fail.
        let _ = write!(
            out,
            "{comma}{name} AS NOT MATERIALIZED (SELECT * FROM {schema}.{name} WHERE {filter})"
        );
    }
    out
}

/// The first word at or after an offset, after spaces and comments, and the offset where it begins.
fn first_word(sql: &str, from: usize) -> (usize, &str) {
    let mut rest = &sql[from..];
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let (open, close) = match trimmed {
            _ if trimmed.starts_with("--") => (2, "\n"),
            _ if trimmed.starts_with("/*") => (2, "*/"),
            _ => {
                let end = trimmed.find(|c: char| !c.is_ascii_alphabetic());
                return (sql.len() - trimmed.len(), &trimmed[..end.unwrap_or(trimmed.len())]);
            }
        };
        let end = trimmed[open..].find(close).map(|at| open + at + close.len());
        rest = &trimmed[end.unwrap_or(trimmed.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::of_run;

    #[test]
    fn a_run_s_tables_stand_before_the_statement() {
        let rest = |sql| {
            let scoped = of_run(sql, 7);
            let begin = scoped.rfind("run_id = 7").map(|at| &scoped[at..]);
            begin.unwrap_or(&scoped).to_owned()
        };
        assert_eq!(rest("select 1"), "run_id = 7) select 1");
        assert_eq!(rest(" -- a\n/* b */ WITH x AS (SELECT 1) …"), "run_id = 7), x AS (SELECT 1) …");
        assert_eq!(rest("with recursive x …"), "run_id = 7), x …");
        assert_eq!(rest("pragma table_info(runs)"), "pragma table_info(runs)");
        assert!(of_run("explain query plan select 1", 7).starts_with("explain query plan WITH"));
        assert!(of_run("explain select 1", 7).starts_with("explain WITH"));
        assert_eq!(rest(""), "");
        assert_eq!(rest("/* "), "/* ");
        let all = of_run("select 1", 7);
        for table in ["runs", "events", "line_counts", "losses", "threads", "files", "callables"] {
            assert!(all.contains(&format!("{table} AS NOT MATERIALIZED")), "{table}");
        }
        assert!(!all.contains("stack_at"), "its run_id is an argument");
    }
}
