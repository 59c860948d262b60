//! Which recordings this build can read, and what changed when.
//!
//! History of [`FORMAT_VERSION`]:
//!
//! 1. Direct recording of every event kind; columnar chunks; summaries. Never released.
//! 2. Derived recordings: chunks of control events, bytecode, unit of times. Never released.
//! 3. Values: chunks of values, ordinals of chunks. Never released.
//! 4. Capture level `state`: names of code objects, kinds of groups. Never released.
//! 5. Branches that follow from other events are left out, and have no ordinal. Never released.
//! 6. Those where variables are pending are left out too; what goes on does not always tell all its
//!    variables. Never released.
//! 7. Chunks of values say which ordinals they cover, and `processes` how far they go; rows are tied to their
//!    data by `header_xxh3`, and ordinary tables have a hash in every row. Objects may have more items kept
//!    than are written with them, and be told of by what changed more often in a row. Never released.
//! 8. Times are the program's own, without what recording takes; chunks say what the clock had (dashcam 0.1).
//! 9. Runs have a UUID; a recorder that adds to a file of version 8 adds the column. Views with the names of the
//!    virtual tables have their columns, and an error that says how to read them. Classes of the standard library
//!    say how their objects are written.
//! 10. Calls of what is written in C come with what they are handed ([`GroupKind::Handed`](crate::value::GroupKind)).

use crate::error::FormatError;

/// `PRAGMA application_id` of a recording: "dshc".
pub const APPLICATION_ID: i32 = 0x6473_6863;

/// `PRAGMA user_version` this build writes.
pub const FORMAT_VERSION: i32 = 10;

/// The oldest `user_version` this build reads.
pub const OLDEST_READABLE: i32 = 8;

/// Whether a database with these two pragmas is one this build reads.
pub fn check(application_id: i32, user_version: i32) -> Result<(), FormatError> {
    if application_id != APPLICATION_ID {
        Err(FormatError::NotARecording)
    } else if user_version > FORMAT_VERSION {
        Err(FormatError::Newer { found: user_version, readable: FORMAT_VERSION })
    } else if user_version < OLDEST_READABLE {
        Err(FormatError::Older { found: user_version, oldest: OLDEST_READABLE })
    } else {
        Ok(())
    }
}
