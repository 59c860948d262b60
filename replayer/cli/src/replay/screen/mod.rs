//! The full screen: source, stack, variables and the run, and a command line.
//!
//! - `model`, `variables`, `strip`: the contents;
//! - `view`: drawing;
//! - `keys`, `input`: keys and the command line;
//! - `terminal`: the terminal;
//! - `text`: escapes texts of a recording.
//!
//! It uses the same [`Debugger`] as the line mode. While a command runs, a thread still reads the
//! keys, so that Ctrl-C ends it. Work that takes longer than a step waits until no key is pressed:
//! variables first, then the strip of calls, a few milliseconds at a time.

mod input;
mod keys;
mod model;
mod strip;
mod terminal;
mod text;
mod variables;
mod view;

use super::complete::{self, Words};
use super::history::History;
use crate::session::Session;
use crossterm::event::{Event, KeyCode, KeyEvent};
use dashcam_replayer::debugger::{self, Command, Debugger, Reply, Stop};
use debugger::command::Target;
use input::{Input, Typed};
use keys::{About, Action, Keys, Towards};
use model::{Focus, Model, Popup, Run, Status};
use ratatui::buffer::Buffer;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use terminal::{Message, Taken};

/// How long waiting keys are read before the screen is drawn again.
const TYPING: Duration = Duration::from_millis(50);
/// How long samples of the run are taken before keys are checked.
const SLICE: Duration = Duration::from_millis(8);
/// Shorter work shows no progress. Longer work shows it at this interval.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);
/// Cells by which the source moves sideways, and the largest sum of them.
const SIDEWAYS: usize = 8;
const SIDEWAYS_MAX: usize = 1 << 16;
/// More frames than any stack has.
const FRAMES_MAX: i64 = 1 << 32;

/// The terminal to draw on, also while a command runs.
struct Display {
    terminal: terminal::Screen,
    theme: view::Theme,
    /// The screen as it was last drawn.
    drawn: Buffer,
}

impl Display {
    fn draw(&mut self, model: &mut Model) -> std::io::Result<()> {
        let theme = &self.theme;
        let done = self.terminal.draw(|frame| view::draw(frame, model, theme))?;
        self.drawn = done.buffer.clone();
        Ok(())
    }

    /// Shows that a command is working, over the last drawn screen.
    fn working(&mut self, how_far: &str) {
        let (theme, drawn) = (&self.theme, &self.drawn);
        // If the terminal is gone, the main loop notices.
        let _ = self.terminal.draw(|frame| view::working(frame, drawn, how_far, theme));
    }
}

struct Screen<'a> {
    session: &'a Session,
    debugger: Debugger,
    model: Model,
    display: Rc<RefCell<Display>>,
    taken: Taken,
    keys: Keys,
    history: History,
    words: Words,
    /// The output of the last command: its line and its text.
    output: Option<(String, String)>,
    /// Whether samples of the run are missing.
    is_strip_open: bool,
    /// How long it took to read variables.
    took: Duration,
}

/// What to do next.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
    /// The program has to end because of a signal.
    End(i32),
}

/// Shows a run until the user leaves, or a signal ends the program. Returns the signal.
pub(super) fn run(session: &Session, debugger: Debugger) -> anyhow::Result<Option<i32>> {
    let (words, history) = (Words::of(&debugger), History::open("history"));
    let model = Model::new(Run::of(&debugger));
    let (sender, messages) = channel();
    let (taken, terminal) = Taken::take()?;
    let theme = view::Theme::of_environment();
    let display = Rc::new(RefCell::new(Display { terminal, theme, drawn: Buffer::default() }));
    let store = debugger.timeline().store().clone();
    store.set_progress(Some(progress(session, &display)));
    terminal::listen(sender, session.interrupts().clone())?;
    let mut screen = Screen {
        session,
        debugger,
        model,
        display,
        taken,
        keys: Keys::default(),
        history,
        words,
        output: None,
        is_strip_open: true,
        took: Duration::ZERO,
    };
    screen.refresh();
    let left = screen.live(&messages);
    store.set_progress(None);
    left
}

/// Returns a function that draws the progress of a command.
fn progress(session: &Session, display: &Rc<RefCell<Display>>) -> Box<dyn Fn(usize, usize)> {
    let (interrupts, display) = (session.interrupts().clone(), display.clone());
    let last = Cell::new((Instant::now(), 0));
    Box::new(move |done, of| {
        interrupts.repeat();
        let (mut drawn, before) = last.get();
        // The numbers begin anew with every command.
        if done <= before {
            drawn = Instant::now();
        }
        if drawn.elapsed() >= PROGRESS_INTERVAL {
            drawn = Instant::now();
            let percent = done.saturating_mul(100).checked_div(of).unwrap_or(0).min(100);
            display.borrow_mut().working(&format!("{percent}% of the recording read"));
        }
        last.set((drawn, done));
    })
}

impl Screen<'_> {
    fn live(&mut self, messages: &Receiver<Message>) -> anyhow::Result<Option<i32>> {
        loop {
            self.display.borrow_mut().draw(&mut self.model)?;
            let is_behind = self.model.variables.is_stale || self.is_strip_open;
            let wait = if is_behind { Duration::ZERO } else { Duration::from_secs(3600) };
            match messages.recv_timeout(wait) {
                Ok(first) => {
                    let begun = Instant::now();
                    let mut next = Some(first);
                    while let Some(message) = next {
                        match self.receive(message)? {
                            Next::Stay => {}
                            Next::Leave => return Ok(None),
                            Next::End(signal) => return Ok(Some(signal)),
                        }
                        next = messages.try_recv().ok().filter(|_| begun.elapsed() < TYPING);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Does the work that waits until nothing is typed.
    fn catch_up(&mut self) {
        if self.model.variables.is_stale {
            self.refresh_variables();
            return;
        }
        // This is too short to be interrupted.
        let timeline = self.debugger.timeline();
        self.is_strip_open = self.model.strip.fill(timeline, SLICE).unwrap_or(false);
    }

    fn refresh_variables(&mut self) {
        let begun = Instant::now();
        let (debugger, model) = (&self.debugger, &mut self.model);
        let variables = &mut model.variables;
        match model.frames.get(model.selected) {
            Some(frame) => {
                let (call, depth) = (frame.call_id, frame.depth);
                self.session.command(|| variables.refresh(debugger, call, depth));
            }
            None => variables.clear("no frame is known here"),
        }
        self.took = begun.elapsed();
    }

    fn receive(&mut self, message: Message) -> anyhow::Result<Next> {
        match message {
            Message::Event(Event::Key(key)) => return self.key(key),
            Message::Event(Event::Paste(text)) => {
                self.model.popup = None;
                self.model.input.get_or_insert_default().insert(&text);
            }
            Message::Event(Event::Resize(..)) => self.is_strip_open = true,
            Message::Event(_) => {}
            Message::End(signal) => return Ok(Next::End(signal)),
            Message::Closed => return Ok(Next::Leave),
        }
        Ok(Next::Stay)
    }

    fn key(&mut self, key: KeyEvent) -> anyhow::Result<Next> {
        if let Some(input) = &mut self.model.input {
            let typed = input.key(key, self.history.lines());
            return Ok(self.typed(typed));
        }
        let page = self.page();
        if let Some(popup) = &mut self.model.popup {
            if let Some(towards) = keys::towards(key.code) {
                popup.go(towards.lines(page));
                return Ok(Next::Stay);
            }
            // Another key means that the user has read it.
            self.model.popup = None;
            if let KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') = key.code {
                return Ok(Next::Stay);
            }
        }
        let was_back = self.keys.is_back();
        let action = self.keys.action(key);
        if self.keys.is_back() {
            self.model.status = Status::info("back: s n f i c");
        } else if was_back {
            self.model.status = Status::default();
        }
        match action {
            Some(action) => self.act(action),
            None => Ok(Next::Stay),
        }
    }

    /// The approximate number of lines of a page.
    fn page(&self) -> usize {
        usize::from(self.display.borrow().drawn.area.height) / 2
    }

    fn act(&mut self, action: Action) -> anyhow::Result<Next> {
        let model = &mut self.model;
        match action {
            Action::Do(command) => return Ok(self.run(command, None)),
            Action::Variable(about) => return Ok(self.variable(about)),
            Action::Toggle => {
                let command = model.source.toggle();
                return Ok(self.run(command, None));
            }
            Action::Type(line) => model.input = Some(Input::new(line)),
            Action::Focus(by) => model.focus = model.focus.next(by),
            Action::Go(towards) => return Ok(self.go(towards)),
            Action::Open => self.open(),
            Action::Zoom(closer) => {
                model.strip.zoom(closer);
                self.is_strip_open = true;
            }
            Action::Help => model.popup = Some(Popup::new("keys and commands", view::help())),
            Action::Output => match &self.output {
                Some((line, text)) => model.popup = Some(Popup::new(line, text)),
                None => model.status = Status::info("no command has printed anything yet"),
            },
            Action::Cancel => model.status = Status::info("q leaves"),
            Action::Suspend => {
                self.taken.suspend()?;
                self.display.borrow_mut().terminal = terminal::clear()?;
            }
            Action::Redraw => self.display.borrow_mut().terminal = terminal::clear()?,
            Action::Quit => return Ok(Next::Leave),
        }
        Ok(Next::Stay)
    }

    fn typed(&mut self, typed: Typed) -> Next {
        match typed {
            Typed::Edited => {}
            Typed::Cancelled => self.model.input = None,
            Typed::Line => {
                let line = self.model.input.take();
                return line.map_or(Next::Stay, |line| self.execute(line.text().trim()));
            }
            Typed::Complete => {
                let Some(input) = &mut self.model.input else { return Next::Stay };
                let (debugger, words) = (&self.debugger, &self.words);
                let complete = || words.complete(debugger, input.before());
                let (from, candidates) = self.session.command(complete);
                match candidates.as_slice() {
                    [one] => input.replace(from, one),
                    [] => {}
                    several => {
                        input.replace(from, complete::common(several));
                        input.candidates = candidates;
                    }
                }
            }
        }
        Next::Stay
    }

    /// Executes a typed line.
    fn execute(&mut self, line: &str) -> Next {
        self.history.add(line);
        match debugger::command::parse(line) {
            Ok(Some(command)) => return self.run(command, Some(line)),
            Ok(None) => {}
            Err(message) => self.model.status = Status::error(message),
        }
        Next::Stay
    }

    /// Runs a command from a line or a key.
    fn run(&mut self, command: Command, line: Option<&str>) -> Next {
        // Changes from here on have to be marked, even if keys are pressed fast.
        if self.model.variables.is_stale && self.took < TYPING {
            self.refresh_variables();
        }
        let (debugger, display) = (&mut self.debugger, &self.display);
        let work = || {
            // Once this is shown, Ctrl-C ends the command.
            if may_take_long(&command) {
                display.borrow_mut().working("working");
            }
            debugger.run(command)
        };
        let reply = match self.session.command(work) {
            Ok(reply) => reply,
            Err(failure) => {
                // The position may have changed although it cannot be read.
                if self.debugger.position().seq() != self.model.seq {
                    self.refresh();
                }
                let message = failure.to_string();
                self.output = Some((line.unwrap_or("error").to_owned(), message.clone()));
                self.model.status = Status::error(message);
                return Next::Stay;
            }
        };
        self.model.follow(&self.debugger);
        self.model.status = match &reply {
            Reply::Quit => return Next::Leave,
            Reply::Stop(stop) => stop_status(stop, &self.model.run),
            // A frame was selected: the screen shows that.
            Reply::Stack { .. } if line.is_none() => Status::default(),
            reply => self.show_output(line.unwrap_or_default(), &debugger::text::text(reply)),
        };
        match reply {
            Reply::Stop(_) | Reply::Stack { .. } => self.refresh(),
            // It may be about a breakpoint.
            Reply::Said(_) => {
                if let Err(failure) = self.model.source.refresh_breakpoints(&mut self.debugger) {
                    self.model.status = Status::error(failure.to_string());
                }
            }
            _ => {}
        }
        Next::Stay
    }

    /// Shows the output of a command: a short line at the bottom, longer text over everything.
    fn show_output(&mut self, line: &str, text: &str) -> Status {
        let text = text.trim_end();
        self.output = Some((line.to_owned(), text.to_owned()));
        let wide = usize::from(self.display.borrow().drawn.area.width);
        if !text.contains('\n') && text::width(text, wide) < wide {
            return Status::info(text);
        }
        self.model.popup = Some(Popup::new(line, text));
        Status::default()
    }

    /// Reads everything about the current position.
    fn refresh(&mut self) {
        let (model, debugger) = (&mut self.model, &mut self.debugger);
        if let Err(failure) = self.session.command(|| model.refresh(debugger)) {
            model.status = Status::error(failure.to_string());
        }
        if let Some(here) = &model.here {
            model.strip.follow(debugger, here.process_id, here.thread_id);
        }
        self.is_strip_open = true;
    }

    fn variable(&mut self, about: About) -> Next {
        let Some(variable) = self.model.variables.current() else {
            self.model.status = Status::error("no variable is selected");
            return Next::Stay;
        };
        let name = variable.name.to_string();
        let line = match about {
            About::LastWrite => "last-write",
            About::NextWrite => "next-write",
            About::Origin => "origin",
        };
        let line = format!("{line} {name}");
        let command = match about {
            About::LastWrite => Command::LastWrite(name),
            About::NextWrite => Command::NextWrite(name),
            About::Origin => Command::Origin(name),
        };
        self.run(command, Some(&line))
    }

    /// Moves within the part of the screen that has the focus.
    fn go(&mut self, towards: Towards) -> Next {
        let by = towards.lines(self.page());
        let model = &mut self.model;
        match model.focus {
            Focus::Variables => model.variables.go(by),
            Focus::Source => match towards {
                Towards::Left => model.source.left = model.source.left.saturating_sub(SIDEWAYS),
                Towards::Right => {
                    model.source.left = (model.source.left + SIDEWAYS).min(SIDEWAYS_MAX);
                }
                _ => model.source.go(by),
            },
            // The outermost frame is at the top.
            Focus::Stack if by != 0 => {
                let frames = by.clamp(-FRAMES_MAX, FRAMES_MAX);
                return self.run(Command::Frame(-frames), None);
            }
            Focus::Stack => {}
            Focus::Strip => {
                let columns = match towards {
                    Towards::Left => -1,
                    Towards::Right => 1,
                    Towards::Up | Towards::Down => return Next::Stay,
                    _ => by,
                };
                let to = model.seq.saturating_add(model.strip.step.saturating_mul(columns));
                let to = to.clamp(model.run.first, model.run.last.max(model.run.first));
                return self.run(Command::Goto(Target::Seq(to)), None);
            }
        }
        Next::Stay
    }

    fn open(&mut self) {
        let model = &mut self.model;
        match (model.focus, model.variables.current()) {
            (Focus::Source, _) => model.source.cursor = model.source.current.unwrap_or(1),
            (_, Some(row)) => model.popup = Some(Popup::new(&*row.name, view::all_of(row))),
            (_, None) => model.status = Status::error("no variable is selected"),
        }
    }
}

/// Whether a command may take so long that the screen should show that it is working.
fn may_take_long(command: &Command) -> bool {
    !matches!(
        command,
        Command::Step(..) | Command::Frame(_) | Command::Goto(Target::Seq(_)) | Command::Quit
    )
}

/// A sentence about why the debugger stopped.
fn stop_status(stop: &Stop, run: &Run) -> Status {
    let is_last = stop.here.position.seq() == run.last;
    let ended = run.ended.as_ref().filter(|_| is_last);
    let whose = if run.process_id.is_some() { "process" } else { "run" };
    let ended = ended.map_or(String::new(), |how| format!("; the {whose} was {how}"));
    let why = match (stop.why, stop.breakpoint) {
        ("breakpoint", Some(number)) => format!("breakpoint {number}"),
        ("end", _) => format!("nothing comes after this{ended}"),
        ("start", _) => "nothing comes before this".to_owned(),
        _ => String::new(),
    };
    let process = stop.process.as_ref().filter(|_| stop.why != "info").map(|command| {
        format!("process {}: {}", stop.here.process_id, debugger::text::one_line(command))
    });
    let why = match process {
        Some(process) if why.is_empty() => process,
        Some(process) => format!("{why}; {process}"),
        None => why,
    };
    match stop.notes.first() {
        Some(note) if why.is_empty() => Status::error(note),
        Some(note) => Status::error(format!("{why}; {note}")),
        None => Status::info(why),
    }
}
