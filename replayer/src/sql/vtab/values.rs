//! Reads the values that SQLite passes.

use crate::tables::plan::{Op, Value};
use rusqlite::ffi;
use std::ffi::c_int;

/// The number in a LIMIT or OFFSET, if there is one and it is known.
///
/// # Safety
/// Within `xBestIndex`, with its `info` and one of its constraints.
pub(super) unsafe fn count(info: &mut ffi::sqlite3_index_info, index: c_int) -> Option<u64> {
    let mut value = std::ptr::null_mut();
    // SAFETY: as the caller promises; the value lives until the callback returns.
    unsafe {
        let code = ffi::sqlite3_vtab_rhs_value(info, index, &raw mut value);
        let is_known = code == ffi::SQLITE_OK && !value.is_null();
        let is_integer = is_known && ffi::sqlite3_value_numeric_type(value) == ffi::SQLITE_INTEGER;
        is_integer.then(|| ffi::sqlite3_value_int64(value)).and_then(|count| count.try_into().ok())
    }
}

/// The values that a constraint compares with.
///
/// # Safety
/// `value` was passed to `xFilter` for a constraint with this operator.
pub(super) unsafe fn read(value: *mut ffi::sqlite3_value, op: Op, numeric: bool) -> Vec<Value> {
    if op != Op::In {
        // SAFETY: as the caller promises.
        return vec![unsafe { read_one(value, numeric) }];
    }
    let mut values = Vec::new();
    let mut one = std::ptr::null_mut();
    // SAFETY: `answer` requested all values of this constraint at once.
    unsafe {
        let mut code = ffi::sqlite3_vtab_in_first(value, &raw mut one);
        while code == ffi::SQLITE_OK && !one.is_null() {
            values.push(read_one(one, numeric));
            code = ffi::sqlite3_vtab_in_next(value, &raw mut one);
        }
    }
    values
}

/// # Safety
/// `value` is a live value of SQLite's.
unsafe fn read_one(value: *mut ffi::sqlite3_value, numeric: bool) -> Value {
    // SAFETY: as the caller promises; the text is read before its length, which keeps the pointer
    // valid.
    unsafe {
        let r#type = if numeric {
            ffi::sqlite3_value_numeric_type(value)
        } else {
            ffi::sqlite3_value_type(value)
        };
        match r#type {
            ffi::SQLITE_NULL => Value::Null,
            ffi::SQLITE_INTEGER => Value::Integer(ffi::sqlite3_value_int64(value)),
            ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_value_double(value)),
            ffi::SQLITE_TEXT => {
                let text = ffi::sqlite3_value_text(value);
                let length = ffi::sqlite3_value_bytes(value).max(0) as usize;
                if text.is_null() {
                    return Value::Blob;
                }
                // A text that is not UTF-8 is treated like a blob: SQLite compares it itself.
                str::from_utf8(std::slice::from_raw_parts(text, length))
                    .map_or(Value::Blob, |text| Value::Text(text.to_owned()))
            }
            _ => Value::Blob,
        }
    }
}
