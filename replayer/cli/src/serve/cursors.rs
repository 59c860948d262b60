//! Cursors: statements that are read a batch of rows at a time.

use super::inbox::Request;
use super::{Answer, Failure};
use dashcam_replayer::export::{self, Sink};
use dashcam_replayer::sql::{Recording, explain_any, of_run};
use dashcam_replayer::store::Error;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use rusqlite::{Row, Statement};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Maximum number of rows of a batch if the request names none. The first batch has one row, and
/// each has twice as many as the one before, so that the first row is available without waiting for
/// more.
const ROWS: usize = 1024;
/// A batch is full at this number of bytes.
const BYTES: usize = 1 << 20;
/// A batch is full when its first row is this old, so that a client that shows rows as they come
/// does not wait for later ones.
const AGE: Duration = Duration::from_millis(50);

/// A running statement. Its rows borrow from it, which is possible within a future.
type Cursor<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;

pub(super) struct Cursors<'a> {
    recording: &'a Recording,
    open: BTreeMap<i64, Open<'a>>,
    /// Number of cursors made so far; numbers are not used twice.
    made: i64,
}

struct Open<'a> {
    cursor: Cursor<'a>,
    batch: Rc<RefCell<Batch>>,
    /// The run whose tables it reads, if only one.
    run_id: Option<i64>,
}

/// The rows that a cursor has read for the current request. Shared by the cursor and `go_on`.
#[derive(Default)]
struct Batch {
    wanted: usize,
    columns: Vec<String>,
    /// Rows as JSON, separated by commas.
    json: Vec<u8>,
    rows: usize,
    begun: Option<Instant>,
}

impl<'a> Cursors<'a> {
    pub(super) fn new(recording: &'a Recording) -> Cursors<'a> {
        Cursors { recording, open: BTreeMap::new(), made: 0 }
    }

    /// Closes all cursors.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }

    pub(super) fn query(&mut self, request: &Request) -> Answer {
        let (sql, run_id) = scoped(self.recording, request)?;
        let parameters = request.get("parameters")?.cloned().unwrap_or_default();
        let batch =
            Rc::new(RefCell::new(Batch { wanted: wanted(request, 1)?, ..Batch::default() }));
        let cursor = Box::pin(rows(self.recording, (sql, run_id), parameters, batch.clone()));
        self.made += 1;
        self.go_on(self.made, Open { cursor, batch, run_id }, true)
    }

    pub(super) fn fetch(&mut self, request: &Request) -> Answer {
        let number = request.integer("cursor")?;
        let Some(open) = self.open.remove(&number) else {
            return Err(Failure::Refused(format!("no cursor {number}: it was closed")));
        };
        let twice = open.batch.borrow().wanted.saturating_mul(2).min(ROWS);
        open.batch.borrow_mut().wanted = wanted(request, twice)?;
        self.go_on(number, open, false)
    }

    pub(super) fn close(&mut self, request: &Request) -> Answer {
        self.open.remove(&request.integer("cursor")?);
        Ok("null".to_owned())
    }

    /// Runs a cursor until its batch is full, and returns the batch.
    fn go_on(&mut self, number: i64, mut open: Open<'a>, is_first: bool) -> Answer {
        // Table-valued functions do not appear as tables, so `scope` cannot restrict them to a run.
        let store = self.recording.store();
        let before = store.bind(open.run_id);
        let poll = open.cursor.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        store.bind(before);
        let is_open = poll.is_pending();
        if let Poll::Ready(done) = poll {
            done?;
        }
        let mut taken = open.batch.borrow_mut();
        let json = std::mem::take(&mut taken.json);
        (taken.rows, taken.begun) = (0, None);
        let json = String::from_utf8_lossy(&json);
        let columns = match is_first {
            true => format!("\"columns\":{},", Value::from(std::mem::take(&mut taken.columns))),
            false => String::new(),
        };
        let rest = if is_open { Value::from(number) } else { Value::Null };
        let answer = format!("{{{columns}\"rows\":[{json}],\"cursor\":{rest}}}");
        drop(taken);
        if is_open {
            self.open.insert(number, open);
        }
        Ok(answer)
    }
}

/// The statement of a request, and the run whose tables it reads, if the request names one.
fn scoped(recording: &Recording, request: &Request) -> Result<(String, Option<i64>), Failure> {
    let sql = request.text("sql")?.to_owned();
    let run_id = match request.get("run")? {
        None => None,
        Some(_) => Some(recording.store().run(Some(request.integer("run")?))?),
    };
    Ok((sql, run_id))
}

/// Writes the rows of a request `query` as Arrow columns to `sink`, instead of JSON.
pub(super) fn columns(
    recording: &Recording,
    request: &Request,
    sink: Sink<'_>,
) -> Result<(), export::Error> {
    let failed = |failure: Failure| match failure {
        Failure::Recording(error) => error.into(),
        failure => export::Error::Sql { message: failure.to_string() },
    };
    let (sql, run_id) = scoped(recording, request).map_err(failed)?;
    let parameters = request.get("parameters").map_err(failed)?.cloned().unwrap_or_default();
    let explain = |error| Failure::Sql(explain_any(recording.store().path(), &error));
    let bind =
        |statement: &mut Statement<'_>| bind(statement, &parameters, explain).map_err(failed);
    let sql = match run_id {
        Some(run_id) => of_run(&sql, run_id),
        None => sql,
    };
    let before = recording.store().bind(run_id);
    let read = export::read_statement(recording, &sql, bind, sink);
    recording.store().bind(before);
    read
}

/// The number of rows of a request, or `default`.
fn wanted(request: &Request, default: usize) -> Result<usize, Failure> {
    match request.get("rows")? {
        None => Ok(default),
        Some(_) => match usize::try_from(request.integer("rows")?) {
            Ok(rows @ 1..) => Ok(rows),
            _ => Err(Failure::Protocol("rows has to be at least 1".to_owned())),
        },
    }
}

/// Adds the rows of a statement to the batch, and pauses whenever it is full.
async fn rows(
    recording: &Recording,
    (sql, run_id): (String, Option<i64>),
    parameters: Value,
    batch: Rc<RefCell<Batch>>,
) -> Result<(), Failure> {
    let connection = recording.connection();
    let failed = |error: rusqlite::Error| match connection.is_interrupted() {
        true => Error::Interrupted.into(),
        false => Failure::Sql(explain_any(recording.store().path(), &error)),
    };
    let statement = recording.prepare(&sql, run_id).map_err(failed)?;
    let mut statement = with_parameters(statement, &parameters, failed)?;
    let width = statement.column_count();
    batch.borrow_mut().columns = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed)? {
        let put = batch.borrow_mut().put_row(row, width);
        if put.map_err(failed)? {
            pause().await;
        }
    }
    Ok(())
}

/// A future that is pending once: returns control to the caller that polls it.
fn pause() -> impl Future<Output = ()> {
    let mut has_paused = false;
    poll_fn(move |_| match std::mem::replace(&mut has_paused, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
}

fn with_parameters<'c>(
    mut statement: Statement<'c>,
    parameters: &Value,
    failed: impl Fn(rusqlite::Error) -> Failure,
) -> Result<Statement<'c>, Failure> {
    if statement.column_count() == 0 {
        return Err(Failure::Sql("no statement that gives rows".to_owned()));
    }
    bind(&mut statement, parameters, failed)?;
    Ok(statement)
}

/// Binds the parameters of a statement.
fn bind(
    statement: &mut Statement<'_>,
    parameters: &Value,
    failed: impl Fn(rusqlite::Error) -> Failure,
) -> Result<(), Failure> {
    let count = statement.parameter_count();
    let wrong = |what: String| Err(Failure::Sql(what));
    match parameters {
        Value::Object(named) => {
            for at in 1..=count {
                let name = statement.parameter_name(at).unwrap_or("?").to_owned();
                let value = name.get(1..).and_then(|name| named.get(name));
                let Some(value) = value else { return wrong(format!("no value for {name}")) };
                statement.raw_bind_parameter(at, bound(value)?).map_err(&failed)?;
            }
        }
        Value::Array(_) | Value::Null => {
            let values = parameters.as_array().map_or(&[][..], Vec::as_slice);
            if values.len() != count {
                let given = values.len();
                return wrong(format!("the statement has {count} parameters, {given} were given"));
            }
            for (at, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, bound(value)?).map_err(&failed)?;
            }
        }
        _ => return Err(Failure::Protocol("parameters has to be an array or object".to_owned())),
    }
    Ok(())
}

/// A JSON value as an SQL value.
fn bound(value: &Value) -> Result<ToSqlOutput<'_>, Failure> {
    let wrong = || Failure::Protocol(format!("no parameter: {value}"));
    Ok(match value {
        Value::Null => ToSqlOutput::Owned(Sql::Null),
        Value::Bool(value) => ToSqlOutput::Owned(Sql::Integer((*value).into())),
        Value::String(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        Value::Number(number) => match (number.as_i64(), number.is_f64(), number.as_f64()) {
            (Some(integer), ..) => ToSqlOutput::Owned(Sql::Integer(integer)),
            (None, true, Some(real)) => ToSqlOutput::Owned(Sql::Real(real)),
            _ => return Err(wrong()),
        },
        Value::Object(tagged) => match (tagged.get("bytes"), tagged.get("float")) {
            (Some(Value::String(digits)), None) => {
                ToSqlOutput::Owned(Sql::Blob(unhex(digits).ok_or_else(wrong)?))
            }
            (None, Some(Value::String(real))) => {
                ToSqlOutput::Owned(Sql::Real(real.parse().map_err(|_| wrong())?))
            }
            _ => return Err(wrong()),
        },
        Value::Array(_) => return Err(wrong()),
    })
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()
    };
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

impl Batch {
    fn is_full(&self) -> bool {
        self.rows >= self.wanted
            || self.json.len() >= BYTES
            || self.begun.is_some_and(|begun| begun.elapsed() >= AGE)
    }

    /// Adds a row of `width` columns. Returns whether the batch is full now.
    fn put_row(&mut self, row: &Row<'_>, width: usize) -> rusqlite::Result<bool> {
        self.begin_row();
        for column in 0..width {
            // Writing to memory does not fail.
            let _ = self.put(column, row.get_ref(column)?);
        }
        self.json.push(b']');
        Ok(self.is_full())
    }

    fn begin_row(&mut self) {
        if self.rows > 0 {
            self.json.push(b',');
        }
        self.json.push(b'[');
        self.rows += 1;
        self.begun.get_or_insert_with(Instant::now);
    }

    fn put(&mut self, column: usize, value: ValueRef<'_>) -> std::io::Result<()> {
        let out = &mut self.json;
        if column > 0 {
            out.push(b',');
        }
        match value {
            ValueRef::Null => out.extend(b"null"),
            ValueRef::Integer(n) => write!(out, "{n}")?,
            ValueRef::Real(real) if real.is_finite() => serde_json::to_writer(&mut *out, &real)?,
            ValueRef::Real(real) => write!(out, "{{\"float\":\"{real}\"}}")?,
            ValueRef::Text(text) => {
                serde_json::to_writer(&mut *out, &String::from_utf8_lossy(text))?;
            }
            ValueRef::Blob(bytes) => {
                out.extend(b"{\"bytes\":\"");
                bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
                out.extend(b"\"}");
            }
        }
        Ok(())
    }
}
