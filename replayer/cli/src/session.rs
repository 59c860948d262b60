//! An open recording for a command-line user: interruption, progress, and the messages at the end.

use super::bar::Bar;
use anyhow::anyhow;
use dashcam_replayer::Recording;
use dashcam_replayer::store::Error;
use dashcam_schema::loss::LossKind;
use signal_hook::consts::SIGINT;
use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(super) struct Session {
    pub(super) recording: Rc<Recording>,
    interrupts: Interrupts,
    bar: Rc<RefCell<Bar>>,
}

/// Interrupts the current work, from another thread.
#[derive(Clone)]
pub(super) struct Interrupts(Arc<Interrupted>);

struct Interrupted {
    handle: rusqlite::InterruptHandle,
    requested: AtomicBool,
    work: Mutex<Work>,
}

/// The work that can be interrupted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The only work of the program: a second interrupt ends the program.
    Only,
    /// One command; more will follow.
    Command,
    /// No work until the next command.
    Waiting,
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
        let interrupts = Interrupts(Arc::new(Interrupted {
            handle: recording.connection().get_interrupt_handle(),
            requested: AtomicBool::new(false),
            work: Mutex::new(Work::Only),
        }));
        listen(interrupts.clone())?;
        let bar = Rc::new(RefCell::new(Bar::new()));
        if std::io::stderr().is_terminal() {
            let bar = bar.clone();
            let interrupts = interrupts.clone();
            let tick = move |done, of| {
                interrupts.repeat();
                bar.borrow_mut().set(done, of);
            };
            recording.store().set_progress(Some(Box::new(tick)));
        }
        Ok(Session { recording: Rc::new(recording), interrupts, bar })
    }

    /// Runs one of several commands. From the first of these on, an interrupt ends only the
    /// command.
    pub(super) fn command<T>(&self, work: impl FnOnce() -> T) -> T {
        *self.bar.borrow_mut() = Bar::new();
        self.interrupts.begin();
        let done = work();
        self.interrupts.end();
        // An interrupt stays pending after the interrupted statement, until another statement
        // begins.
        let _ = self.recording.connection().query_row("SELECT 1", [], |_| Ok(()));
        self.bar.borrow_mut().end();
        done
    }

    /// The handle by which another thread interrupts.
    pub(super) fn interrupts(&self) -> &Interrupts {
        &self.interrupts
    }

    /// Reports progress of work outside of SQL. Fails if the work was interrupted.
    pub(super) fn tick(&self, done: usize, of: usize) -> Result<(), Error> {
        self.recording.store().progress(done, of);
        if self.interrupts.is_requested() { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Removes the progress bar before output.
    pub(super) fn clear(&self) {
        if std::io::stdout().is_terminal() {
            self.bar.borrow_mut().end();
        }
    }

    /// Begins work with a new progress bar, after output.
    pub(super) fn begin(&self) {
        *self.bar.borrow_mut() = Bar::new();
    }

    /// Converts an SQLite error; it may mean that the work was interrupted.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> anyhow::Error {
        self.bar.borrow_mut().end();
        if self.interrupts.is_requested() {
            return Error::Interrupted.into();
        }
        Error::from_sqlite(self.recording.store().path(), error).into()
    }

    /// Prints what was not recorded in these runs and what cannot be read. Returns the exit code.
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
        let sql = "SELECT run_id, kind, sum(count), max(detail) FROM losses
                   WHERE severity <> 'info' AND (?1 IS NULL OR run_id = ?1)
                   GROUP BY run_id, kind ORDER BY run_id, kind";
        let mut statement = self.recording.connection().prepare(sql)?;
        let mut rows = statement.query([run])?;
        let mut lost: Vec<(i64, Vec<String>)> = Vec::new();
        let mut unknown = Vec::new();
        while let Some(row) = rows.next()? {
            let (run, kind, count): (i64, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if kind == LossKind::InterpreterUnknown.name() {
                let detail: String = row.get(3)?;
                unknown.push(format!("run {run}: {}", super::output::printable(&detail)));
                continue;
            }
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
            .chain(unknown)
            .collect())
    }
}

impl Interrupts {
    /// Interrupts the statement or command that is running. Returns true if that was requested
    /// before and the program has no other work.
    pub(super) fn interrupt(&self) -> bool {
        let work = self.work();
        if *work == Work::Waiting {
            return false;
        }
        let again = self.0.requested.swap(true, Ordering::Relaxed);
        self.0.handle.interrupt();
        again && *work == Work::Only
    }

    /// Repeats a request: a statement that was just about to begin may have missed it.
    pub(super) fn repeat(&self) {
        if self.is_requested() {
            self.0.handle.interrupt();
        }
    }

    /// Whether a command is running that can be interrupted.
    pub(super) fn is_working(&self) -> bool {
        *self.work() != Work::Waiting
    }

    fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        let mut work = self.work();
        self.0.requested.store(false, Ordering::Relaxed);
        *work = Work::Command;
    }

    fn end(&self) {
        let mut work = self.work();
        self.0.requested.store(false, Ordering::Relaxed);
        *work = Work::Waiting;
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.0.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the first Ctrl-C end the statement that is running, and the second the program.
fn listen(interrupts: Interrupts) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            if interrupts.interrupt() {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}
