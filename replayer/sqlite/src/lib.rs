//! dashcam's tables and functions for any SQLite client: a loadable extension.
//!
//! This crate is only the entry point: it checks which SQLite it was loaded into, and passes the
//! connection to [`dashcam_replayer::sql::attach`].

use rusqlite::{Connection, ffi};
use std::ffi::{c_char, c_int};
use std::mem::{MaybeUninit, offset_of};
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};

/// The oldest SQLite that can load this extension, as returned by `sqlite3_libversion_number`. It
/// was the first with `sqlite3_vtab_in` and `sqlite3_vtab_rhs_value`.
const OLDEST: c_int = 3_038_000;
/// The first SQLite with `sqlite3_is_interrupted`.
const IS_INTERRUPTED: c_int = 3_041_000;

/// The function that SQLite calls when the extension is loaded.
///
/// # Safety
/// Must be called by SQLite, with a connection, a place for a message, and its table of functions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_extension_init(
    db: *mut ffi::sqlite3,
    message: *mut *mut c_char,
    api: *mut ffi::sqlite3_api_routines,
) -> c_int {
    // SAFETY: as SQLite promises.
    let body = || match unsafe { functions(api) } {
        // SAFETY: `db` is the connection that loads us, `api` is complete. `start` only registers.
        Ok(api) => unsafe { Connection::extension_init2(db, message, api, start) },
        Err(refusal) => {
            // SAFETY: as SQLite promises.
            unsafe { set_message(api, message, &refusal) };
            ffi::SQLITE_ERROR
        }
    };
    catch_unwind(body).unwrap_or(ffi::SQLITE_INTERNAL)
}

/// Returns `true`, so that the extension stays in memory when the connection is closed: a thread
/// may still have to run what the standard library left in it.
fn start(connection: Connection) -> rusqlite::Result<bool> {
    dashcam_replayer::sql::attach(connection).map(|()| true)
}

/// Returns SQLite's functions in a table for rusqlite, which expects the newest SQLite and refuses
/// others. Functions that an older SQLite lacks are never called.
///
/// # Errors
/// A line that says why the extension cannot be loaded.
///
/// # Safety
/// `api` is null or what SQLite passes to an extension.
unsafe fn functions(
    api: *mut ffi::sqlite3_api_routines,
) -> Result<*mut ffi::sqlite3_api_routines, String> {
    /// The SQLite that the extension was loaded into first, and the table made for it. A process
    /// may have several; rusqlite has room for the functions of only one.
    static LOADED_INTO: Mutex<Option<(usize, usize)>> = Mutex::new(None);

    if api.is_null() {
        return Err("dashcam: SQLite passed no functions".to_owned());
    }
    // SAFETY: tables have only ever been extended at their end: every one has this field.
    let number = unsafe { (&raw const (*api).libversion_number).read() };
    let number = number.ok_or("dashcam: SQLite does not report its version")?;
    // SAFETY: it has no arguments and only returns a constant.
    let version = unsafe { number() };
    if version < OLDEST {
        let (oldest, version) = (dotted(OLDEST), dotted(version));
        return Err(format!("dashcam needs SQLite {oldest} or newer, and this is {version}"));
    }
    let mut loaded_into = LOADED_INTO.lock().unwrap_or_else(PoisonError::into_inner);
    let identity = number as usize;
    match *loaded_into {
        Some((first, table)) if first == identity => return Ok(table as *mut _),
        Some(_) => {
            return Err(
                "dashcam: another SQLite library of this process has loaded the extension; use one \
                        of them only"
                    .to_owned(),
            );
        }
        None => {}
    }
    // SAFETY: all fields may be null.
    let mut table: Box<ffi::sqlite3_api_routines> =
        Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    // SAFETY: from `OLDEST` on, tables reach up to `deserialize`, which came later.
    unsafe {
        let length = offset_of!(ffi::sqlite3_api_routines, deserialize);
        std::ptr::copy_nonoverlapping(api.cast::<u8>(), (&raw mut *table).cast(), length);
    }
    table.is_interrupted = match version {
        // SAFETY: tables of these versions have the field.
        IS_INTERRUPTED.. => unsafe { (&raw const (*api).is_interrupted).read() },
        // SQLite's own reads in the meantime notice an interrupt too.
        _ => Some(never),
    };
    table.libversion_number = Some(newest);
    // The table lives as long as the process, as SQLite's own does.
    let table = Box::into_raw(table);
    *loaded_into = Some((identity, table as usize));
    Ok(table)
}

unsafe extern "C" fn never(_: *mut ffi::sqlite3) -> c_int {
    0
}

unsafe extern "C" fn newest() -> c_int {
    ffi::SQLITE_VERSION_NUMBER
}

fn dotted(version: c_int) -> String {
    format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000)
}

/// Makes SQLite report why the extension was not loaded.
///
/// # Safety
/// `api` is null or what SQLite passes to an extension, as is `message`.
unsafe fn set_message(api: *mut ffi::sqlite3_api_routines, message: *mut *mut c_char, text: &str) {
    if api.is_null() || message.is_null() {
        return;
    }
    // SAFETY: every table has this field; SQLite frees `message` with the same library's `free`.
    unsafe {
        let Some(malloc) = (&raw const (*api).malloc).read() else { return };
        let Ok(length) = c_int::try_from(text.len() + 1) else { return };
        let place = malloc(length).cast::<u8>();
        if !place.is_null() {
            std::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len());
            place.add(text.len()).write(0);
            *message = place.cast();
        }
    }
}
