//! The adapter between [`Table`] and SQLite's virtual tables.
//!
//! SQLite asks for rows one at a time and for their values one at a time; tables produce
//! [`Batch`]es. Between two batches, `xNext` only counts and `xColumn` only looks up.
//!
//! Every callback is fenced: a panic in a table becomes an error of the statement, because it must
//! not unwind into C. This is the only module of the replayer that contains `unsafe`.
#![allow(unsafe_code)]

mod values;

use super::source::Source;
use crate::store::{Error, Store};
use crate::tables::batch::{Batch, Column, NULL};
use crate::tables::plan::{self, Constraint, Flags, Op, Plan, Request};
use crate::tables::{Scan, Table};
use dashcam_schema::tables::{self, Type};
use rusqlite::{Connection, ffi};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Registers a table with a connection; [`create`](super::scope::create) creates it under its name.
pub(super) fn register<T: Table>(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    let name = CString::new(T::NAME).map_err(rusqlite::Error::NulError)?;
    let source_for_module = Box::into_raw(Box::new(source.clone()));
    // SAFETY: the connection is open; SQLite copies the name, the module is static, and
    // `drop_source` frees exactly what `Box::into_raw` returned, once, also if this call fails.
    let code = unsafe {
        ffi::sqlite3_create_module_v2(
            connection.handle(),
            name.as_ptr(),
            &raw const *Adapter::<T>::MODULE,
            source_for_module.cast(),
            Some(drop_source),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

/// # Safety
/// `source` is what `register` passed to SQLite, and is passed here once.
unsafe extern "C" fn drop_source(source: *mut c_void) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(source.cast::<Source>()) });
}

/// A source in a closure that rusqlite requires to be `Send`.
pub(super) struct OfConnection(Source);

// SAFETY: SQLite calls and drops the functions of a connection only while the connection's mutex is
// held, or, if it was opened without a mutex, from the thread that currently uses the connection.
// So this never happens in two threads at once, and the effects of one thread are visible to the
// next. Everything that a source refers to is reachable only from its connection's functions and
// tables (`Source::Host`), or never leaves its thread, because a `Recording` cannot
// (`Source::Own`).
unsafe impl Send for OfConnection {}

impl OfConnection {
    pub(super) fn new(source: &Source) -> OfConnection {
        OfConnection(source.clone())
    }
}

impl std::ops::Deref for OfConnection {
    type Target = Source;

    fn deref(&self) -> &Source {
        &self.0
    }
}

#[repr(C)]
struct VirtualTable {
    /// First, so that a pointer to it is a pointer to this struct.
    base: ffi::sqlite3_vtab,
    source: Source,
}

#[repr(C)]
struct Cursor<S> {
    /// First, so that a pointer to it is a pointer to this struct.
    base: ffi::sqlite3_vtab_cursor,
    /// Keeps the texts alive that `batch` refers to.
    store: Rc<Store>,
    /// Whether `store` lives as long as the connection, so that SQLite need not copy its texts.
    is_own: bool,
    /// How often the store had found damage when the scan began.
    damage_before: u64,
    scan: Option<S>,
    batch: Batch,
    /// Index of the current row in `batch`; from `batch.rows` on, the scan is over.
    row: usize,
}

struct Adapter<T>(PhantomData<T>);

fn failed(message: impl ToString) -> Error {
    Error::Sqlite { path: Default::default(), message: message.to_string() }
}

/// A table without contents: SQLite fills them in.
fn no_table() -> ffi::sqlite3_vtab {
    let (module, message) = (std::ptr::null(), std::ptr::null_mut());
    ffi::sqlite3_vtab { pModule: module, nRef: 0, zErrMsg: message }
}

/// Copies a text into memory that SQLite frees. Returns null if there is no memory.
fn copy(text: &CStr) -> *mut c_char {
    let bytes = text.to_bytes_with_nul();
    // SAFETY: the allocation is as long as the copied bytes, and nothing else has a pointer to it
    // yet.
    unsafe {
        let place = ffi::sqlite3_malloc64(bytes.len() as u64).cast::<c_char>();
        if !place.is_null() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), place, bytes.len());
        }
        place
    }
}

/// Runs a callback's body. Returns SQLite's result code, and stores an error's message in `table`.
///
/// # Safety
/// `table` is null or a table that SQLite passed in.
unsafe fn fence(table: *mut ffi::sqlite3_vtab, body: impl FnOnce() -> Result<(), Error>) -> c_int {
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return ffi::SQLITE_OK,
        Ok(Err(Error::Interrupted)) => return ffi::SQLITE_INTERRUPT,
        Ok(Err(Error::Sqlite { message, .. })) => message,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => {
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("bug in dashcam: {}", message.unwrap_or("panic"))
        }
    };
    let error = CString::new(error.replace('\0', " ")).unwrap_or_default();
    // SAFETY: `table` is live during its callback, and SQLite allocated and frees its message, if
    // any.
    unsafe {
        if let Some(table) = table.as_mut() {
            ffi::sqlite3_free(table.zErrMsg.cast());
            table.zErrMsg = copy(&error);
        }
    }
    ffi::SQLITE_ERROR
}

impl<T: Table> Adapter<T> {
    /// `xCreate` is `xConnect`, so that SQLite also finds the table under a name that was not
    /// created. `connect` then reports which name to use.
    const MODULE: &'static ffi::sqlite3_module = &ffi::sqlite3_module {
        iVersion: 2,
        xCreate: Some(Self::connect),
        xConnect: Some(Self::connect),
        xBestIndex: Some(Self::best_index),
        xDisconnect: Some(Self::disconnect),
        xDestroy: Some(Self::disconnect),
        xOpen: Some(Self::open),
        xClose: Some(Self::close),
        xFilter: Some(Self::filter),
        xNext: Some(Self::next),
        xEof: Some(Self::eof),
        xColumn: Some(Self::column),
        xRowid: Some(Self::rowid),
        xUpdate: None,
        xBegin: None,
        xSync: None,
        xCommit: None,
        xRollback: None,
        xFindFunction: None,
        xRename: None,
        xSavepoint: None,
        xRelease: None,
        xRollbackTo: None,
        xShadowName: None,
        xIntegrity: None,
    };

    fn columns() -> &'static [tables::Column] {
        T::columns()
    }

    unsafe extern "C" fn connect(
        db: *mut ffi::sqlite3,
        source: *mut c_void,
        count: c_int,
        arguments: *const *const c_char,
        table: *mut *mut ffi::sqlite3_vtab,
        message: *mut *mut c_char,
    ) -> c_int {
        // Takes the place of the table until there is one.
        let mut base = no_table();
        let body = || {
            // SAFETY: `source` is what `register` passed and `drop_source` has not yet freed.
            let source = unsafe { &*source.cast::<Source>() }.clone();
            // SAFETY: SQLite passes at least the names of the module, the database and the table.
            let is_created = count > 1 && unsafe { CStr::from_ptr(*arguments.add(1)) } == c"temp";
            if !is_created {
                // If the main database is not a recording, this reports what is wrong with it.
                source.current()?;
                let name = T::NAME;
                return Err(failed(format!(
                    "{name}: ask for it by this name alone, without a database's"
                )));
            }
            let ddl = CString::new(T::ddl()).map_err(failed)?;
            // SAFETY: `db` is the connection that called us, `ddl` lives through the call.
            let code = unsafe { ffi::sqlite3_declare_vtab(db, ddl.as_ptr()) };
            if code != ffi::SQLITE_OK {
                return Err(failed(format!("{} cannot be declared", T::NAME)));
            }
            if !source.is_own() {
                // With this option, read transactions last as long as a statement, so that no chunk
                // is removed while it runs. SQLite before 3.41 does not know the option; there, a
                // removed chunk is an error.
                // SAFETY: within `xConnect` or `xCreate`, with the connection that called.
                unsafe { ffi::sqlite3_vtab_config(db, ffi::SQLITE_VTAB_USES_ALL_SCHEMAS) };
            }
            let made = Box::into_raw(Box::new(VirtualTable { base: no_table(), source }));
            // SAFETY: SQLite passes a place for the result.
            unsafe { *table = made.cast() };
            Ok(())
        };
        // SAFETY: `base` outlives the call; its message, if any, is passed on to SQLite.
        unsafe {
            let code = fence(&raw mut base, body);
            *message = base.zErrMsg;
            code
        }
    }

    unsafe extern "C" fn disconnect(table: *mut ffi::sqlite3_vtab) -> c_int {
        // SAFETY: made by `connect` with `Box::into_raw`; SQLite disconnects once.
        let table = unsafe { Box::from_raw(table.cast::<VirtualTable>()) };
        // SAFETY: the table is null: there is no table any more that could hold a message.
        unsafe {
            fence(std::ptr::null_mut(), || {
                drop(table);
                Ok(())
            })
        }
    }

    unsafe extern "C" fn best_index(
        table: *mut ffi::sqlite3_vtab,
        info: *mut ffi::sqlite3_index_info,
    ) -> c_int {
        let mut is_usable = true;
        let body = || {
            // SAFETY: `table` was made by `connect`.
            let store = unsafe { &*table.cast::<VirtualTable>() }.source.for_planning()?;
            // SAFETY: `info` is SQLite's for the length of this callback.
            is_usable = unsafe { answer(&mut *info, |request| T::plan(&store, request)) }?;
            Ok(())
        };
        // SAFETY: `table` is SQLite's.
        let code = unsafe { fence(table, body) };
        if code == ffi::SQLITE_OK && !is_usable { ffi::SQLITE_CONSTRAINT } else { code }
    }

    unsafe extern "C" fn open(
        table: *mut ffi::sqlite3_vtab,
        cursor: *mut *mut ffi::sqlite3_vtab_cursor,
    ) -> c_int {
        let body = || {
            // SAFETY: `table` was made by `connect`.
            let source = &unsafe { &*table.cast::<VirtualTable>() }.source;
            let made = Box::new(Cursor::<T::Scan> {
                base: ffi::sqlite3_vtab_cursor { pVtab: table },
                store: source.refresh()?,
                is_own: source.is_own(),
                damage_before: 0,
                scan: None,
                batch: Batch::default(),
                row: 0,
            });
            // SAFETY: SQLite passes a place for the result.
            unsafe { *cursor = Box::into_raw(made).cast() };
            Ok(())
        };
        // SAFETY: `table` is SQLite's.
        unsafe { fence(table, body) }
    }

    unsafe extern "C" fn close(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
        // SAFETY: made by `open` with `Box::into_raw`; SQLite closes once.
        let cursor = unsafe { Box::from_raw(cursor.cast::<Cursor<T::Scan>>()) };
        // SAFETY: the table outlives its cursors.
        unsafe {
            fence(cursor.base.pVtab, || {
                drop(cursor);
                Ok(())
            })
        }
    }

    unsafe extern "C" fn filter(
        cursor: *mut ffi::sqlite3_vtab_cursor,
        number: c_int,
        text: *const c_char,
        count: c_int,
        values: *mut *mut ffi::sqlite3_value,
    ) -> c_int {
        // SAFETY: made by `open`, and SQLite uses a cursor from one place at a time.
        let cursor = unsafe { &mut *cursor.cast::<Cursor<T::Scan>>() };
        let table = cursor.base.pVtab;
        let body = || {
            // SAFETY: `text` is what `answer` wrote to `idxStr`, `values` has `count` entries.
            let (text, values) = unsafe {
                let values = match usize::try_from(count) {
                    Ok(count) if count > 0 => std::slice::from_raw_parts(values, count),
                    _ => &[],
                };
                (CStr::from_ptr(text), values)
            };
            let plan::Encoded { used, top, arguments } = text
                .to_str()
                .ok()
                .and_then(plan::decode)
                .filter(|encoded| encoded.arguments.len() == values.len())
                .ok_or_else(|| failed("a plan that is not ours"))?;
            let constraints = arguments.into_iter().zip(values).map(|((column, op), value)| {
                let numeric =
                    Self::columns().get(column).is_some_and(|c| c.r#type == Type::Integer);
                // SAFETY: `value` is SQLite's, and may be read during this callback.
                (column, op, unsafe { values::read(*value, op, numeric) })
            });
            let mut constraints: Vec<_> = constraints.collect();
            let is_run =
                |column: &tables::Column| column.name == "run_id" && column.constraint.is_empty();
            if let Some(run) = cursor.store.bound_to()
                && let Some(column) = Self::columns().iter().position(is_run)
            {
                constraints.push((column, Op::Eq, vec![plan::Value::Integer(run)]));
            }
            let plan = Plan { used, flags: Flags(number), top, constraints };
            cursor.scan = None;
            cursor.row = 0;
            cursor.batch = Batch::default();
            cursor.damage_before = cursor.store.damage_met();
            cursor.scan = Some(T::scan(cursor.store.clone(), plan)?);
            cursor.fill(T::width())
        };
        // SAFETY: the table outlives its cursors.
        unsafe { fence(table, body) }
    }

    unsafe extern "C" fn next(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
        // SAFETY: made by `open`, and SQLite uses a cursor from one place at a time.
        let cursor = unsafe { &mut *cursor.cast::<Cursor<T::Scan>>() };
        cursor.row += 1;
        if cursor.row < cursor.batch.rows {
            return ffi::SQLITE_OK;
        }
        // SAFETY: the table outlives its cursors.
        unsafe { fence(cursor.base.pVtab, || cursor.fill(T::width())) }
    }

    unsafe extern "C" fn eof(cursor: *mut ffi::sqlite3_vtab_cursor) -> c_int {
        // SAFETY: made by `open`, and SQLite uses a cursor from one place at a time.
        let cursor = unsafe { &*cursor.cast::<Cursor<T::Scan>>() };
        c_int::from(cursor.row >= cursor.batch.rows)
    }

    unsafe extern "C" fn column(
        cursor: *mut ffi::sqlite3_vtab_cursor,
        context: *mut ffi::sqlite3_context,
        column: c_int,
    ) -> c_int {
        // SAFETY: made by `open`, and SQLite uses a cursor from one place at a time.
        let cursor = unsafe { &*cursor.cast::<Cursor<T::Scan>>() };
        let row = cursor.row;
        if let Some(Column::Lazy) = cursor.batch.columns.get(column as usize) {
            let body = || {
                let scan = cursor.scan.as_ref();
                let text = scan.map(|scan| scan.text(row, column as usize)).transpose()?.flatten();
                cursor.whole()?;
                if let Some(text) = text {
                    // SAFETY: `context` is SQLite's for this callback; SQLite copies the text.
                    unsafe { result(context, &text, ffi::SQLITE_TRANSIENT()) };
                }
                Ok(())
            };
            // SAFETY: the table outlives its cursors.
            return unsafe { fence(cursor.base.pVtab, body) };
        }
        // No fence is needed: nothing below can panic.
        let text = match cursor.batch.columns.get(column as usize) {
            Some(Column::Ints(ints)) => match ints.get(row) {
                Some(&value) if value != NULL => {
                    // SAFETY: `context` is SQLite's for this callback.
                    unsafe { ffi::sqlite3_result_int64(context, value) };
                    return ffi::SQLITE_OK;
                }
                _ => return ffi::SQLITE_OK,
            },
            Some(&Column::Int(value)) => {
                // SAFETY: as above.
                unsafe { ffi::sqlite3_result_int64(context, value) };
                return ffi::SQLITE_OK;
            }
            Some(Column::Texts(texts)) => {
                texts.get(row).and_then(|id| cursor.store.directory().texts.get(*id))
            }
            Some(Column::Text(id)) => cursor.store.directory().texts.get(*id),
            Some(Column::Owned(texts)) => {
                if let Some(Some(text)) = texts.get(row) {
                    // SAFETY: as above; SQLite copies the text.
                    unsafe { result(context, text, ffi::SQLITE_TRANSIENT()) };
                }
                return ffi::SQLITE_OK;
            }
            Some(Column::Lazy | Column::Null) | None => None,
        };
        if let Some(text) = text {
            let keeps = if cursor.is_own { ffi::SQLITE_STATIC() } else { ffi::SQLITE_TRANSIENT() };
            // SAFETY: as above. The directory never changes or drops a text. A store that owns its
            // connection closes it, and with it everything that could hold this pointer, before the
            // texts are dropped. For other stores, SQLite copies the text.
            unsafe { result(context, text, keeps) };
        }
        ffi::SQLITE_OK
    }

    unsafe extern "C" fn rowid(cursor: *mut ffi::sqlite3_vtab_cursor, rowid: *mut i64) -> c_int {
        // SAFETY: made by `open`, and SQLite uses a cursor from one place at a time.
        let cursor = unsafe { &*cursor.cast::<Cursor<T::Scan>>() };
        let body = || {
            let id = cursor.scan.as_ref().map_or(0, |scan| scan.rowid(cursor.row));
            // SAFETY: SQLite passes a place for the result.
            unsafe { *rowid = id };
            Ok(())
        };
        // SAFETY: the table outlives its cursors.
        unsafe { fence(cursor.base.pVtab, body) }
    }
}

impl<S: Scan> Cursor<S> {
    /// Returns an error if something could not be read, or if this scan found damage in a
    /// connection of another program, which would not notice that rows and values are missing. On
    /// its own connection, dashcam reports damage separately from the rows.
    fn whole(&self) -> Result<(), Error> {
        if let Some(error) = self.store.take_unread() {
            return Err(error);
        }
        if self.is_own || self.store.damage_met() == self.damage_before {
            return Ok(());
        }
        let damage = self.store.damage().into_iter().next().unwrap_or_default();
        Err(failed(format!("{damage} (dashcam query gives the rows that can be read)")))
    }

    fn fill(&mut self, columns: usize) -> Result<(), Error> {
        self.row = 0;
        self.batch.reset(columns);
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let filled = scan.fill(&mut self.batch);
        let filled = filled.and_then(|()| self.whole());
        if filled.is_err() {
            self.batch.rows = 0;
        }
        filled
    }
}

/// # Safety
/// `context` is SQLite's; with `SQLITE_STATIC`, `text` outlives the connection.
unsafe fn result(
    context: *mut ffi::sqlite3_context,
    text: &str,
    destructor: ffi::sqlite3_destructor_type,
) {
    let utf8 = ffi::SQLITE_UTF8 as u8;
    // SAFETY: as the caller promises.
    unsafe {
        ffi::sqlite3_result_text64(
            context,
            text.as_ptr().cast(),
            text.len() as u64,
            destructor,
            utf8,
        );
    }
}

/// Converts SQLite's question into a [`Request`], and the table's answer into SQLite's form.
/// Returns false if the table cannot be read with these constraints.
///
/// # Safety
/// Within `xBestIndex`, with its `info`.
unsafe fn answer(
    info: &mut ffi::sqlite3_index_info,
    plan: impl FnOnce(&mut Request),
) -> Result<bool, Error> {
    let offered = info.nConstraint.max(0) as usize;
    let mut constraints = Vec::new();
    // For each of our constraints, its index in SQLite's array.
    let mut indexes = Vec::new();
    // The number of wanted rows: the sum of LIMIT and OFFSET. SQLite offers them only if nothing
    // except the offered constraints and order decides which rows come first.
    let (mut limit, mut others) = (None, false);
    for i in 0..offered {
        // SAFETY: `aConstraint` has `nConstraint` entries.
        let constraint = unsafe { &*info.aConstraint.add(i) };
        let op = match c_int::from(constraint.op) {
            ffi::SQLITE_INDEX_CONSTRAINT_EQ => Op::Eq,
            ffi::SQLITE_INDEX_CONSTRAINT_LT => Op::Lt,
            ffi::SQLITE_INDEX_CONSTRAINT_LE => Op::Le,
            ffi::SQLITE_INDEX_CONSTRAINT_GT => Op::Gt,
            ffi::SQLITE_INDEX_CONSTRAINT_GE => Op::Ge,
            ffi::SQLITE_INDEX_CONSTRAINT_LIKE => Op::Like,
            ffi::SQLITE_INDEX_CONSTRAINT_GLOB => Op::Glob,
            ffi::SQLITE_INDEX_CONSTRAINT_LIMIT | ffi::SQLITE_INDEX_CONSTRAINT_OFFSET => {
                // SAFETY: `info` is SQLite's and `i` one of its constraints.
                match unsafe { values::count(info, i as c_int) } {
                    Some(count) => limit = Some(limit.unwrap_or(0_u64).saturating_add(count)),
                    None => others = true,
                }
                continue;
            }
            _ => {
                others = true;
                continue;
            }
        };
        let (Ok(column), true) = (usize::try_from(constraint.iColumn), constraint.usable != 0)
        else {
            others = true;
            continue;
        };
        let index = i as c_int;
        // SAFETY: `info` is SQLite's and `index` one of its constraints; the value and the name
        // live until the callback returns.
        let (is_in, is_text, is_binary, integer) = unsafe {
            let mut value = std::ptr::null_mut();
            let known = ffi::sqlite3_vtab_rhs_value(info, index, &raw mut value) == ffi::SQLITE_OK;
            let is_text = known && ffi::sqlite3_value_type(value) == ffi::SQLITE_TEXT;
            let collation = ffi::sqlite3_vtab_collation(info, index);
            let is_binary =
                !collation.is_null() && CStr::from_ptr(collation).to_bytes() == b"BINARY";
            let is_integer = known && ffi::sqlite3_value_type(value) == ffi::SQLITE_INTEGER;
            let integer = is_integer.then(|| ffi::sqlite3_value_int64(value));
            (ffi::sqlite3_vtab_in(info, index, -1) != 0, is_text, is_binary, integer)
        };
        let op = if is_in { Op::In } else { op };
        constraints.push(Constraint {
            column,
            op,
            is_text,
            integer,
            is_binary,
            taken: false,
            omit: false,
        });
        indexes.push(i);
    }
    let orders = info.nOrderBy.max(0) as usize;
    let order_by = (0..orders).map(|i| {
        // SAFETY: `aOrderBy` has `nOrderBy` entries.
        let order = unsafe { &*info.aOrderBy.add(i) };
        (usize::try_from(order.iColumn).unwrap_or(usize::MAX), order.desc != 0)
    });
    let mut request = Request {
        constraints,
        order_by: order_by.collect(),
        used: info.colUsed,
        limit: limit.filter(|_| !others),
        flags: Flags::default(),
        top: None,
        order_consumed: false,
        is_refused: false,
        cost: 0.0,
        rows: 0.0,
    };
    plan(&mut request);
    if request.is_refused {
        return Ok(false);
    }

    let mut arguments = 0;
    for (constraint, i) in request.constraints.iter().zip(indexes).filter(|(c, _)| c.taken) {
        arguments += 1;
        // SAFETY: `aConstraintUsage` has `nConstraint` entries.
        unsafe {
            if constraint.op == Op::In {
                ffi::sqlite3_vtab_in(info, i as c_int, 1);
            }
            let usage = &mut *info.aConstraintUsage.add(i);
            usage.argvIndex = arguments;
            usage.omit = u8::from(constraint.omit);
        }
    }
    let text = CString::new(request.encode()).map_err(failed)?;
    info.idxStr = copy(&text);
    if info.idxStr.is_null() {
        return Err(failed("out of memory"));
    }
    info.needToFreeIdxStr = 1;
    info.idxNum = request.flags.0;
    info.orderByConsumed = c_int::from(request.order_consumed);
    info.estimatedCost = request.cost.max(1.0);
    info.estimatedRows = (request.rows as i64).max(1);
    Ok(true)
}
