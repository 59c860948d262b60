//! Tables and functions in a connection that another program has opened, for the loadable
//! extension.
//!
//! Everything is read through that connection only. So databases that are in memory, encrypted, or
//! attached to a virtual file system of their own can be read, and reads are part of the program's
//! transactions. Nothing is set on the connection: no pragma, authorizer, handler or timeout.
//! Everything that is created in it is temporary.

use super::register;
use super::scope::{self, views};
use super::source::{Host, Source};
use super::vtab::OfConnection;
use crate::store::Error;
use dashcam_schema::version::APPLICATION_ID;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// Adds tables and functions for the recording that is the main database of another program's
/// connection. If the main database is not a recording, they report that when they are used, and
/// they do not hide tables of the program with the same names. A repeated call does what has become
/// possible since the last one.
///
/// # Errors
/// If a transaction is open, because its end might remove the tables again; if the program has a
/// temporary table with the name of one of ours; if the program forbids a necessary action.
pub fn attach(connection: Connection) -> rusqlite::Result<()> {
    if !connection.is_autocommit() {
        return Err(failed("a transaction is open; load the dashcam extension before or after it"));
    }
    // The extension was loaded into this connection before.
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
        // The tables report what is wrong with the recording, unlike the file's views of the same
        // names.
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

/// Creates the tables. Also creates views so that ordinary tables, like virtual ones, show the rows
/// of the chosen run only, and whether code is the user's own.
fn create(host: &Host) -> rusqlite::Result<()> {
    scope::create(host.connection())?;
    for name in host.views.take() {
        host.connection().execute_batch(&format!("DROP VIEW IF EXISTS temp.{name}"))?;
    }
    for (name, view) in views(host.connection(), host.run())? {
        host.connection().execute_batch(&format!("CREATE TEMP VIEW {name} AS {view}"))?;
        host.views.borrow_mut().push(name);
    }
    Ok(())
}

/// Registers `dashcam_run(N)`, which chooses the run that tables show, and `dashcam_run()`, which
/// returns the chosen one.
fn register_run(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    // A view or trigger in a file must not change the meaning of a program's statements.
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
    // An in-memory database may have been replaced by another one. SQLite does not report that.
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
