//! The recording that the tables and functions of a connection read.

use crate::store::{Error, Store};
use rusqlite::Connection;
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::{Rc, Weak};

/// How tables and functions get the recording.
#[derive(Clone)]
pub(super) enum Source {
    /// The store that owns the connection. Weak, because the connection owns the tables.
    Own(Weak<Store>),
    /// Another program's connection: the recording in its main database, in its current state.
    Host(Rc<Host>),
}

impl Source {
    /// Returns the recording, and reads it again if it has changed. Runs SQL on the connection.
    pub(super) fn refresh(&self) -> Result<Rc<Store>, Error> {
        match self {
            Source::Own(_) => self.current(),
            Source::Host(host) => host.refresh(),
        }
    }

    /// A recording for planning a statement: as it was when it could last be read, or without runs.
    /// Runs no SQL, because SQLite might then notice a change of tables while it is planning with
    /// them.
    pub(super) fn for_planning(&self) -> Result<Rc<Store>, Error> {
        match self {
            Source::Own(_) => self.current(),
            Source::Host(host) => Ok(host.planned_by.borrow().clone()),
        }
    }

    /// The recording as it was when it was last read. Runs no SQL.
    pub(super) fn current(&self) -> Result<Rc<Store>, Error> {
        match self {
            Source::Own(store) => store.upgrade().ok_or_else(|| {
                let message = "the recording is closed".to_owned();
                Error::Sqlite { path: PathBuf::new(), message }
            }),
            Source::Host(host) => host.current(),
        }
    }

    /// Whether a store, and with it the texts of its directory, lives as long as the connection.
    pub(super) fn is_own(&self) -> bool {
        matches!(self, Source::Own(_))
    }
}

/// A connection of another program, and the contents of its main database when it was last read.
pub(super) struct Host {
    connection: Rc<Connection>,
    store: RefCell<Result<Rc<Store>, String>>,
    /// The last store that could be read.
    planned_by: RefCell<Rc<Store>>,
    /// The connection's stamp when `store` was read.
    stamp: Cell<Option<Stamp>>,
    /// The only run that tables show.
    run: Cell<Option<i64>>,
    /// Names of the views that were created.
    pub(super) views: RefCell<Vec<&'static str>>,
}

/// While it stays equal, the database is unchanged: counts changes by others and changes by the
/// connection itself, and says whether it is in a transaction, whose changes may be rolled back.
type Stamp = (i64, u64, bool);

impl Host {
    pub(super) fn new(connection: Connection) -> Rc<Host> {
        // A cached statement would keep the host from closing its connection.
        connection.set_prepared_statement_cache_capacity(0);
        let connection = Rc::new(connection);
        Rc::new(Host {
            store: RefCell::new(Err("the recording was not read yet".to_owned())),
            planned_by: RefCell::new(Rc::new(Store::empty(connection.clone()))),
            connection,
            stamp: Cell::default(),
            run: Cell::default(),
            views: RefCell::default(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn run(&self) -> Option<i64> {
        self.run.get()
    }

    /// Makes the tables show the rows of one run, or of all.
    pub(super) fn set_run(&self, run_id: Option<i64>) {
        self.run.set(run_id);
        self.planned_by.borrow().bind(run_id);
    }

    /// Makes the next [`refresh`](Host::refresh) read the recording again.
    pub(super) fn forget(&self) {
        self.stamp.set(None);
    }

    fn current(&self) -> Result<Rc<Store>, Error> {
        self.store.borrow().clone().map_err(|message| Error::NotThere { what: message })
    }

    pub(super) fn refresh(&self) -> Result<Rc<Store>, Error> {
        let stamp = self.stamp().map_err(|error| Error::from_sqlite(&self.path(), &error))?;
        if self.stamp.get() != Some(stamp) {
            let store = self.read()?;
            if let Ok(store) = &store {
                store.bind(self.run.get());
                *self.planned_by.borrow_mut() = store.clone();
            }
            *self.store.borrow_mut() = store;
            self.stamp.set(Some(stamp));
        }
        self.current()
    }

    /// Reads the recording. The inner error says what is wrong with it; the outer error means that
    /// it could not be read at this time.
    fn read(&self) -> Result<Result<Rc<Store>, String>, Error> {
        let failed = |error| Error::from_sqlite(&self.path(), &error);
        // While a statement is running, all others see the database in the same state.
        let mut first =
            self.connection.prepare("SELECT 1 FROM main.sqlite_schema").map_err(failed)?;
        let mut first = first.query([]).map_err(failed)?;
        first.next().map_err(failed)?;
        match Store::over(self.connection.clone()) {
            // There is no way here to report damage separately from the rows of a statement.
            Ok(store) => Ok(match store.damage().into_iter().next() {
                Some(line) => Err(format!("{line}; see: dashcam check")),
                None => Ok(Rc::new(store)),
            }),
            Err(error @ (Error::Interrupted | Error::Sqlite { .. })) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn path(&self) -> PathBuf {
        self.connection.path().unwrap_or_default().into()
    }

    fn stamp(&self) -> rusqlite::Result<Stamp> {
        let connection = &self.connection;
        let version =
            connection.pragma_query_value(Some("main"), "data_version", |row| row.get(0))?;
        Ok((version, connection.total_changes(), connection.is_autocommit()))
    }
}
