//! `dashcam query`: one SQL statement.

use super::output::{Format, Rows};
use super::session::Session;
use crate::store::message;
use crate::suggest::closest;
use anyhow::{anyhow, bail};
use dashcam_schema::tables::{self, TABLES};
use rusqlite::ErrorCode;
use rusqlite::types::ValueRef;
use std::path::Path;

#[derive(clap::Args)]
#[command(
    override_usage = "dashcam query [DB] SQL [--format FORMAT]",
    after_help = "\
Example: the ten functions that took longest
  dashcam query \"SELECT qualname, count(*), sum(self_ns) / 1e6 AS self_ms
                 FROM calls GROUP BY code_id ORDER BY self_ms DESC LIMIT 10\"

`dashcam schema` describes the tables."
)]
pub(super) struct Args {
    /// The recording (./dashcam.db if left out), and the statement
    #[arg(num_args = 1..=2, required = true, value_names = ["DB", "SQL"])]
    arguments: Vec<String>,
    /// How to print the rows
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let (database, sql) = match &*args.arguments {
        [file] if Path::new(file).is_file() => {
            eprintln!("dashcam: a recording but no statement; see: dashcam query --help");
            return Ok(2);
        }
        [sql] => (super::DEFAULT, sql),
        [database, sql] => (&**database, sql),
        _ => bail!("no statement"),
    };
    let session = Session::open(Path::new(database))?;
    let explain = |error| explain(&session, &error);
    let mut statement = session.recording.connection().prepare(sql).map_err(explain)?;
    if statement.column_count() == 0 {
        bail!("no statement that gives rows");
    }
    let columns = statement.column_names().into_iter().map(str::to_owned);
    let mut out = Rows::new(args.format, columns.collect());
    let width = statement.column_count();
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        let values: Vec<ValueRef<'_>> =
            (0..width).map(|i| row.get_ref(i)).collect::<Result<_, _>>().map_err(explain)?;
        session.clear();
        out.push(&values)?;
    }
    drop(rows);
    session.clear();
    out.end()?;
    session.finish(None)
}

/// What SQLite's complaint means, and what may have been meant.
fn explain(session: &Session, error: &rusqlite::Error) -> anyhow::Error {
    let file = session.recording.store().path().display();
    match error {
        rusqlite::Error::MultipleStatement => return anyhow!("{file}: one statement at a time"),
        _ if error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied) => {
            return anyhow!("{file}: recordings are read-only: this statement is not a query");
        }
        _ => {}
    }
    let message = message(error);
    if let Some(name) = message.strip_prefix("no such column: ") {
        let (table, name) = name.rsplit_once('.').unwrap_or(("", name));
        let hint = match (tables::find(table), column_like(table, name)) {
            (None, Some(column)) if column == name => format!("{} has it", tables_with(name)),
            (_, Some(column)) => format!("did you mean {column}?"),
            (Some(table), _) => format!("see: dashcam schema {}", table.name),
            _ => "see: dashcam schema".to_owned(),
        };
        return anyhow!("{file}: {message}; {hint}");
    }
    if let Some(name) = message.strip_prefix("no such table: ") {
        let like = closest(name, TABLES.iter().map(|table| table.name));
        let hint = like.map_or("see: dashcam schema".to_owned(), |t| format!("did you mean {t}?"));
        return anyhow!("{file}: {message}; {hint}");
    }
    session.explain(error)
}

/// The tables that have a column.
fn tables_with(name: &str) -> String {
    let tables = TABLES.iter().filter(|table| !table.is_internal);
    let has = |table: &&tables::Table| table.columns.iter().any(|column| column.name == name);
    let names: Vec<&str> = tables.filter(has).map(|table| table.name).take(3).collect();
    names.join(" or ")
}

/// The column like this one, of a table if one was named.
fn column_like(table: &str, name: &str) -> Option<&'static str> {
    let tables = TABLES.iter().filter(|t| tables::find(table).is_none() || t.name == table);
    let tables = tables.filter(|table| !table.is_internal);
    closest(name, tables.flat_map(|table| table.columns).map(|column| column.name))
}
