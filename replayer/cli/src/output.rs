//! Prints rows on standard output: as a table for people, as JSON or CSV for programs.

pub(super) use crate::printable::{json_printable, printable};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use rusqlite::types::ValueRef;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Format {
    /// Aligned columns
    Table,
    /// One array of objects
    Json,
    /// One object per line
    Jsonl,
    /// Comma-separated, with a header
    Csv,
}

/// Rows that determine the layout of a table. Later rows get the same widths, or a table of their
/// own.
const PAGE: usize = 1000;

/// Standard output, buffered.
pub(super) fn stdout() -> BufWriter<Stdout> {
    BufWriter::with_capacity(1 << 16, io::stdout())
}

/// The destination of rows.
pub(super) trait Sink: Write {
    /// Called after all rows were written.
    fn finish(self) -> io::Result<()>;
}

impl Sink for BufWriter<Stdout> {
    fn finish(mut self) -> io::Result<()> {
        self.flush()
    }
}

/// Writes rows in a format.
pub(super) struct Rows<W = BufWriter<Stdout>> {
    out: W,
    format: Format,
    columns: Vec<String>,
    /// Cells, and whether they are numbers.
    page: Vec<Vec<(String, bool)>>,
    widths: Vec<usize>,
    /// Whether a value was cut to fit the screen.
    has_cut: bool,
    rows: u64,
}

impl Rows {
    /// Writes rows to standard output.
    pub(super) fn new(format: Format, columns: Vec<String>) -> Rows {
        Rows::to(stdout(), format, columns)
    }
}

impl<W: Sink> Rows<W> {
    pub(super) fn to(out: W, format: Format, columns: Vec<String>) -> Rows<W> {
        let (page, widths) = (Vec::new(), Vec::new());
        Rows { out, format, columns, page, widths, has_cut: false, rows: 0 }
    }

    pub(super) fn push(&mut self, row: &[ValueRef<'_>]) -> io::Result<()> {
        match self.format {
            Format::Table => {
                let numeric = |value: &ValueRef<'_>| {
                    matches!(value, ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Null)
                };
                self.page.push(row.iter().map(|value| (cell(*value), numeric(value))).collect());
                if self.page.len() == PAGE {
                    self.put_page()?;
                }
            }
            Format::Json => {
                self.out.write_all(if self.rows == 0 { b"[\n" } else { b",\n" })?;
                self.put_object(row)?;
            }
            Format::Jsonl => {
                self.put_object(row)?;
                self.out.write_all(b"\n")?;
            }
            Format::Csv => {
                if self.rows == 0 {
                    self.put_header()?;
                }
                let mut record = csv_writer(&mut self.out);
                record.write_record(row.iter().map(|value| csv(*value)))?;
                record.flush()?;
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        match self.format {
            Format::Table if !self.page.is_empty() || self.rows == 0 => self.put_page()?,
            Format::Json if self.rows == 0 => self.out.write_all(b"[]\n")?,
            Format::Json => self.out.write_all(b"\n]\n")?,
            Format::Csv if self.rows == 0 => self.put_header()?,
            _ => {}
        }
        self.out.finish()?;
        if self.has_cut {
            eprintln!(
                "dashcam: values that end in … did not fit the screen; --format json shows them completely"
            );
        }
        Ok(())
    }

    fn put_header(&mut self) -> io::Result<()> {
        let mut header = csv_writer(&mut self.out);
        header.write_record(&self.columns)?;
        header.flush()
    }

    fn put_object(&mut self, row: &[ValueRef<'_>]) -> io::Result<()> {
        self.out.write_all(b"{")?;
        for (i, (name, value)) in self.columns.iter().zip(row).enumerate() {
            if i > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut self.out, name)?;
            self.out.write_all(b":")?;
            json(&mut self.out, *value)?;
        }
        self.out.write_all(b"}")
    }

    fn put_page(&mut self) -> io::Result<()> {
        let page = std::mem::take(&mut self.page);
        let right: Vec<bool> = (0..self.columns.len())
            .map(|i| !page.is_empty() && page.iter().all(|row| row[i].1))
            .collect();
        let cells = page.into_iter().map(|row| row.into_iter().map(|cell| cell.0).collect());
        if io::stdout().is_terminal() {
            let mut table = Table::new();
            table.load_style(presets::UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_header(&self.columns);
            // Some terminals do not report their width.
            if table.width().is_none_or(|width| width < 20) {
                table.set_width(100);
            }
            let cells: Vec<Vec<String>> = cells.collect();
            let screen = table.width().map_or(100, usize::from);
            let widths = fit(&self.columns, &cells, screen);
            self.has_cut |= cells.iter().flat_map(|row| row.iter().zip(&widths)).any(too_wide);
            table.add_rows(cells.into_iter().map(|row: Vec<String>| {
                row.into_iter().zip(&widths).zip(&right).map(|((text, width), right)| {
                    let text = cut(text, *width);
                    let side = if *right { CellAlignment::Right } else { CellAlignment::Left };
                    Cell::new(text).set_alignment(side)
                })
            }));
            return writeln!(self.out, "{table}");
        }
        let cells: Vec<Vec<String>> = cells.collect();
        if self.widths.is_empty() {
            let width = |i: usize| {
                let cells = cells.iter().map(|row| row[i].chars().count());
                cells.max().unwrap_or(0).min(PADDED_MAX).max(self.columns[i].chars().count())
            };
            self.widths = (0..self.columns.len()).map(width).collect();
            let header = self.columns.clone();
            self.put_line(&header, &right)?;
        }
        cells.iter().try_for_each(|row| self.put_line(row, &right))
    }

    fn put_line(&mut self, cells: &[String], right: &[bool]) -> io::Result<()> {
        let mut line = String::new();
        for ((cell, width), right) in cells.iter().zip(&self.widths).zip(right) {
            // Formatting pads to at most 65,535 characters, and panics for more.
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
            match right {
                true => line.extend([&*padding, cell, "  "]),
                false => line.extend([cell, &*padding, "  "]),
            }
        }
        writeln!(self.out, "{}", line.trim_end())
    }
}

/// Without a terminal, columns are padded to at most this width, so that one long value does not
/// make every row long.
const PADDED_MAX: usize = 60;
/// The width of borders and padding per column on a terminal.
const FRAME: usize = 3;
/// The smallest width of a column.
const NARROWEST: usize = 3;

/// The width of each column so that a row fits the screen. Columns that need less than their share
/// leave the rest to the others.
fn fit(columns: &[String], cells: &[Vec<String>], screen: usize) -> Vec<usize> {
    let wanted = |i: usize| {
        let cells = cells.iter().map(|row| row[i].width()).max().unwrap_or(0);
        cells.max(columns[i].width()).max(NARROWEST)
    };
    let mut widths: Vec<usize> = (0..columns.len()).map(wanted).collect();
    let mut left = screen.saturating_sub(FRAME * columns.len() + 1);
    let mut by_width: Vec<usize> = (0..columns.len()).collect();
    by_width.sort_by_key(|i| widths[*i]);
    for (done, i) in by_width.into_iter().enumerate() {
        let share = left / (columns.len() - done);
        widths[i] = widths[i].min(share.max(NARROWEST));
        left = left.saturating_sub(widths[i]);
    }
    widths
}

fn too_wide((text, width): (&String, &usize)) -> bool {
    text.width() > *width
}

/// The text, cut to at most `width` cells of the screen.
pub(crate) fn cut(text: String, width: usize) -> String {
    if !too_wide((&text, &width)) {
        return text;
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

fn csv_writer<W: Write>(out: W) -> csv::Writer<W> {
    csv::WriterBuilder::new().buffer_capacity(256).from_writer(out)
}

fn csv(value: ValueRef<'_>) -> Vec<u8> {
    match value {
        ValueRef::Null => Vec::new(),
        ValueRef::Text(text) => text.to_vec(),
        other => cell(other).into_bytes(),
    }
}

/// The text of a value in a table.
fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(r) => format!("{r:?}"),
        ValueRef::Text(text) => printable(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

/// Writes a value as JSON. Numbers that JSON does not have become null, bytes hexadecimal text.
pub(super) fn json(out: &mut impl Write, value: ValueRef<'_>) -> io::Result<()> {
    match value {
        ValueRef::Null => out.write_all(b"null"),
        ValueRef::Integer(n) => write!(out, "{n}"),
        ValueRef::Real(r) => Ok(serde_json::to_writer(out, &r)?),
        ValueRef::Text(text) => {
            let text = serde_json::to_string(&String::from_utf8_lossy(text))?;
            out.write_all(json_printable(&text).as_bytes())
        }
        ValueRef::Blob(bytes) => Ok(serde_json::to_writer(out, &hex(bytes))?),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
