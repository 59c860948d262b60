//! What can be wrong with a recording, and where.

/// Why bytes are not a valid recording, or not a valid part of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The file is another program's database.
    #[error("not a dashcam recording")]
    NotARecording,
    /// Written by a later dashcam.
    #[error("written in format {found}, but this dashcam reads up to {readable}; update dashcam")]
    Newer { found: i32, readable: i32 },
    /// Written by a dashcam whose format is no longer read.
    #[error("written in format {found}, but this dashcam reads only from {oldest} on")]
    Older { found: i32, oldest: i32 },
    /// The stored hash is not that of the bytes.
    #[error("{part} at byte {offset}: checksum mismatch")]
    Checksum { part: &'static str, offset: usize },
    /// There are fewer bytes than a length requires.
    #[error("{part} at byte {offset}: {needed} bytes expected, {found} found")]
    Truncated { part: &'static str, offset: usize, needed: usize, found: usize },
    /// A value that the format does not allow.
    #[error("{part} at byte {offset}: {what}")]
    Invalid { part: &'static str, offset: usize, what: String },
}

impl FormatError {
    pub(crate) fn invalid(part: &'static str, offset: usize, what: impl ToString) -> Self {
        FormatError::Invalid { part, offset, what: what.to_string() }
    }
}
