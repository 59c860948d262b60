//! Restricts tables that hold several runs to one of them.
//!
//! Virtual tables leave out the rows of other runs themselves, so that they can still take over
//! constraints of a statement. Ordinary tables are replaced by views.

use super::guard;
use crate::store::Store;
use crate::tables::COUNTABLE;
use dashcam_schema::tables::{TABLES, Table};
use rusqlite::Connection;

/// Makes the tables show the rows of one run, or of all, and adds whether code is the user's own.
/// `runs` always lists all runs.
pub(super) fn bind(store: &Store, run_id: Option<i64>) -> rusqlite::Result<()> {
    let connection = store.connection();
    guard::lift(connection)?;
    for (name, _) in views(connection, Some(0))? {
        connection.execute_batch(&format!("DROP VIEW IF EXISTS temp.{name}"))?;
    }
    for (name, view) in views(connection, run_id)? {
        connection.execute_batch(&format!("CREATE TEMP VIEW {name} AS {view}"))?;
    }
    guard::install(connection)?;
    store.bind(run_id);
    Ok(())
}

/// Creates views over tables of an older file that lack columns, with these columns. Call
/// [`guard::install`] afterwards. The view of `runs` is [another one](super::uuid::show).
pub(super) fn complete(connection: &Connection) -> rusqlite::Result<()> {
    for table in TABLES.iter().filter(|table| is_shown(table) && table.name != "runs") {
        let more = missing(connection, table)?;
        if !more.is_empty() {
            let name = table.name;
            let sql = format!("CREATE TEMP VIEW {name} AS SELECT *{more} FROM main.{name}");
            connection.execute_batch(&sql)?;
        }
    }
    Ok(())
}

fn is_shown(table: &Table) -> bool {
    !table.is_virtual && !table.is_internal
}

/// Returns `, NULL AS …` for each column of a table that an older file does not have.
fn missing(connection: &Connection, table: &Table) -> rusqlite::Result<String> {
    if table.later_columns().is_empty() {
        return Ok(String::new());
    }
    let known = connection.prepare(&format!("SELECT * FROM main.{} LIMIT 0", table.name))?;
    let known = known.column_names();
    let missing = table.later_columns().iter().filter(|column| !known.contains(&column.name));
    Ok(missing.map(|column| format!(", NULL AS {}", column.name)).collect())
}

/// Ordinary tables that are replaced by views, and the statements of these views.
pub(super) fn views(
    connection: &Connection,
    run_id: Option<i64>,
) -> rusqlite::Result<Vec<(&'static str, String)>> {
    let mut views = Vec::new();
    for table in TABLES.iter().filter(|table| is_shown(table) && table.name != "runs") {
        let name = table.name;
        let rows = run_id.and_then(|run| rows_of_run(table, run));
        let has_path = table.columns.iter().any(|column| column.name == "path");
        let missing = missing(connection, table)?;
        if rows.is_none() && !has_path && missing.is_empty() {
            continue;
        }
        let more = if has_path { ", is_mine(path) AS is_mine" } else { "" };
        let rows = rows.map_or(String::new(), |rows| format!(" WHERE {rows}"));
        views.push((name, format!("SELECT *{missing}{more} FROM main.{name}{rows}")));
    }
    Ok(views)
}

/// The condition for the rows of a run in a table. `None` if the table does not hold several runs.
pub(crate) fn rows_of_run(table: &Table, run_id: i64) -> Option<String> {
    // A table with arguments is used like a function, and no view can replace it.
    if table.has_arguments() {
        return None;
    }
    let column = |name| table.columns.iter().find(|column| column.name == name);
    if column("run_id").is_some() {
        return Some(format!("run_id = {run_id}"));
    }
    let (key, of) = match table.name {
        "files" => ("file_id", "code_objects"),
        _ => (column("process_id")?.name, "processes"),
    };
    Some(format!("{key} IN (SELECT {key} FROM main.{of} WHERE run_id = {run_id})"))
}

/// Creates the registered tables, and the views declared beside them, unless they exist. They are
/// temporary, so that they take precedence over everything in the file: over its views with the
/// same names, which explain them to clients without the tables, and over anything else.
pub(super) fn create(connection: &Connection) -> rusqlite::Result<()> {
    let is_there = "SELECT count(*) FROM sqlite_temp_schema WHERE name = ?1 AND sql = ?2";
    let mut is_there = connection.prepare(is_there)?;
    let virtual_table = |name| (name, "VIRTUAL TABLE", format!("USING {name}"));
    let declared = TABLES.iter().filter(|table| table.is_virtual).map(|table| match table.view {
        Some(sql) => (table.name, "VIEW", format!("AS {sql}")),
        None => virtual_table(table.name),
    });
    let groups = COUNTABLE.iter().map(|table| virtual_table(table.groups));
    for (name, kind, rest) in declared.chain(groups) {
        let ours = format!("CREATE {kind} {name} {rest}");
        if is_there.query_row((name, ours), |row| row.get::<_, i64>(0))? == 0 {
            connection.execute_batch(&format!("CREATE {kind} temp.{name} {rest}"))?;
        }
    }
    Ok(())
}
