//! What one run has of tables that hold several.
//!
//! Virtual tables leave out the other runs' rows themselves, so that what they take over of a statement
//! stays theirs. Ordinary tables are covered by views.

use super::guard;
use crate::store::Store;
use crate::tables::COUNTABLE;
use dashcam_schema::tables::{TABLES, Table};

/// Has the tables show one run's rows, if one is named, and say of code whether it is one's own. `runs`
/// goes on to list all.
pub(super) fn bind(store: &Store, run_id: Option<i64>) -> rusqlite::Result<()> {
    let connection = store.connection();
    guard::lift(connection)?;
    for table in TABLES.iter().filter(|table| !table.is_virtual && !table.is_internal) {
        let name = table.name;
        let rows = run_id.filter(|_| name != "runs").and_then(|run| rows_of_run(table, run));
        let has_path = table.columns.iter().any(|column| column.name == "path");
        if rows.is_none() && !has_path {
            continue;
        }
        let more = if has_path { ", is_mine(path) AS is_mine" } else { "" };
        let rows = rows.map_or(String::new(), |rows| format!(" WHERE {rows}"));
        let sql = format!("CREATE TEMP VIEW {name} AS SELECT *{more} FROM main.{name}{rows}");
        connection.execute_batch(&sql)?;
    }
    guard::install(connection)?;
    if let Some(run_id) = run_id {
        store.bind(run_id);
    }
    Ok(())
}

/// Which rows of a table are a run's. None if it is no table of several runs.
pub(super) fn rows_of_run(table: &Table, run_id: i64) -> Option<String> {
    let column = |name| table.columns.iter().find(|column| column.name == name);
    if let Some(column) = column("run_id") {
        // A hidden one is an argument.
        return (column.constraint != "HIDDEN").then(|| format!("run_id = {run_id}"));
    }
    let (key, of) = match table.name {
        "files" => ("file_id", "code_objects"),
        _ => (column("process_id")?.name, "processes"),
    };
    Some(format!("{key} IN (SELECT {key} FROM main.{of} WHERE run_id = {run_id})"))
}

/// A table of the file's own that has the name of one of ours, which it would stand for.
pub(super) fn clash(store: &Store) -> rusqlite::Result<Option<String>> {
    let ours = |name: &str| {
        let groups = COUNTABLE.iter().map(|table| table.groups);
        let mut names =
            TABLES.iter().filter(|table| table.is_virtual).map(|table| table.name).chain(groups);
        names.any(|ours| ours.eq_ignore_ascii_case(name))
    };
    let mut names = store.connection().prepare("SELECT name FROM main.sqlite_schema")?;
    let mut names = names.query_map([], |row| row.get::<_, String>(0))?;
    names.find(|name| name.as_ref().map_or(true, |name| ours(name))).transpose()
}
