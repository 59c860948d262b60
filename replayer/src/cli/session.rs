//! An open recording with a person in front of it: interruption, progress, and what has to be
//! said at the end.

use crate::Recording;
use crate::store::Error;
use anyhow::anyhow;
use dashcam_schema::loss::LossKind;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::SIGINT;
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Work shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Session {
    pub(super) recording: Rc<Recording>,
    interrupted: Arc<AtomicBool>,
    bar: Rc<RefCell<Bar>>,
}

impl Session {
    pub(super) fn open(path: &Path) -> anyhow::Result<Session> {
        let recording = Recording::open(path).map_err(|error| match error {
            Error::NotFound { path } if path == Path::new(super::DEFAULT) => anyhow!(
                "{}: no such file; name a recording, or make one with `dashcam record`",
                path.display()
            ),
            error => error.into(),
        })?;
        let interrupted = Arc::new(AtomicBool::new(false));
        listen(recording.connection().get_interrupt_handle(), interrupted.clone())?;
        let bar = Rc::new(RefCell::new(Bar::new()));
        if std::io::stderr().is_terminal() {
            let bar = bar.clone();
            let tick = move |done, of| bar.borrow_mut().set(done, of);
            recording.store().set_progress(Some(Box::new(tick)));
        }
        Ok(Session { recording: Rc::new(recording), interrupted, bar })
    }

    /// Says that work is going on outside of SQL, and fails if it shall not.
    pub(super) fn tick(&self, done: usize, of: usize) -> Result<(), Error> {
        self.recording.store().progress(done, of);
        if self.interrupted.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Makes way for output.
    pub(super) fn clear(&self) {
        if std::io::stdout().is_terminal() {
            self.bar.borrow_mut().end();
        }
    }

    /// What an error of SQLite's means here.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> anyhow::Error {
        self.bar.borrow_mut().end();
        if self.interrupted.load(Ordering::Relaxed) {
            return Error::Interrupted.into();
        }
        Error::from_sqlite(self.recording.store().path(), error).into()
    }

    /// Says what of these runs was not recorded and what cannot be read any more. Gives the exit
    /// code.
    pub(super) fn finish(&self, runs: Option<i64>) -> anyhow::Result<u8> {
        self.bar.borrow_mut().end();
        for line in self.losses(runs).map_err(|error| self.explain(&error))? {
            eprintln!("dashcam: {line}");
        }
        let damage = self.recording.store().damage();
        for line in &damage {
            eprintln!("dashcam: {}", super::output::printable(line));
        }
        Ok(u8::from(!damage.is_empty()))
    }

    fn losses(&self, run: Option<i64>) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT run_id, kind, sum(count) FROM losses
                   WHERE severity <> 'info' AND (?1 IS NULL OR run_id = ?1)
                   GROUP BY run_id, kind ORDER BY run_id, kind";
        let mut statement = self.recording.connection().prepare(sql)?;
        let mut rows = statement.query([run])?;
        let mut lost: Vec<(i64, Vec<String>)> = Vec::new();
        while let Some(row) = rows.next()? {
            let (run, kind, count): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let unit = LossKind::ALL.iter().find(|loss| loss.name() == kind);
            let what = format!("{count} {}", unit.map_or(&*kind, |loss| loss.unit()));
            match lost.last_mut() {
                Some((last, kinds)) if *last == run => kinds.push(what),
                _ => lost.push((run, vec![what])),
            }
        }
        Ok(lost
            .into_iter()
            .map(|(run, kinds)| {
                format!("run {run}: {} lost (see: select * from losses)", kinds.join(", "))
            })
            .collect())
    }
}

/// The first Ctrl-C ends the statement that runs, the second the program.
fn listen(handle: rusqlite::InterruptHandle, flag: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            handle.interrupt();
        }
    });
    Ok(())
}

/// A progress bar on standard error that appears only if it is worth it.
struct Bar {
    begun: Instant,
    bar: Option<ProgressBar>,
    ended: bool,
}

impl Bar {
    fn new() -> Bar {
        Bar { begun: Instant::now(), bar: None, ended: false }
    }

    fn set(&mut self, done: usize, of: usize) {
        if self.ended || self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} chunks {eta}");
            let bar = ProgressBar::new(0);
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
