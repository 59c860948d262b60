//! Copies the rows of virtual tables into ordinary tables, which SQLite then queries by itself.

#![allow(unreachable_pub, clippy::unwrap_used)]

use dashcam_replayer::Recording;
use dashcam_schema::tables;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// A database with these tables, with the same declarations and rows.
pub fn copy(recording: &Recording, names: &[&str]) -> Connection {
    let copy = Connection::open_in_memory().unwrap();
    for name in names {
        let table = tables::find(name).unwrap();
        copy.execute_batch(&table.ddl()).unwrap();
        let marks = vec!["?"; table.columns.len()].join(", ");
        let mut insert = copy.prepare(&format!("INSERT INTO {name} VALUES ({marks})")).unwrap();
        let mut all = recording.connection().prepare(&format!("SELECT * FROM {name}")).unwrap();
        let mut rows = all.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..table.columns.len()).map(|i| row.get::<_, Value>(i).unwrap());
            insert.execute(params_from_iter(values)).unwrap();
        }
    }
    copy
}
