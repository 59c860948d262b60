//! `dashcam-recorder`: the program that `dashcam record` executes, and the recorder process behind
//! `dashcam.record()`.
#![forbid(unsafe_code)]

mod args;
mod children;
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
        args::Mode::DescribeOptions => {
            let text = args::described_options().to_string();
            writeln!(std::io::stdout(), "{text}").map(|()| Status::Code(0)).map_err(Into::into)
        }
    };
    match status {
        Ok(Status::Code(code)) => exit(code),
        Ok(Status::Signal(signal)) => {
            sys::die_of(signal);
            exit(128 + signal);
        }
        Err(error) => {
            print_message(&format!("{error:#}"));
            exit(if error.is::<program::Missing>() { 2 } else { 1 });
        }
    }
}

/// How this process ends.
enum Status {
    Code(i32),
    /// By the signal that ended the program.
    Signal(i32),
}

/// Prints a line for the user. Errors are ignored: the program may have closed the terminal.
fn print_message(line: &str) {
    let _ = writeln!(std::io::stderr(), "dashcam: {line}");
}
