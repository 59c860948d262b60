//! Checks that rows of ordinary tables are as they were written.

use dashcam_schema::tables::{self, ROW_HASH, RowHash};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

/// Number of damaged rows of one table that are named one by one; the others are counted.
const NAMED: usize = 5;

/// A line for each row of a table whose hash does not match.
pub fn damaged(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let columns = tables::find(table).map_or(&[][..], |table| table.hashed_columns());
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    let known = connection.prepare(&format!("SELECT * FROM main.{table} LIMIT 0"))?;
    let known = known.column_names();
    let later = tables::find(table).map_or(&[][..], |table| table.later_columns());
    names.extend(later.iter().map(|column| column.name).filter(|name| known.contains(name)));
    let sql = format!("SELECT {}, {ROW_HASH} FROM main.{table}", names.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let (mut lines, mut more) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        if fits(row, columns.len(), names.len())? {
            continue;
        }
        if lines.len() == NAMED {
            more += 1;
            continue;
        }
        // The first columns identify a row.
        let key = names.iter().zip(0..).take(2).map(|(name, at)| match row.get_ref(at) {
            Ok(ValueRef::Integer(value)) => format!("{name} {value}"),
            _ => format!("{name} ?"),
        });
        let key = key.collect::<Vec<_>>().join(", ");
        lines.push(format!("{table}: the row with {key} is damaged: checksum mismatch"));
    }
    if more > 0 {
        lines.push(format!("{table}: {more} more rows are damaged"));
    }
    Ok(lines)
}

/// Whether a row has the hash of its columns. The hash covers the first `always` columns, and of
/// those after them, `width` in all, the ones up to the last that is not NULL. It is in the column
/// after them all.
fn fits(row: &Row<'_>, always: usize, width: usize) -> rusqlite::Result<bool> {
    let mut columns = width;
    while columns > always && row.get_ref(columns - 1)? == ValueRef::Null {
        columns -= 1;
    }
    let mut hash = RowHash::default();
    for at in 0..columns {
        match row.get_ref(at)? {
            ValueRef::Null => hash.null(),
            ValueRef::Integer(value) => hash.integer(value),
            ValueRef::Real(value) => hash.real(value),
            ValueRef::Text(value) => hash.text(value),
            ValueRef::Blob(value) => hash.blob(value),
        }
    }
    Ok(row.get_ref(width)? == ValueRef::Integer(hash.finish()))
}
