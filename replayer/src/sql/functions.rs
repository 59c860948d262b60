//! SQL functions over values.

use crate::inspect::{Expression, Snapshot};
use crate::store::Store;
use dashcam_schema::value::json;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use send_wrapper::SendWrapper;
use std::rc::{Rc, Weak};

/// A function, for `dashcam schema`.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static str,
    pub(crate) returns: &'static str,
    pub(crate) sentence: &'static str,
}

pub(crate) const FUNCTIONS: &[Function] = &[
    Function {
        name: "value_json",
        arguments: "value",
        returns: "TEXT",
        sentence: "A value as text (arguments, result, value …) as JSON, for ->, ->> and json_each; NULL of what is no such text.",
    },
    Function {
        name: "value_at",
        arguments: "run_id, seq, depth, expression",
        returns: "TEXT",
        sentence: "What an expression such as 'order.items[-1].price > 5' was in a frame of an event's stack (depth 0: the innermost) just before the event, as repr() writes it, at capture level state; NULL if there is no such event or frame; an error if a part of it was not there, or is not known.",
    },
];

pub(super) fn register(store: &Rc<Store>) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let connection = store.connection();
    connection.create_scalar_function("value_json", 1, flags, value_json)?;
    // Weak, for the store owns the connection that owns the function. Neither leaves this thread, which
    // the compiler cannot see.
    let store = SendWrapper::new(Rc::downgrade(store));
    connection
        .create_scalar_function("value_at", 4, flags, move |context| value_at(&store, context))
}

fn value_json(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    match context.get_raw(0) {
        ValueRef::Text(text) => Ok(std::str::from_utf8(text).ok().and_then(json::value_json)),
        _ => Ok(None),
    }
}

fn value_at(store: &Weak<Store>, context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    let failed =
        |error: Box<dyn std::error::Error + Send + Sync>| rusqlite::Error::UserFunctionError(error);
    let Some(store) = store.upgrade() else { return Ok(None) };
    let integer = |at: usize| match context.get_raw(at) {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    };
    let (Some(run_id), Some(seq)) = (integer(0), integer(1)) else { return Ok(None) };
    let Some(depth) = integer(2).and_then(|depth| usize::try_from(depth).ok()) else {
        return Ok(None);
    };
    if context.get_raw(3) == ValueRef::Null {
        return Ok(None);
    }
    // Parsed once for a statement in which it is a constant.
    let expression = context.get_or_create_aux(
        3,
        |value| -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            let text = value.as_str().map_err(|_| "value_at needs an expression")?;
            Ok(Expression::parse(text)?)
        },
    )?;
    let snapshot =
        Snapshot::at(&store, run_id, seq, depth).map_err(|error| failed(error.into()))?;
    let Some(snapshot) = snapshot else { return Ok(None) };
    let value = snapshot.evaluate(&expression).map_err(|error| failed(error.into()))?;
    snapshot.repr(&value).map(Some).map_err(|error| failed(error.into()))
}
