//! Gives every run a UUID, including runs recorded before there were UUIDs.

use super::guard;
use dashcam_schema::tables;
use dashcam_schema::uuid;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

/// Creates a view over the table `runs` in which each run has its UUID. Older files do not have the
/// column. Call [`guard::install`] afterwards.
pub(super) fn show(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("derived_uuid", 5, flags, |context| {
        let text = |at| context.get::<Option<String>>(at).map(Option::unwrap_or_default);
        let started_ms = context.get::<Option<i64>>(0)?.unwrap_or(0);
        Ok(uuid::derive(started_ms, &text(1)?, &text(2)?, &text(3)?, context.get(4)?))
    })?;
    let columns = tables::find("runs").map_or(&[][..], |table| table.columns);
    let names = columns.iter().map(|column| column.name).filter(|name| *name != "uuid");
    let names: Vec<&str> = names.collect();
    let known = connection.prepare("SELECT * FROM main.runs LIMIT 0")?;
    let stored = if known.column_names().contains(&"uuid") { "uuid" } else { "NULL" };
    let sql = format!(
        "CREATE TEMP VIEW runs AS SELECT {}, coalesce({stored}, derived_uuid(
             CAST(round(unixepoch(started_at, 'subsec') * 1000) AS INTEGER),
             hostname, cwd, command, run_id)) AS uuid
         FROM main.runs",
        names.join(", ")
    );
    guard::lift(connection)?;
    connection.execute_batch(&sql)
}
