//! `dashcam schema`: describes the tables and functions.

use super::output::{Format, Rows, stdout};
use anyhow::anyhow;
use dashcam_replayer::sql::{FUNCTIONS, Function};
use dashcam_replayer::suggest::closest;
use dashcam_schema::tables::{TABLES, Table};
use rusqlite::types::ValueRef;
use std::io::Write;

#[derive(clap::Args)]
#[command(after_help = "Example: the columns of calls\n  dashcam schema calls")]
pub(super) struct Args {
    /// Only this table
    #[arg(value_name = "TABLE")]
    table: Option<String>,
    /// Also the internal tables
    #[arg(long)]
    all: bool,
    /// How to print them
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let tables = chosen(args.table.as_deref(), args.all)?;
    if args.format == Format::Table {
        let mut out = stdout();
        write(&mut out, &tables, args.table.is_none())?;
        out.flush()?;
        return Ok(0);
    }
    let columns = ["table", "column", "type", "description"];
    let mut out = Rows::new(args.format, columns.map(str::to_owned).to_vec());
    for table in tables {
        for column in table.columns {
            let row = [table.name, column.name, column.r#type.sql(), column.sentence];
            out.push(&row.map(|text| ValueRef::Text(text.as_bytes())))?;
        }
    }
    if args.table.is_none() {
        for Function { name, returns, sentence, .. } in FUNCTIONS {
            let row = ["(function)", name, returns, sentence];
            out.push(&row.map(|text| ValueRef::Text(text.as_bytes())))?;
        }
    }
    out.end()?;
    Ok(0)
}

/// The description of a table, or of all tables that are not internal.
pub(super) fn text(table: Option<&str>) -> anyhow::Result<String> {
    let mut text = Vec::new();
    write(&mut text, &chosen(table, false)?, table.is_none())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn chosen(table: Option<&str>, all: bool) -> anyhow::Result<Vec<&'static Table>> {
    match table {
        None => Ok(TABLES.iter().filter(|table| all || !table.is_internal).collect()),
        Some(name) => Ok(vec![find(name)?]),
    }
}

fn write(out: &mut impl Write, tables: &[&Table], functions: bool) -> std::io::Result<()> {
    for (i, table) in tables.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        describe(out, table)?;
    }
    if functions {
        writeln!(out, "\nFunctions")?;
        for Function { name, arguments, returns, sentence } in FUNCTIONS {
            writeln!(out, "  {name}({arguments}) → {returns}  {sentence}")?;
        }
    }
    Ok(())
}

fn find(name: &str) -> anyhow::Result<&'static Table> {
    TABLES.iter().find(|table| table.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let hint = closest(name, TABLES.iter().map(|table| table.name));
        let hint = hint.map_or(String::new(), |table| format!("; did you mean {table}?"));
        anyhow!("no table {name}{hint}")
    })
}

fn describe(out: &mut impl Write, table: &Table) -> std::io::Result<()> {
    writeln!(out, "{}: {}", table.name, table.sentence)?;
    let width = table.columns.iter().map(|column| column.name.len()).max().unwrap_or(0);
    for column in table.columns {
        let (name, r#type) = (column.name, column.r#type.sql());
        writeln!(out, "  {name:<width$}  {type:<7}  {}", column.sentence)?;
    }
    Ok(())
}
