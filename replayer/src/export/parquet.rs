//! Writes one Parquet file.

use super::columns::WALL_TIME;
use super::{Error, LAYOUT_VERSION};
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use dashcam_schema::tables::Table;
use dashcam_schema::version::FORMAT_VERSION;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// The largest number of rows in a row group: four full chunks of events. Engines read row groups
/// in parallel, and skip them by their statistics.
const ROWS: usize = 4 << 17;
/// A row group ends at this number of bytes in memory, even if it has room for more rows.
const BYTES: usize = 96 << 20;
/// zstd's fastest level; with slower ones the columns are only slightly smaller.
const LEVEL: i32 = 1;

/// Columns that grow from row to row, or have as many values as rows: dictionaries are not
/// worthwhile.
const GROWING: &[&str] = &[
    "seq",
    "time_ns",
    "wall_ns",
    WALL_TIME,
    "call_id",
    "start_seq",
    "end_seq",
    "start_ns",
    "end_ns",
    "duration_ns",
    "self_ns",
];

/// A file that is being written. It is at its final path only when it is complete.
pub(super) struct Writer {
    path: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
    rows: u64,
}

impl Writer {
    pub(super) fn create(path: &Path, table: &Table, schema: SchemaRef) -> Result<Writer, Error> {
        let file = File::create_new(path).map_err(Error::io(path))?;
        let entry = |key: &str, value: String| KeyValue::new(format!("dashcam.{key}"), value);
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL).unwrap_or_default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_max_row_group_row_count(Some(ROWS))
            .set_created_by(concat!("dashcam ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(vec![
                entry("table", table.name.to_owned()),
                entry("layout_version", LAYOUT_VERSION.to_string()),
                entry("format_version", FORMAT_VERSION.to_string()),
            ]));
        for field in schema.fields() {
            let column = ColumnPath::from(field.name().as_str());
            if GROWING.contains(&field.name().as_str()) {
                properties = properties
                    .set_column_dictionary_enabled(column.clone(), false)
                    .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
            }
        }
        let file = BufWriter::with_capacity(1 << 20, file);
        // Without the types that columns have in Arrow: some engines would turn dictionaries into
        // categories, which they do not compare with texts.
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(file, schema, options);
        let writer = writer.map_err(failed(path))?;
        Ok(Writer { path: path.to_owned(), writer, rows: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(failed(&self.path))?;
        if self.writer.in_progress_size() > BYTES {
            self.writer.flush().map_err(failed(&self.path))?;
        }
        Ok(())
    }

    /// Completes the file. Returns the number of its rows.
    pub(super) fn finish(self) -> Result<u64, Error> {
        let Writer { path, writer, rows } = self;
        let file = writer.into_inner().map_err(failed(&path))?;
        // A full disk may be reported only now.
        let file = file.into_inner().map_err(|error| Error::io(&path)(error.into_error()))?;
        file.sync_all().map_err(Error::io(&path))?;
        Ok(rows)
    }
}

/// Converts an error. An operating system error, such as a full disk, is reported as such.
fn failed(path: &Path) -> impl FnOnce(ParquetError) -> Error {
    move |error| match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => Error::io(path)(*source),
            Err(source) => {
                Error::Parquet { path: path.to_owned(), source: ParquetError::External(source) }
            }
        },
        source => Error::Parquet { path: path.to_owned(), source },
    }
}
