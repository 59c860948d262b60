//! Tables and functions in a connection that another program has opened: what the loadable extension does.
//!
//! Everything is read through that connection and nothing else: databases in memory, attached to a virtual
//! file system of their own or encrypted are read as they are, and within the program's transactions. Nothing
//! is set on it: no pragma, no authorizer, no handler, no timeout. What is made in it is temporary.

use super::register;
use super::scope::{self, views};
use super::source::{Host, Source};
use super::vtab::OfConnection;
use crate::store::Error;
use dashcam_schema::version::APPLICATION_ID;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// Gives a connection of another program the tables and functions over the recording that is its main
/// database. If that is no recording they say so when they are used, and nothing is in the way of
/// tables of the program's with the same names. Asked again, it does what has become possible since.
///
/// # Errors
/// If a transaction is open, for its end might take the tables away again; if a temporary table of the
/// program's has the name of one of ours; if the program forbids what is needed.
pub fn attach(connection: Connection) -> rusqlite::Result<()> {
    if !connection.is_autocommit() {
        return Err(failed("a transaction is open; load the dashcam extension before or after it"));
    }
    // Loaded before, into the same connection.
    if connection.prepare("SELECT dashcam_run()").is_ok() {
        return connection.query_row("SELECT dashcam_run(dashcam_run())", [], |_| Ok(()));
    }
    let host = Host::new(connection);
    let source = Source::Host(host.clone());
    register(host.connection(), &source)?;
    register_run(host.connection(), &source)?;
    let read = host.refresh();
    if !is_recording(&host)? {
        return Ok(());
    }
    host.connection().execute_batch("SAVEPOINT dashcam")?;
    let created = match read {
        Ok(_) => create(&host),
        Err(Error::Interrupted) => Err(failed(Error::Interrupted)),
        // The tables say what is wrong with it, and not the views that the file has in their place.
        Err(_) => scope::create(host.connection()),
    };
    if created.is_err() {
        host.connection().execute_batch("ROLLBACK TO dashcam")?;
    }
    host.connection().execute_batch("RELEASE dashcam")?;
    created
}

fn is_recording(host: &Host) -> rusqlite::Result<bool> {
    let id: i32 =
        host.connection().pragma_query_value(Some("main"), "application_id", |row| row.get(0))?;
    Ok(id == APPLICATION_ID)
}

/// Makes the tables available, and has the ordinary ones show what the virtual ones do: the rows of the run
/// that was chosen, and whether code is one's own.
fn create(host: &Host) -> rusqlite::Result<()> {
    scope::create(host.connection())?;
    for name in host.views.take() {
        host.connection().execute_batch(&format!("DROP VIEW IF EXISTS temp.{name}"))?;
    }
    for (name, view) in views(host.run()) {
        host.connection().execute_batch(&format!("CREATE TEMP VIEW {name} AS {view}"))?;
        host.views.borrow_mut().push(name);
    }
    Ok(())
}

/// `dashcam_run(N)`, which chooses the run that tables show, and `dashcam_run()`, which says which one.
fn register_run(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    // A view or trigger in a file must not change what a program's statements mean.
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    for arguments in [0, 1] {
        let source = OfConnection::new(source);
        connection.create_scalar_function("dashcam_run", arguments, flags, move |context| {
            match &*source {
                Source::Host(host) if context.is_empty() => Ok(host.run()),
                Source::Host(host) => choose_run(host, context),
                Source::Own(_) => Ok(None),
            }
        })?;
    }
    Ok(())
}

fn choose_run(host: &Host, context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let wanted = match context.get_raw(0) {
        ValueRef::Null => None,
        ValueRef::Integer(run_id) => Some(run_id),
        _ => return Err(failed("dashcam_run: a run's number is needed, or NULL for all runs")),
    };
    if wanted.is_none() && !is_recording(host)? {
        return Ok(None);
    }
    // Another database may have been put in the place of one in memory; SQLite gives no sign of it.
    host.forget();
    let store = host.refresh().map_err(failed)?;
    if wanted.is_some() {
        store.run(wanted).map_err(failed)?;
    }
    host.set_run(wanted);
    create(host)?;
    Ok(wanted)
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.into())
}
