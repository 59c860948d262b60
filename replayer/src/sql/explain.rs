//! Explains SQLite's errors, and suggests the name that was probably meant.

use crate::store::{Error, message};
use crate::suggest::closest;
use dashcam_schema::tables::{self, TABLES};
use rusqlite::ErrorCode;
use std::path::Path;

/// A line about an error in a statement; `None` if the error is not in the statement.
pub fn explain(path: &Path, error: &rusqlite::Error) -> Option<String> {
    let file = path.display();
    if matches!(error, rusqlite::Error::MultipleStatement) {
        return Some(format!("{file}: one statement at a time"));
    }
    let message = message(error);
    let is_denied = error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied);
    // For tables that are views here, SQLite reports this error first.
    if is_denied || message.starts_with("cannot modify ") {
        return Some(format!("{file}: recordings are read-only: this statement is not a query"));
    }
    if let Some(name) = message.strip_prefix("no such column: ") {
        let (table, name) = name.rsplit_once('.').unwrap_or(("", name));
        let hint = match (tables::find(table), column_like(table, name)) {
            (None, Some(column)) if column == name => format!("{} has it", tables_with(name)),
            (_, Some(column)) => format!("did you mean {column}?"),
            (Some(table), _) => format!("see: dashcam schema {}", table.name),
            _ => "see: dashcam schema".to_owned(),
        };
        return Some(format!("{file}: {message}; {hint}"));
    }
    let name = message.strip_prefix("no such table: ")?;
    let like = closest(name, TABLES.iter().map(|table| table.name));
    let hint = like.map_or("see: dashcam schema".to_owned(), |t| format!("did you mean {t}?"));
    Some(format!("{file}: {message}; {hint}"))
}

/// Like [`explain`], for any SQLite error.
pub fn explain_any(path: &Path, error: &rusqlite::Error) -> String {
    explain(path, error).unwrap_or_else(|| Error::from_sqlite(path, error).to_string())
}

/// The tables that have a column with this name.
fn tables_with(name: &str) -> String {
    let tables = TABLES.iter().filter(|table| !table.is_internal);
    let has = |table: &&tables::Table| table.columns.iter().any(|column| column.name == name);
    let names: Vec<&str> = tables.filter(has).map(|table| table.name).take(3).collect();
    names.join(" or ")
}

/// The column with the most similar name, in one table if `table` names one.
fn column_like(table: &str, name: &str) -> Option<&'static str> {
    let tables = TABLES.iter().filter(|t| tables::find(table).is_none() || t.name == table);
    let tables = tables.filter(|table| !table.is_internal);
    closest(name, tables.flat_map(|table| table.columns).map(|column| column.name))
}
