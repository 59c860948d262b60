//! SQL over a recording: the ordinary tables of the file, and others such as `events`, `calls` and
//! `locals_at`, decoded from its chunks as they are asked for.
//!
//! The rows come from [`crate::tables`]; `vtab` is the only module that speaks SQLite's C interface.

mod explain;
mod functions;
mod guard;
mod scope;
mod uuid;
mod vtab;

pub use explain::{explain, explain_any};
pub(crate) use functions::{FUNCTIONS, Function};
pub(crate) use scope::rows_of_run;

use crate::store::{Error, Store};
use crate::tables;
use rusqlite::Connection;
use std::path::Path;
use std::rc::Rc;

/// A recording, ready for questions.
pub struct Recording {
    store: Rc<Store>,
}

impl Recording {
    /// Opens a recording and its virtual tables, for reading only.
    ///
    /// # Errors
    /// One variant of [`Error`] for each thing that can be wrong with the file.
    pub fn open(path: &Path) -> Result<Recording, Error> {
        let store = Rc::new(Store::open(path)?);
        let explain = |error| Error::from_sqlite(path, &error);
        if let Some(name) = scope::clash(&store).map_err(explain)? {
            return Err(Error::Clash { path: path.to_owned(), name });
        }
        vtab::register::<tables::Events>(&store).map_err(explain)?;
        vtab::register::<tables::Calls>(&store).map_err(explain)?;
        vtab::register::<tables::Exceptions>(&store).map_err(explain)?;
        vtab::register::<tables::Variables>(&store).map_err(explain)?;
        vtab::register::<tables::Mutations>(&store).map_err(explain)?;
        vtab::register::<tables::StackAt>(&store).map_err(explain)?;
        vtab::register::<tables::LocalsAt>(&store).map_err(explain)?;
        vtab::register::<tables::ObjectAt>(&store).map_err(explain)?;
        functions::register(&store).map_err(explain)?;
        uuid::show(store.connection()).map_err(explain)?;
        guard::install(store.connection()).map_err(explain)?;
        Ok(Recording { store })
    }

    /// What the recording is made of, without SQL.
    pub fn store(&self) -> &Rc<Store> {
        &self.store
    }

    /// Has every table show the rows of one run only, if one is named, but `runs`, which lists all.
    ///
    /// # Errors
    /// If SQLite does not want to.
    pub fn bind(&self, run_id: Option<i64>) -> Result<(), Error> {
        let explain = |error| Error::from_sqlite(self.store.path(), &error);
        scope::bind(&self.store, run_id).map_err(explain)
    }

    /// Where to ask. Statements that would write, attach or load anything are refused.
    pub fn connection(&self) -> &Connection {
        self.store.connection()
    }
}

#[cfg(test)]
mod tests;
