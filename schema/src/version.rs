//! Which recordings this build can read, and what each version of the format changed.
//!
//! History of [`FORMAT_VERSION`]:
//!
//! 1. Direct recording of every event kind; columnar chunks; summaries. Never released.
//! 2. Derived recordings: chunks of control events, bytecode, unit of times. Never released.
//! 3. Values: chunks of values, ordinals of chunks. Never released.
//! 4. Capture level `state`: names of code objects, kinds of groups. Never released.
//! 5. Branches that follow from other events are not stored and have no ordinal. Never released.
//! 6. Such branches are not stored even where variables are pending. A call that goes on does not
//!    always come with a snapshot. Never released.
//! 7. Chunks of values have the range of ordinals they cover, and `processes` has the ordinal up to
//!    which values are stored. `header_xxh3` ties rows to their data, and ordinary tables have a
//!    hash in every row. More items of an object may be kept than are shown with it, and an object
//!    may be described by its changes more often in a row. Never released.
//! 8. Times are the program's own, without the time that recording takes. Chunks also have the
//!    times of the system's clock (dashcam 0.1).
//! 9. Runs have a UUID; a recorder that adds to a file of version 8 adds the column. The file has a
//!    view with the name and the columns of each virtual table without arguments; reading the view
//!    fails with an error that explains how to read the table. Classes of the standard library have
//!    the style in which `repr` writes their objects.
//! 10. Calls of functions written in C have their arguments
//!     ([`GroupKind::Handed`](crate::value::GroupKind)).

use crate::error::FormatError;

/// `PRAGMA application_id` of a recording: "dshc".
pub const APPLICATION_ID: i32 = 0x6473_6863;

/// The `PRAGMA user_version` that this build writes.
pub const FORMAT_VERSION: i32 = 10;

/// The oldest `user_version` that this build reads.
pub const OLDEST_READABLE: i32 = 8;

/// Checks that this build can read a database with these two pragmas.
///
/// # Errors
/// If it cannot.
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
