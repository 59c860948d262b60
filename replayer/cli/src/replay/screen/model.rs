//! The contents of the screen. They are computed from the debugger when the position changes, and
//! can be drawn any number of times.

use super::input::Input;
use super::strip::Strip;
use super::text;
use super::variables::Variables;
use dashcam_replayer::debugger::command::Place;
use dashcam_replayer::debugger::reply::FrameReply;
use dashcam_replayer::debugger::text::signal_name;
use dashcam_replayer::debugger::{Command, Debugger, Failure, Reply};
use dashcam_replayer::store::SourceText;
use dashcam_replayer::timeline::Here;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// The number of files whose executed lines are remembered.
const FILES_MAX: usize = 64;

/// The contents of the screen.
pub(super) struct Model {
    pub(super) run: Run,
    /// The current event; `None` if it cannot be read.
    pub(super) here: Option<Here>,
    pub(super) seq: i64,
    /// The part of the run before this position, from 0 to 1.
    pub(super) fraction: f64,
    /// The innermost frame first.
    pub(super) frames: Vec<FrameReply>,
    pub(super) selected: usize,
    pub(super) source: Source,
    pub(super) variables: Variables,
    pub(super) strip: Strip,
    pub(super) status: Status,
    pub(super) input: Option<Input>,
    pub(super) popup: Option<Popup>,
    pub(super) focus: Focus,
}

/// The events that the bar shows: those of the current process.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    /// `seq` of its first and last event.
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) last_ns: i64,
    /// The number of the process, if the run has several.
    pub(super) process_id: Option<i64>,
    /// How it ended, if it was ended by a signal or because the recorder died.
    pub(super) ended: Option<String>,
}

/// A part of the screen that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    Stack,
    Variables,
    Source,
    Strip,
}

/// A sentence about the last action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// Text that covers the rest of the screen until it is closed.
pub(super) struct Popup {
    pub(super) title: String,
    pub(super) text: String,
    /// The first line that is shown.
    pub(super) top: usize,
    /// A width, and the text wrapped to it.
    lines: Option<(usize, Vec<String>)>,
}

/// A file, and what is known about its lines.
#[derive(Default)]
pub(super) struct Source {
    pub(super) path: String,
    /// `None` if it was not stored.
    pub(super) text: Option<Rc<SourceText>>,
    /// The current line of the selected frame.
    pub(super) current: Option<u32>,
    /// The line that keys act on.
    pub(super) cursor: u32,
    /// The first line and cell that are shown.
    pub(super) top: u32,
    pub(super) left: usize,
    /// Lines that ran at some time in the run; `None` if that is unknown.
    pub(super) ran: Option<Rc<FxHashSet<u32>>>,
    /// Lines of breakpoints, with their numbers.
    pub(super) breakpoints: Vec<(u32, usize)>,
    ran_by_path: FxHashMap<String, Option<Rc<FxHashSet<u32>>>>,
}

impl Focus {
    const ALL: [Focus; 4] = [Focus::Stack, Focus::Variables, Focus::Source, Focus::Strip];

    pub(super) fn next(self, by: usize) -> Focus {
        let at = Focus::ALL.iter().position(|focus| *focus == self).unwrap_or(0);
        Focus::ALL[(at + by) % Focus::ALL.len()]
    }
}

impl Popup {
    /// The largest number of lines that can be shown.
    const LINES_MAX: usize = 100_000;

    pub(super) fn new(title: impl Into<String>, text: impl Into<String>) -> Popup {
        Popup { title: title.into(), text: text.into(), top: 0, lines: None }
    }

    /// Scrolls by this many lines.
    pub(super) fn go(&mut self, by: i64) {
        let top = i64::try_from(self.top).unwrap_or(i64::MAX).saturating_add(by).max(0);
        self.top = usize::try_from(top).unwrap_or(usize::MAX);
    }

    /// The text wrapped to a width.
    pub(super) fn lines(&mut self, width: usize) -> &[String] {
        if self.lines.as_ref().is_none_or(|(of, _)| *of != width) {
            self.lines = None;
        }
        let wrap = || (width, text::wrap(self.text.trim_end(), width, Popup::LINES_MAX));
        &self.lines.get_or_insert_with(wrap).1
    }
}

impl Status {
    pub(super) fn info(text: impl Into<String>) -> Status {
        Status { text: text.into(), is_error: false }
    }

    pub(super) fn error(text: impl Into<String>) -> Status {
        Status { text: text.into(), is_error: true }
    }
}

impl Model {
    pub(super) fn new(run: Run) -> Model {
        Model {
            seq: run.first,
            run,
            here: None,
            fraction: 0.0,
            frames: Vec::new(),
            selected: 0,
            source: Source::default(),
            variables: Variables::default(),
            strip: Strip::default(),
            status: Status::default(),
            input: None,
            popup: None,
            focus: Focus::Stack,
        }
    }

    /// The frame that is selected.
    pub(super) fn frame(&self) -> Option<&FrameReply> {
        self.frames.get(self.selected)
    }

    /// Shows the process of the debugger's position.
    pub(super) fn follow(&mut self, debugger: &Debugger) {
        let extent = debugger.timeline().extent_at(debugger.position());
        if (extent.first.seq(), extent.last.seq()) != (self.run.first, self.run.last) {
            self.run = Run::of(debugger);
        }
    }

    /// Reads the debugger's position. Variables take longer: see [`Variables::refresh`].
    pub(super) fn refresh(&mut self, debugger: &mut Debugger) -> Result<(), Failure> {
        self.follow(debugger);
        let (timeline, at) = (debugger.timeline(), debugger.position());
        self.seq = at.seq();
        self.fraction = timeline.fraction(at);
        self.selected = debugger.selected();
        (self.here, self.frames) = (None, Vec::new());
        let found = debugger.here().and_then(|here| {
            self.here = Some(here);
            self.frames = debugger.stack()?;
            Ok(())
        });
        self.variables.is_stale = true;
        self.source.refresh(self.here.as_ref(), self.frames.get(self.selected), debugger)?;
        found
    }
}

impl Run {
    pub(super) fn of(debugger: &Debugger) -> Run {
        let timeline = debugger.timeline();
        let store = timeline.store();
        let extent = timeline.extent_at(debugger.position());
        let process = store.directory().processes.get(&extent.process_id);
        let sql = "SELECT status, exit_signal FROM runs WHERE run_id = ?";
        let ended = store.connection().query_row(sql, [timeline.run_id()], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        });
        // The run ended as its first process did.
        let own = process.filter(|process| process.parent.is_some());
        let ended = match own {
            None => ended.ok(),
            Some(process) => Some(("complete".to_owned(), process.exit_signal)),
        };
        let ended = ended.and_then(|(status, signal)| match signal {
            Some(signal) => Some(format!("ended by {}", signal_name(signal))),
            None => Some(status).filter(|status| status != "complete"),
        });
        Run {
            first: extent.first.seq(),
            last: extent.last.seq(),
            last_ns: timeline.end_ns(debugger.position()),
            process_id: debugger.has_several().then_some(extent.process_id),
            ended,
        }
    }
}

impl Source {
    fn refresh(
        &mut self,
        here: Option<&Here>,
        frame: Option<&FrameReply>,
        debugger: &mut Debugger,
    ) -> Result<(), Failure> {
        let place = match (frame, here) {
            (Some(frame), _) => Some((frame.code_id, frame.path.clone(), frame.line)),
            (None, Some(here)) => Some((here.code_id, here.path.clone(), here.line)),
            (None, None) => None,
        };
        let Some((code_id, path, line)) = place else {
            (self.text, self.current) = (None, None);
            self.path.clear();
            self.breakpoints.clear();
            return Ok(());
        };
        self.text = debugger.timeline().store().source_of(code_id)?;
        self.current = line.and_then(|line| u32::try_from(line).ok());
        self.cursor = self.current.unwrap_or(1).max(1);
        if self.path != path {
            (self.left, self.top) = (0, 0);
        }
        self.path = path;
        self.ran = self.ran(debugger);
        self.refresh_breakpoints(debugger)
    }

    /// Reads the breakpoints in the file.
    pub(super) fn refresh_breakpoints(&mut self, debugger: &mut Debugger) -> Result<(), Failure> {
        let Reply::Breakpoints(all) = debugger.run(Command::Breakpoints)? else { return Ok(()) };
        let line_here = |place: &str| {
            let (path, line) = place.rsplit_once(':')?;
            let before = self.path.strip_suffix(path)?;
            let is_whole = before.is_empty() || before.ends_with('/') || path.starts_with('/');
            line.parse().ok().filter(|_| is_whole && !path.is_empty())
        };
        let of = all.iter().filter_map(|found| Some((line_here(&found.place)?, found.number)));
        self.breakpoints = of.collect();
        Ok(())
    }

    fn ran(&mut self, debugger: &Debugger) -> Option<Rc<FxHashSet<u32>>> {
        if let Some(known) = self.ran_by_path.get(&self.path) {
            return known.clone();
        }
        let timeline = debugger.timeline();
        let read = || -> rusqlite::Result<FxHashSet<u32>> {
            let sql = "SELECT line FROM line_counts WHERE run_id = ? AND path = ? AND count > 0";
            let mut statement = timeline.store().connection().prepare_cached(sql)?;
            statement.query_map((timeline.run_id(), &self.path), |row| row.get(0))?.collect()
        };
        let ran = read().ok().filter(|lines| !lines.is_empty()).map(Rc::new);
        if self.ran_by_path.len() >= FILES_MAX {
            self.ran_by_path.clear();
        }
        self.ran_by_path.insert(self.path.clone(), ran.clone());
        ran
    }

    /// The number of lines.
    pub(super) fn len(&self) -> u32 {
        self.text.as_ref().map_or(0, |text| u32::try_from(text.len()).unwrap_or(u32::MAX))
    }

    /// Moves the cursor.
    pub(super) fn go(&mut self, by: i64) {
        let to = i64::from(self.cursor).saturating_add(by);
        self.cursor = to.clamp(1, i64::from(self.len()).max(1)) as u32;
    }

    /// The command that sets or removes a breakpoint at the cursor.
    pub(super) fn toggle(&self) -> Command {
        match self.breakpoints.iter().find(|(line, _)| *line == self.cursor) {
            Some((_, number)) => Command::Delete(Some(*number)),
            None => Command::Break {
                place: Place::Line { path: self.path.clone(), line: self.cursor },
                condition: None,
                once: false,
            },
        }
    }
}
