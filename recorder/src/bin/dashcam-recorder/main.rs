//! `dashcam-recorder`: what `dashcam record` becomes, and the recorder process behind
//! `dashcam.record()`.
#![forbid(unsafe_code)]

mod args;
mod interpreter;
mod record;
mod serve;

use std::io::Write;
use std::process::exit;

fn main() {
    let status = match args::parse(std::env::args_os().collect()) {
        args::Mode::Record(options) => record::record(options),
        args::Mode::Serve(options) => serve::serve(&options),
    };
    match status {
        Ok(status) => exit(status),
        Err(error) => {
            say(&format!("{error:#}"));
            exit(1);
        }
    }
}

/// One line for the user. The program may have closed the terminal, which is no failure of ours.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "dashcam: {line}");
}
