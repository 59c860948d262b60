//! Errors of parsing and evaluating expressions.

use crate::store::Error;

/// Why an expression has no value. Each message is one line and names the part that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// There is no such item, key or attribute, or the variable is not bound.
    #[error("{0}")]
    Missing(String),
    /// The recording does not contain the answer, or the answer is not certain.
    #[error("{0}")]
    Unknown(String),
    /// Python would raise an exception, or this is not computed here.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] Error),
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column}")]
pub struct ParseError {
    pub message: String,
    /// The place of the error, in characters from 1.
    pub column: usize,
}
