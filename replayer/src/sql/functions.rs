//! SQL functions: values, calls and writes at a position, and general functions that SQLite lacks.

use super::source::Source;
use super::vtab::OfConnection;
use crate::inspect::{Expression, Snapshot};
use crate::state::State;
use crate::store::Store;
use crate::timeline::{Direction, Timeline};
use dashcam_schema::value::json;
use regex::Regex;
use rusqlite::Connection;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// The description of a function, for `dashcam schema`.
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static str,
    pub returns: &'static str,
    pub sentence: &'static str,
}

/// All functions.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "value_json",
        arguments: "value",
        returns: "TEXT",
        sentence: "The text of a value (arguments, result, value …) as JSON, for ->, ->> and json_each; NULL if the text is not that of a value.",
    },
    Function {
        name: "value_at",
        arguments: "run_id, seq, depth, expression",
        returns: "TEXT",
        sentence: "The value of an expression such as 'order.items[-1].price > 5' in a frame of an event's stack (depth 0: the innermost) just before the event, as repr() writes it, at capture level state; NULL if there is no such event or frame; an error if a part of the expression did not exist or is not known.",
    },
    Function {
        name: "is_mine",
        arguments: "path",
        returns: "INTEGER",
        sentence: "1 if the code of a file is yours: outside the standard library, installed packages and frozen modules, or as --mine says; else 0. With dashcam query, code_objects, files, function_totals, line_counts and branch_counts have it as a last column is_mine.",
    },
    Function {
        name: "basename",
        arguments: "path",
        returns: "TEXT",
        sentence: "The last part of a path: shop.py for /app/shop.py.",
    },
    Function {
        name: "call_at",
        arguments: "run_id, seq, depth",
        returns: "INTEGER",
        sentence: "The call of a frame of an event's stack (depth 0: the innermost, 1: the call enclosing it …); NULL if there is no such event or frame.",
    },
    Function {
        name: "enclosing_call",
        arguments: "run_id, call_id",
        returns: "INTEGER",
        sentence: "The call that a call was made from; NULL for a thread's outermost.",
    },
    Function {
        name: "last_write",
        arguments: "run_id, seq, depth, path",
        returns: "INTEGER",
        sentence: "seq of the last event before this one that bound or changed the variable, attribute or item that a path such as 'order.total' refers to in a frame of its stack; NULL if none did; an error if the path refers to nothing. At capture level state.",
    },
    Function {
        name: "next_write",
        arguments: "run_id, seq, depth, path",
        returns: "INTEGER",
        sentence: "Like last_write, for the first event after this one.",
    },
    Function {
        name: "regexp",
        arguments: "pattern, text",
        returns: "INTEGER",
        sentence: "1 if a regular expression matches somewhere in a text, else 0. The operator in text REGEXP pattern calls it. The syntax is that of the Rust crate regex: like Python's re, without look-around and back-references.",
    },
    Function {
        name: "median",
        arguments: "x",
        returns: "REAL",
        sentence: "Aggregate: the median of the numbers that are not NULL; NULL if there are none.",
    },
    Function {
        name: "percentile",
        arguments: "x, p",
        returns: "REAL",
        sentence: "Aggregate: the number below which p percent of them lie, interpolated between two neighbours; p is from 0 to 100 and the same in every row.",
    },
];

/// The numbers of a group, and the percentile that is wanted.
struct Numbers {
    values: Vec<f64>,
    percent: Option<f64>,
}

/// `median` with one argument, and `percentile` with two.
struct Percentile(&'static str);

impl Aggregate<Numbers, Option<f64>> for Percentile {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<Numbers> {
        Ok(Numbers { values: Vec::new(), percent: None })
    }

    fn step(&self, context: &mut Context<'_>, numbers: &mut Numbers) -> rusqlite::Result<()> {
        let name = self.0;
        let percent = match context.len() {
            1 => 50.0,
            _ => number(context, 1)
                .filter(|percent| (0.0..=100.0).contains(percent))
                .ok_or_else(|| failed(format!("{name}: p is to be a number from 0 to 100")))?,
        };
        if numbers.percent.replace(percent).is_some_and(|before| before != percent) {
            return Err(failed(format!("{name}: p differs from row to row")));
        }
        match number(context, 0) {
            Some(value) => numbers.values.push(value),
            None if context.get_raw(0) == ValueRef::Null => {}
            None => return Err(failed(format!("{name}: numbers are needed"))),
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        numbers: Option<Numbers>,
    ) -> rusqlite::Result<Option<f64>> {
        let Some(Numbers { mut values, percent: Some(percent) }) = numbers else { return Ok(None) };
        let Some(last) = values.len().checked_sub(1) else { return Ok(None) };
        values.sort_unstable_by(f64::total_cmp);
        let at = percent / 100.0 * last as f64;
        let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
        Ok(Some(below + (above - below) * at.fract()))
    }
}

fn number(context: &Context<'_>, at: usize) -> Option<f64> {
    match context.get_raw(at) {
        ValueRef::Integer(value) => Some(value as f64),
        ValueRef::Real(value) => Some(value),
        _ => None,
    }
}

fn regexp(context: &Context<'_>) -> rusqlite::Result<Option<bool>> {
    let (ValueRef::Text(_), ValueRef::Text(text)) = (context.get_raw(0), context.get_raw(1)) else {
        return Ok(None);
    };
    // Compiled once if it is constant in the statement.
    let pattern = context.get_or_create_aux(
        0,
        |value| -> Result<Regex, Box<dyn std::error::Error + Send + Sync>> {
            Regex::new(value.as_str()?).map_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("not a regular expression: {why}").into()
            })
        },
    )?;
    Ok(Some(pattern.is_match(&String::from_utf8_lossy(text))))
}

/// Registers the functions with a connection. General functions are registered only if there is
/// none of the same name, because another program may have its own.
pub(super) fn register(connection: &Connection, source: &Source) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("value_json", 1, flags, value_json)?;
    let is_free = |name: &str| -> rusqlite::Result<bool> {
        let sql = "SELECT count(*) = 0 FROM pragma_function_list WHERE name = ?";
        Ok(source.is_own() || connection.query_row(sql, [name], |row| row.get(0))?)
    };
    if is_free("regexp")? {
        connection.create_scalar_function("regexp", 2, flags, regexp)?;
    }
    if is_free("basename")? {
        connection.create_scalar_function("basename", 1, flags, |context| {
            Ok(match context.get_raw(0) {
                ValueRef::Text(path) => {
                    let path = String::from_utf8_lossy(path);
                    path.rsplit('/').next().map(str::to_owned)
                }
                _ => None,
            })
        })?;
    }
    if is_free("median")? {
        connection.create_aggregate_function("median", 1, flags, Percentile("median"))?;
    }
    if is_free("percentile")? {
        connection.create_aggregate_function("percentile", 2, flags, Percentile("percentile"))?;
    }
    let weak = || OfConnection::new(source);
    let store = weak();
    connection
        .create_scalar_function("value_at", 4, flags, move |context| value_at(&store, context))?;
    let store = weak();
    connection
        .create_scalar_function("call_at", 3, flags, move |context| call_at(&store, context))?;
    let store = weak();
    let innocuous = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("is_mine", 1, innocuous, move |context| {
        let store = store.current().map_err(failed)?;
        Ok(match context.get_raw(0) {
            ValueRef::Text(path) => Some(store.is_my_path(&String::from_utf8_lossy(path))),
            _ => None,
        })
    })?;
    let store = weak();
    connection.create_scalar_function("enclosing_call", 2, flags, move |context| {
        enclosing_call(&store, context)
    })?;
    for (name, direction) in
        [("last_write", Direction::Backward), ("next_write", Direction::Forward)]
    {
        let store = weak();
        connection.create_scalar_function(name, 4, flags, move |context| {
            write(&store, context, direction)
        })?;
    }
    Ok(())
}

/// An error whose message SQLite passes on unchanged.
fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(error.into())
}

fn integer(context: &Context<'_>, at: usize) -> Option<i64> {
    match context.get_raw(at) {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

/// A frame's depth, which is not negative.
fn depth(context: &Context<'_>, at: usize) -> Option<usize> {
    integer(context, at).and_then(|depth| usize::try_from(depth).ok())
}

fn call_at(source: &Source, context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let (Some(run_id), Some(seq), Some(depth)) =
        (integer(context, 0), integer(context, 1), depth(context, 2))
    else {
        return Ok(None);
    };
    let store = source.refresh().map_err(failed)?;
    frame_call(&store, run_id, seq, depth)
}

fn enclosing_call(source: &Source, context: &Context<'_>) -> rusqlite::Result<Option<i64>> {
    let (Some(run_id), Some(call_id)) = (integer(context, 0), integer(context, 1)) else {
        return Ok(None);
    };
    let store = source.refresh().map_err(failed)?;
    // The id of a call is the `seq` of the event that begins it.
    match frame_call(&store, run_id, call_id, 0)? {
        Some(call) if call == call_id => frame_call(&store, run_id, call_id, 1),
        _ => Ok(None),
    }
}

fn frame_call(store: &Store, run_id: i64, seq: i64, depth: usize) -> rusqlite::Result<Option<i64>> {
    let stack = State::of(store).stack_at(run_id, seq).map_err(failed)?;
    Ok(stack.get(depth).map(|frame| frame.call_id.cast_signed()))
}

fn write(
    source: &Source,
    context: &Context<'_>,
    direction: Direction,
) -> rusqlite::Result<Option<i64>> {
    let (Some(run_id), Some(seq), Some(depth)) =
        (integer(context, 0), integer(context, 1), depth(context, 2))
    else {
        return Ok(None);
    };
    let path = context.get_raw(3).as_str().map_err(|_| failed("a path is needed"))?;
    let store = source.refresh().map_err(failed)?;
    if store.locate(run_id, seq).is_none() {
        return Ok(None);
    }
    let Some(timeline) = Timeline::new(store, run_id) else { return Ok(None) };
    let at = timeline.position(seq);
    let target = timeline.target(at, depth, path).map_err(failed)?;
    let written = timeline.written(&target, at, direction).map_err(failed)?;
    Ok(written.map(|written| written.at.seq()))
}

fn value_json(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    match context.get_raw(0) {
        ValueRef::Text(text) => Ok(std::str::from_utf8(text).ok().and_then(json::value_json)),
        _ => Ok(None),
    }
}

fn value_at(source: &Source, context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    let (Some(run_id), Some(seq), Some(depth)) =
        (integer(context, 0), integer(context, 1), depth(context, 2))
    else {
        return Ok(None);
    };
    if context.get_raw(3) == ValueRef::Null {
        return Ok(None);
    }
    // Parsed once if it is constant in the statement.
    let expression = context.get_or_create_aux(
        3,
        |value| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            let text = value.as_str().map_err(|_| "value_at needs an expression")?;
            Ok(Expression::parse(text)?)
        },
    )?;
    let store = source.refresh().map_err(failed)?;
    let snapshot = Snapshot::at(&store, run_id, seq, depth).map_err(failed)?;
    let Some(snapshot) = snapshot else { return Ok(None) };
    let value = snapshot.evaluate(&expression).map_err(failed)?;
    snapshot.repr(&value).map(Some).map_err(failed)
}
