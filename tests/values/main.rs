//! What variables held, compared with what Python itself shows. The program is never asked for a
//! value.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod behaviour;
mod c_calls;
mod claims;
mod truth;
