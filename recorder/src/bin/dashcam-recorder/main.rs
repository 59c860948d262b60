//! `dashcam-recorder`: what `dashcam record` becomes, and the recorder process behind
//! `dashcam.record()`.
#![forbid(unsafe_code)]

mod args;
mod interpreter;
mod program;
mod record;
mod serve;

use dashcam_recorder::writer::sys;
use std::io::Write;
use std::process::exit;

fn main() {
    let status = match args::parse(std::env::args_os().collect()) {
        args::Mode::Record(options) => record::record(&options),
        args::Mode::Serve(options) => serve::serve(&options).map(Status::Code),
    };
    match status {
        Ok(Status::Code(code)) => exit(code),
        Ok(Status::Signal(signal)) => {
            sys::die_of(signal);
            exit(128 + signal);
        }
        Err(error) => {
            say(&format!("{error:#}"));
            exit(if error.is::<program::Missing>() { 2 } else { 1 });
        }
    }
}

/// How this process is to end.
enum Status {
    Code(i32),
    /// As the program did.
    Signal(i32),
}

/// One line for the user. The program may have closed the terminal, which is no failure of ours.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "dashcam: {line}");
}
