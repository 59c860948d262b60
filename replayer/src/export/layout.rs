//! A folder of Parquet files with the runs of any number of recordings.
//!
//! ```text
//! DIR/events/run=<uuid>/process=<process_id>/part-0.parquet   tables decoded from chunks
//! DIR/threads/run=<uuid>/part-0.parquet                       the others
//! DIR/_dashcam/layout.json                                    marks the folder as an export
//! DIR/_dashcam/runs/<uuid>.json                               what was exported of a run
//! ```
//!
//! The names are those of Hive partitions, which most engines read as columns `run` and `process`.
//! Files are written in a temporary folder and moved when they are complete; then the exported
//! tables are noted. So after an export that was interrupted, the next one does what is missing.
//! Several exports may write to one folder at once, because runs have unique names.

use super::parquet::Writer;
use super::query::{Filter, Query};
use super::{Error, LAYOUT_VERSION};
use crate::sql::Recording;
use crate::store;
use crate::tables::plan::{Op, Value};
use dashcam_schema::tables::{TABLES, Table};
use serde_json::{Map, Value as Json, json};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// The folder for our own files. Engines ignore names that begin with `_`.
const OURS: &str = "_dashcam";
const FILE: &str = "part-0.parquet";
/// The largest number of batches that wait for the thread that writes.
const WAITING: usize = 4;

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Tables to export; all if there are none.
    pub tables: Vec<String>,
    /// Whether values are also exported as JSON, in columns such as `value_json`.
    pub json_values: bool,
    /// Whether runs that were exported before are exported again even if they have not changed.
    pub again: bool,
}

/// The result of exporting a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub run_id: i64,
    pub uuid: String,
    /// The number of rows written; `None` if the run was exported before and has not changed since.
    pub rows: Option<u64>,
}

/// The folder of an export.
pub struct Layout {
    path: PathBuf,
}

/// What was exported of a run.
#[derive(Default)]
struct Marker {
    /// What the recording says about the run. While this is equal, the run has not changed.
    state: Json,
    json_values: bool,
    /// The number of rows by table.
    tables: Map<String, Json>,
}

impl Layout {
    /// Opens an export, or begins one in an empty folder. Creates the folder if it does not exist.
    ///
    /// # Errors
    /// If the folder contains anything else, or cannot be written to.
    pub fn open(path: &Path) -> Result<Layout, Error> {
        let layout = Layout { path: path.to_owned() };
        fs::create_dir_all(path).map_err(Error::io(path))?;
        let marker = layout.ours("layout.json");
        match fs::read(&marker) {
            Ok(bytes) => {
                let found = parsed(&marker, &bytes)?["layout_version"].as_u64().unwrap_or(0);
                if found > LAYOUT_VERSION {
                    let path = path.to_owned();
                    return Err(Error::Newer { path, found, ours: LAYOUT_VERSION });
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut entries = fs::read_dir(path).map_err(Error::io(path))?;
                // Another export may be creating this folder.
                let is_other = |entry: fs::DirEntry| entry.file_name() != OURS;
                if entries.any(|entry| entry.is_ok_and(is_other)) {
                    return Err(Error::NotAnExport { path: path.to_owned() });
                }
            }
            Err(error) => return Err(Error::io(&marker)(error)),
        }
        let runs = layout.ours("runs");
        fs::create_dir_all(&runs).map_err(Error::io(&runs))?;
        layout.write_whole(&marker, &json!({ "layout_version": LAYOUT_VERSION }))?;
        Ok(layout)
    }

    /// Exports a run, unless it was exported before and has not changed since.
    ///
    /// # Errors
    /// If there is no such run or table, if the recording cannot be read, or a file cannot be
    /// written. Files of the run are then unchanged or missing; the next export writes them again.
    pub fn export(
        &self,
        recording: &Recording,
        run_id: i64,
        options: &Options,
    ) -> Result<Done, Error> {
        let (uuid, state) = state(recording, run_id)?;
        let path = self.ours(&format!("runs/{uuid}.json"));
        let known = Marker::read(&path)?.unwrap_or_default();
        let has_changed = options.again || known.state != state;
        let is_wanted = |table: &&Table| {
            let is_named =
                options.tables.is_empty() || options.tables.iter().any(|t| t == table.name);
            let is_known = known.tables.contains_key(table.name);
            let is_as_wanted = is_known && (known.json_values || !options.json_values);
            match has_changed {
                // Files of an earlier export must not remain.
                true => is_named || is_known,
                false => is_named && !is_as_wanted,
            }
        };
        for name in &options.tables {
            Query::new(recording, name)?;
        }
        let wanted: Vec<&Table> = exported_tables().filter(is_wanted).collect();
        if wanted.is_empty() {
            return Ok(Done { run_id, uuid, rows: None });
        }
        let json_values = options.json_values || known.json_values;
        let ours = self.ours("");
        let made = tempfile::Builder::new().prefix("tmp-").tempdir_in(&ours);
        let made = made.map_err(Error::io(&ours))?;
        let mut marker = Marker { state, json_values, tables: known.tables };
        let mut total = 0;
        for table in &wanted {
            let rows = write_table(recording, run_id, table, json_values, made.path())?;
            marker.tables.insert(table.name.to_owned(), rows.into());
            total += rows;
        }
        // From here until the marker is written again, the run counts as not exported.
        remove(&path)?;
        for table in &wanted {
            self.put(&made.path().join(table.name), table.name, &uuid, made.path())?;
        }
        self.write_whole(&path, &marker.to_json(&uuid))?;
        Ok(Done { run_id, uuid, rows: Some(total) })
    }

    /// Moves a run's files of a table to their final place, and replaces those that are there.
    fn put(&self, from: &Path, table: &str, uuid: &str, made: &Path) -> Result<(), Error> {
        let folder = self.path.join(table);
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let to = folder.join(format!("run={uuid}"));
        match fs::rename(&to, made.join(format!("{table}.old"))) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io(&to)(error)),
            _ => {}
        }
        fs::rename(from, &to).map_err(Error::io(&to))
    }

    fn ours(&self, name: &str) -> PathBuf {
        self.path.join(OURS).join(name)
    }

    /// Writes a file so that either all of it exists or nothing.
    fn write_whole(&self, path: &Path, json: &Json) -> Result<(), Error> {
        let ours = self.ours("");
        let written = tempfile::NamedTempFile::new_in(&ours).and_then(|mut file| {
            writeln!(file, "{json:#}")?;
            file.as_file().sync_all()?;
            file.persist(path).map(|_| ()).map_err(|error| error.error)
        });
        written.map_err(Error::io(path))
    }
}

impl Marker {
    fn read(path: &Path) -> Result<Option<Marker>, Error> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path)(error)),
        };
        let json = parsed(path, &bytes)?;
        Ok(Some(Marker {
            state: json["state"].clone(),
            json_values: json["json_values"] == true,
            tables: json["rows"].as_object().cloned().unwrap_or_default(),
        }))
    }

    fn to_json(&self, uuid: &str) -> Json {
        json!({
            "uuid": uuid,
            "layout_version": LAYOUT_VERSION,
            "dashcam_version": env!("CARGO_PKG_VERSION"),
            "state": self.state,
            "json_values": self.json_values,
            "rows": self.tables,
        })
    }
}

/// The tables that are exported: all except those with arguments and those that repeat other
/// tables.
pub fn exported_tables() -> impl Iterator<Item = &'static Table> {
    let has = |table: &Table, name| table.columns.iter().any(|column| column.name == name);
    TABLES.iter().filter(move |table| {
        let repeats = table.view.is_some() || table.is_virtual && !has(table, "process_id");
        !table.is_internal && !table.has_arguments() && !repeats
    })
}

/// A run's UUID, and values that change whenever the run changes.
fn state(recording: &Recording, run_id: i64) -> Result<(String, Json), Error> {
    recording.store().run(Some(run_id))?;
    let sql =
        "SELECT uuid, json_array(status, ended_at, event_count, lost_count, exit_code, exit_signal,
                 (SELECT count(*) FROM main.chunks c WHERE c.run_id = runs.run_id),
                 (SELECT count(*) FROM main.value_chunks c WHERE c.run_id = runs.run_id))
               FROM runs WHERE run_id = ?";
    let row = recording
        .connection()
        .query_row(sql, [run_id], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let path = recording.store().path();
    let (uuid, state): (String, _) =
        row.map_err(|error| store::Error::from_sqlite(path, &error))?;
    // It becomes part of a path, and anyone may have written it.
    if !uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') || uuid.len() != 36 {
        let message = format!("{}: run {run_id} has no UUID but {uuid:?}", path.display());
        return Err(Error::Sql { message });
    }
    Ok((uuid, serde_json::from_str(&state).unwrap_or_default()))
}

/// Writes a run's rows of a table into a folder. Returns the number of rows.
fn write_table(
    recording: &Recording,
    run_id: i64,
    table: &'static Table,
    json_values: bool,
    folder: &Path,
) -> Result<u64, Error> {
    let folder = folder.join(table.name);
    let query = || -> Result<Query<'_>, Error> {
        let query = Query::new(recording, table.name)?.run(run_id);
        Ok(if json_values { query.with_json() } else { query })
    };
    if !table.is_virtual {
        return write_file(&query()?, table, &folder);
    }
    let directory = recording.store().directory();
    let processes = directory.processes.values().filter(|process| process.run_id == run_id);
    let mut processes: Vec<i64> = processes.map(|process| process.process_id).collect();
    processes.sort_unstable();
    let mut total = 0;
    for (at, process) in processes.into_iter().enumerate() {
        let values = vec![Value::Integer(process)];
        let filter = Filter { column: "process_id".to_owned(), op: Op::Eq, values };
        let folder = folder.join(format!("process={process}"));
        let rows = write_file(&query()?.filter(filter)?, table, &folder)?;
        // The first file is kept even without rows, because it has the columns.
        if rows == 0 && at > 0 {
            fs::remove_dir_all(&folder).map_err(Error::io(&folder))?;
        }
        total += rows;
    }
    Ok(total)
}

/// Writes the rows of a query into a file, which a separate thread encodes. Returns the number of
/// rows.
fn write_file(query: &Query<'_>, table: &Table, folder: &Path) -> Result<u64, Error> {
    fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let path = folder.join(FILE);
    let schema = query.schema().clone();
    std::thread::scope(|scope| {
        let (send, batches) = sync_channel(WAITING);
        let writing = scope.spawn(move || {
            let mut writer = Writer::create(&path, table, schema)?;
            batches.into_iter().try_for_each(|batch| writer.write(&batch))?;
            writer.finish()
        });
        let read = query.read(&mut |batch| send.send(batch).map_err(|_| Error::NotTaken));
        drop(send);
        let written = writing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match read {
            Ok(()) | Err(Error::NotTaken) => written,
            Err(error) => Err(error),
        }
    })
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

fn parsed(path: &Path, bytes: &[u8]) -> Result<Json, Error> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Marker { path: path.to_owned(), why: error.to_string() })
}
