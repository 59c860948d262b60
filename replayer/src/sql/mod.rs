//! SQL over a recording: the ordinary tables of the file, and others such as `events`, `calls` and
//! `locals_at`, decoded from its chunks as they are asked for.
//!
//! The rows come from [`crate::tables`]; `vtab` is the only module that speaks SQLite's C interface.

mod counts;
mod explain;
mod functions;
mod guard;
mod of_run;
mod scope;
mod vtab;

pub use explain::{explain, explain_any};
pub(crate) use functions::{FUNCTIONS, Function};

use crate::store::{Error, Store};
use crate::tables;
use rusqlite::{Connection, Statement};
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
        vtab::register::<tables::Groups<tables::Events>>(&store).map_err(explain)?;
        vtab::register::<tables::Calls>(&store).map_err(explain)?;
        vtab::register::<tables::Groups<tables::Calls>>(&store).map_err(explain)?;
        vtab::register::<tables::Exceptions>(&store).map_err(explain)?;
        vtab::register::<tables::Groups<tables::Exceptions>>(&store).map_err(explain)?;
        vtab::register::<tables::Variables>(&store).map_err(explain)?;
        vtab::register::<tables::Groups<tables::Variables>>(&store).map_err(explain)?;
        vtab::register::<tables::Mutations>(&store).map_err(explain)?;
        vtab::register::<tables::Groups<tables::Mutations>>(&store).map_err(explain)?;
        vtab::register::<tables::StackAt>(&store).map_err(explain)?;
        vtab::register::<tables::LocalsAt>(&store).map_err(explain)?;
        vtab::register::<tables::ObjectAt>(&store).map_err(explain)?;
        functions::register(&store).map_err(explain)?;
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

    /// Prepares a statement, about one run if one is named and else about those that tables show. One that only
    /// counts rows is prepared as a statement about groups of them, which gives the same.
    ///
    /// # Errors
    /// SQLite's, about the statement as it is.
    pub fn prepare(&self, sql: &str, run_id: Option<i64>) -> rusqlite::Result<Statement<'_>> {
        let of_run = |sql: &str| match run_id {
            Some(run_id) => of_run::of_run(sql, run_id),
            None => sql.to_owned(),
        };
        let statement = self.connection().prepare(&of_run(sql))?;
        let names = statement.column_names();
        for leaves_conditions in [true, false] {
            let Some(sql) = counts::of_groups(sql, &names, run_id, leaves_conditions) else {
                continue;
            };
            if let Ok(counting) = self.connection().prepare(&of_run(&sql))
                && has_same_form(&statement, &counting)
            {
                return Ok(counting);
            }
        }
        Ok(statement)
    }

    /// Where to ask. Statements that would write, attach or load anything are refused.
    pub fn connection(&self) -> &Connection {
        self.store.connection()
    }
}

/// Whether two statements have the same columns and the same parameters.
fn has_same_form(one: &Statement<'_>, other: &Statement<'_>) -> bool {
    let parameters = one.parameter_count();
    one.column_names() == other.column_names()
        && parameters == other.parameter_count()
        && (1..=parameters).all(|at| one.parameter_name(at) == other.parameter_name(at))
}

#[cfg(test)]
mod tests;
