//! A progress bar on standard error that appears only if the work takes long.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Work shorter than this shows no progress.
const DELAY: Duration = Duration::from_millis(500);

/// How often the bar is drawn per second.
const RATE: u8 = 20;

pub(super) struct Bar {
    begun: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
}

impl Bar {
    pub(super) fn new() -> Bar {
        Bar { begun: Instant::now(), bar: None, ended: false }
    }

    /// Sets how many of all chunks are done.
    pub(super) fn set(&mut self, done: usize, of: usize) {
        if self.ended || self.begun.elapsed() < DELAY {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::term_like_with_hz(Box::<Narrow>::default(), RATE);
            let style = "{bar:30} {percent}% of the run read, {eta} left";
            let bar = ProgressBar::with_draw_target(Some(0), target);
            ProgressStyle::with_template(style).map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    }

    /// Removes the bar.
    pub(super) fn end(&mut self) {
        self.ended = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The terminal on standard error without its last columns. A bar is padded to the width. If it
/// filled the line, the ^C that terminals show would go to the next line, and that line would be
/// cleared instead.
#[derive(Debug, Default)]
struct Narrow(Mutex<Vec<u8>>);

impl Narrow {
    fn put(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl TermLike for Narrow {
    fn width(&self) -> u16 {
        crossterm::terminal::size().map_or(80, |(columns, _)| columns).saturating_sub(4)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}A")) }
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}B")) }
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}C")) }
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.put(&format!("\x1b[{n}D")) }
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.put(text)?;
        self.put("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.put(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.put("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        io::stderr().write_all(&bytes)
    }
}
