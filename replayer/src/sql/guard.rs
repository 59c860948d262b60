//! Restricts SQL to reading.

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Pragmas that only describe, and change nothing.
const PRAGMAS: &[&str] = &[
    "application_id",
    "collation_list",
    "compile_options",
    "database_list",
    "encoding",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// Pragmas whose argument names something instead of setting it.
fn takes_name(pragma: &str) -> bool {
    pragma == "quick_check"
        || pragma.ends_with("_info")
        || pragma.ends_with("_xinfo")
        || pragma.ends_with("_list")
}

/// Lets our own statements write to temporary tables and views, until [`install`] is called.
pub(super) fn lift(connection: &Connection) -> rusqlite::Result<()> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    connection.execute_batch("PRAGMA query_only = OFF")
}

pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA query_only = ON")?;
    connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Recursive
        | AuthAction::Function { .. } => Authorization::Allow,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            let allowed =
                PRAGMAS.contains(&&*name) && (pragma_value.is_none() || takes_name(&name));
            if allowed { Authorization::Allow } else { Authorization::Deny }
        }
        _ => Authorization::Deny,
    }))
}
