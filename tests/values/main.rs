//! What variables held: compared with what Python itself says of them, and never asked for.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod behaviour;
mod c_calls;
mod claims;
mod truth;
