//! SQL functions over values.

use dashcam_schema::value::json;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

/// Name, arguments and sentence of each, for `dashcam schema`.
pub(crate) const FUNCTIONS: &[(&str, &str, &str)] = &[(
    "value_json",
    "TEXT",
    "A value as text (arguments, result, value …) as JSON, for ->, ->> and json_each; NULL of what is no such text.",
)];

pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("value_json", 1, flags, value_json)
}

fn value_json(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    match context.get_raw(0) {
        ValueRef::Text(text) => Ok(std::str::from_utf8(text).ok().and_then(json::value_json)),
        _ => Ok(None),
    }
}
