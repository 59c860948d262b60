//! Where values came from: the chains of `origin`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod chains;
mod everywhere;
