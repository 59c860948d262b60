//! SQL over a recording: the ordinary tables of the file, and others such as `events`, `calls` and
//! `locals_at`, which are decoded from its chunks when they are read.
//!
//! The rows come from [`crate::tables`]. `vtab` is the only module that uses SQLite's C interface.

mod counts;
mod explain;
mod functions;
mod guard;
mod host;
mod of_run;
mod scope;
mod source;
mod uuid;
mod vtab;

pub use explain::{explain, explain_any};
pub use functions::{FUNCTIONS, Function};
pub use host::attach;
pub use of_run::of_run;
#[cfg(feature = "export")]
pub(crate) use scope::rows_of_run;

use crate::store::{Error, Store};
use crate::tables;
use rusqlite::{Connection, Statement};
use source::Source;
use std::path::Path;
use std::rc::Rc;

/// An open recording that can be queried.
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
        let (connection, source) = (store.connection(), Source::Own(Rc::downgrade(&store)));
        register(connection, &source).map_err(explain)?;
        guard::lift(connection).map_err(explain)?;
        scope::create(connection).map_err(explain)?;
        scope::complete(connection).map_err(explain)?;
        uuid::show(connection).map_err(explain)?;
        guard::install(connection).map_err(explain)?;
        Ok(Recording { store })
    }

    /// The contents of the recording, without SQL.
    pub fn store(&self) -> &Rc<Store> {
        &self.store
    }

    /// Makes every table show the rows of one run only, or of all runs. `runs` always lists all.
    ///
    /// # Errors
    /// If a statement of SQLite fails.
    pub fn bind(&self, run_id: Option<i64>) -> Result<(), Error> {
        let explain = |error| Error::from_sqlite(self.store.path(), &error);
        scope::bind(&self.store, run_id).map_err(explain)
    }

    /// Prepares a statement, for one run if `run_id` names one and otherwise for the runs that
    /// tables show. A statement that only counts rows is prepared as a statement about groups of
    /// rows, which gives the same result.
    ///
    /// # Errors
    /// SQLite's error for the statement as it was written.
    pub fn prepare(&self, sql: &str, run_id: Option<i64>) -> rusqlite::Result<Statement<'_>> {
        let scoped = |sql: &str| match run_id {
            Some(run_id) => of_run(sql, run_id),
            None => sql.to_owned(),
        };
        let statement = self.connection().prepare(&scoped(sql))?;
        let names = statement.column_names();
        for leaves_conditions in [true, false] {
            let Some(sql) = counts::of_groups(sql, &names, run_id, leaves_conditions) else {
                continue;
            };
            if let Ok(counting) = self.connection().prepare(&scoped(&sql))
                && has_same_form(&statement, &counting)
            {
                return Ok(counting);
            }
        }
        Ok(statement)
    }

    /// The connection to query. It refuses statements that would write, attach or load anything.
    pub fn connection(&self) -> &Connection {
        self.store.connection()
    }
}

/// Registers all virtual tables and functions with a connection.
fn register(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    vtab::register::<tables::Events>(connection, source)?;
    vtab::register::<tables::Groups<tables::Events>>(connection, source)?;
    vtab::register::<tables::Calls>(connection, source)?;
    vtab::register::<tables::CCalls>(connection, source)?;
    vtab::register::<tables::Groups<tables::Calls>>(connection, source)?;
    vtab::register::<tables::Exceptions>(connection, source)?;
    vtab::register::<tables::Groups<tables::Exceptions>>(connection, source)?;
    vtab::register::<tables::Variables>(connection, source)?;
    vtab::register::<tables::Groups<tables::Variables>>(connection, source)?;
    vtab::register::<tables::Mutations>(connection, source)?;
    vtab::register::<tables::Groups<tables::Mutations>>(connection, source)?;
    vtab::register::<tables::StackAt>(connection, source)?;
    vtab::register::<tables::LocalsAt>(connection, source)?;
    vtab::register::<tables::ObjectAt>(connection, source)?;
    vtab::register::<tables::CallTree>(connection, source)?;
    vtab::register::<tables::Questions<tables::CallersOf>>(connection, source)?;
    vtab::register::<tables::Questions<tables::CalleesOf>>(connection, source)?;
    vtab::register::<tables::Questions<tables::Lines>>(connection, source)?;
    vtab::register::<tables::Questions<tables::Timeline>>(connection, source)?;
    vtab::register::<tables::Questions<tables::ExceptionChain>>(connection, source)?;
    vtab::register::<tables::ExecutableLines>(connection, source)?;
    vtab::register::<tables::NamedTable<tables::ValuesOf>>(connection, source)?;
    vtab::register::<tables::NamedTable<tables::EventsBetween>>(connection, source)?;
    functions::register(connection, source)
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
