//! Shows long results on a terminal through a pager.

use crate::output::Sink;
use std::io::{self, IsTerminal as _, Write};
use std::process::{Child, Command, Stdio};

/// The default pager if `$PAGER` is not set. It ends by itself if the text fits the screen, and
/// leaves the text there.
const LESS: [&str; 2] = ["less", "-FRX"];

/// The number of lines of a terminal that does not report its height.
const LINES: usize = 24;

/// Holds output back until it is known whether it fits the screen.
pub(super) struct Paged<'a> {
    held: Vec<u8>,
    lines: usize,
    /// The number of lines that fit the screen; `None` if there is no pager, and nothing is held
    /// back.
    room: Option<usize>,
    to: To,
    /// Removes the progress bar before output.
    before: Box<dyn FnMut() + 'a>,
}

enum To {
    Undecided,
    Screen,
    Pager(Child),
}

impl<'a> Paged<'a> {
    /// Creates the output. `before` is called before the first line is shown.
    pub(super) fn new(pages: bool, before: impl FnMut() + 'a) -> Paged<'a> {
        let height = crossterm::terminal::size().map_or(LINES, |(_, rows)| usize::from(rows));
        let room = (pages && io::stdout().is_terminal() && !is_off()).then_some(height.max(2) - 1);
        Paged { held: Vec::new(), lines: 0, room, to: To::Undecided, before: Box::new(before) }
    }

    /// Shows the output that was held back.
    fn open(&mut self, is_long: bool) -> io::Result<()> {
        (self.before)();
        self.to = match is_long.then(spawn).flatten() {
            Some(pager) => To::Pager(pager),
            None => To::Screen,
        };
        let held = std::mem::take(&mut self.held);
        self.put(&held)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.to {
            To::Undecided => self.held.extend_from_slice(bytes),
            To::Screen => io::stdout().write_all(bytes)?,
            To::Pager(pager) => match &mut pager.stdin {
                Some(input) => input.write_all(bytes)?,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
        Ok(())
    }
}

impl Write for Paged<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes)?;
        if matches!(self.to, To::Undecided) {
            self.lines += bytes.iter().filter(|byte| **byte == b'\n').count();
            match self.room {
                Some(room) if self.lines > room => self.open(true)?,
                // Without a pager, buffering saves system calls.
                None if self.held.len() >= 1 << 16 => self.open(false)?,
                _ => {}
            }
        }
        Ok(bytes.len())
    }

    /// Does nothing: output that is held back stays held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Paged<'_> {
    fn finish(mut self) -> io::Result<()> {
        if matches!(self.to, To::Undecided) {
            self.open(false)?;
        }
        io::stdout().flush()
    }
}

impl Drop for Paged<'_> {
    /// Waits until the pager ends.
    fn drop(&mut self) {
        if let To::Pager(pager) = &mut self.to {
            drop(pager.stdin.take());
            let _ = pager.wait();
        }
    }
}

/// Whether the user wants no pager.
fn is_off() -> bool {
    std::env::var("PAGER").is_ok_and(|pager| ["", "cat"].contains(&pager.trim()))
}

/// Starts the pager; `None` if there is none.
fn spawn() -> Option<Child> {
    let mut command = match std::env::var_os("PAGER") {
        // It may contain arguments in shell syntax.
        Some(pager) => {
            let mut command = Command::new("sh");
            command.arg("-c").arg(pager);
            command
        }
        None => {
            let mut command = Command::new(LESS[0]);
            command.args(&LESS[1..]);
            command
        }
    };
    command.stdin(Stdio::piped()).spawn().ok()
}
