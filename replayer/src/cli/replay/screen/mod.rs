//! The full screen: source, stack, variables and the run, and a command line.
//!
//! - `model`, `variables`, `strip`: what is shown;
//! - `view`: how;
//! - `keys`, `input`: what is typed;
//! - `terminal`: where;
//! - `text`: what a recording says, made harmless.
//!
//! It speaks to the same [`Debugger`] as the lines do. While a command runs, a thread still reads
//! the keys, so that Ctrl-C ends it. What takes longer than a step waits until no key does:
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
use crate::cli::session::Session;
use crate::debugger::{self, Command, Debugger, Failure, Reply, Stop};
use crate::store::Error;
use input::{Input, Typed};
use keys::{About, Action, Keys, Towards};
use model::{Focus, Model, Popup, Run, Status};
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use terminal::{Taken, Told};

/// Keys that are waiting are read for so long before the screen is drawn again.
const TYPING: Duration = Duration::from_millis(50);
/// How long samples of the run are taken before a key is looked for.
const SLICE: Duration = Duration::from_millis(8);
/// Work shorter than this shows no progress, and longer one as often.
const PATIENCE: Duration = Duration::from_millis(250);

/// What is drawn, and onto what. The progress of a command is drawn while it runs.
struct Shown {
    terminal: terminal::Screen,
    model: Model,
    theme: view::Theme,
}

impl Shown {
    fn draw(&mut self) -> std::io::Result<()> {
        let (model, theme) = (&mut self.model, &self.theme);
        self.terminal.draw(|frame| view::draw(frame, model, theme)).map(|_| ())
    }
}

struct Screen<'a> {
    session: &'a Session,
    debugger: Debugger,
    shown: Rc<RefCell<Shown>>,
    taken: Taken,
    keys: Keys,
    history: History,
    words: Words,
    /// What a command said last: its line and its words.
    output: Option<(String, String)>,
    /// Samples of the run are missing.
    is_strip_open: bool,
}

/// How to go on.
#[derive(PartialEq, Eq)]
enum Next {
    Stay,
    Leave,
    /// The program is to end by a signal.
    End(i32),
}

/// Shows a run until one has seen enough, or a signal ends the program.
pub(super) fn run(session: &Session, debugger: Debugger) -> anyhow::Result<Option<i32>> {
    let (words, history) = (Words::of(&debugger), History::open());
    let model = Model::new(Run::of(&debugger));
    let (tell, told) = channel();
    let (taken, terminal) = Taken::take()?;
    let shown = Shown { terminal, model, theme: view::Theme::of_environment() };
    let shown = Rc::new(RefCell::new(shown));
    let store = debugger.timeline().store().clone();
    store.set_progress(Some(progress(session, &shown)));
    terminal::listen(tell, session.interrupts().clone())?;
    let mut screen = Screen {
        session,
        debugger,
        shown,
        taken,
        keys: Keys::default(),
        history,
        words,
        output: None,
        is_strip_open: true,
    };
    screen.look();
    let left = screen.live(&told);
    store.set_progress(None);
    left
}

/// Draws how far a command is.
fn progress(session: &Session, shown: &Rc<RefCell<Shown>>) -> Box<dyn Fn(usize, usize)> {
    let (interrupts, shown) = (session.interrupts().clone(), Rc::downgrade(shown));
    let last = RefCell::new((Instant::now(), 0));
    Box::new(move |done, of| {
        interrupts.remind();
        let mut last = last.borrow_mut();
        // It begins anew with every command.
        if done < last.1 {
            last.0 = Instant::now();
        }
        last.1 = done;
        if last.0.elapsed() < PATIENCE {
            return;
        }
        last.0 = Instant::now();
        if let Some(shown) = shown.upgrade()
            && let Ok(mut shown) = shown.try_borrow_mut()
        {
            shown.model.progress = Some((done, of));
            // If the terminal is gone, the loop finds out.
            let _ = shown.draw();
        }
    })
}

impl Screen<'_> {
    fn live(&mut self, told: &Receiver<Told>) -> anyhow::Result<Option<i32>> {
        loop {
            self.shown.borrow_mut().draw()?;
            let wait = if self.is_behind() { Duration::ZERO } else { Duration::from_secs(3600) };
            match told.recv_timeout(wait) {
                Ok(first) => {
                    let begun = Instant::now();
                    let mut next = Some(first);
                    while let Some(told_now) = next {
                        match self.told(told_now)? {
                            Next::Stay => {}
                            Next::Leave => return Ok(None),
                            Next::End(signal) => return Ok(Some(signal)),
                        }
                        next = told.try_recv().ok().filter(|_| begun.elapsed() < TYPING);
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.catch_up(),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Whether there is something to do while nothing is typed.
    fn is_behind(&self) -> bool {
        self.shown.borrow().model.variables.is_stale || self.is_strip_open
    }

    fn catch_up(&mut self) {
        let mut shown = self.shown.borrow_mut();
        let model = &mut shown.model;
        let debugger = &self.debugger;
        if model.variables.is_stale {
            let frame = model.frame().map(|frame| (frame.call_id, frame.depth));
            match frame {
                Some((call, depth)) => {
                    let variables = &mut model.variables;
                    self.session.command(|| variables.look(debugger, call, depth));
                }
                None => model.variables.clear("no frame is known here"),
            }
            return;
        }
        let strip = &mut model.strip;
        let timeline = debugger.timeline();
        self.is_strip_open = self.session.command(|| strip.fill(timeline, SLICE)).unwrap_or(false);
    }

    fn told(&mut self, told: Told) -> anyhow::Result<Next> {
        match told {
            Told::Event(Event::Key(key)) => return self.key(key),
            Told::Event(Event::Paste(text)) => {
                let mut shown = self.shown.borrow_mut();
                shown.model.popup = None;
                shown.model.input.get_or_insert_default().insert(&text);
            }
            Told::Event(Event::Resize(..)) => self.is_strip_open = true,
            Told::Event(_) => {}
            Told::End(signal) => return Ok(Next::End(signal)),
            Told::Gone => return Ok(Next::Leave),
        }
        Ok(Next::Stay)
    }

    fn key(&mut self, key: KeyEvent) -> anyhow::Result<Next> {
        let mut shown = self.shown.borrow_mut();
        let page = usize::from(shown.terminal.size()?.height);
        let model = &mut shown.model;
        if let Some(input) = &mut model.input {
            let typed = input.key(key, self.history.lines());
            drop(shown);
            return Ok(self.typed(typed));
        }
        if let Some(popup) = &mut model.popup {
            let towards = keys::towards(key.code).map(|towards| towards.lines(page / 2));
            match (key.code, towards) {
                (_, Some(by)) => {
                    popup.top = (popup.top as i64).saturating_add(by).max(0) as usize;
                    return Ok(Next::Stay);
                }
                (KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'), _) => {
                    model.popup = None;
                    return Ok(Next::Stay);
                }
                // Whoever goes on has read it.
                _ => model.popup = None,
            }
        }
        let action = self.keys.action(key);
        model.status = match self.keys.is_back() {
            true => Status::said("back: s n f i c"),
            false => std::mem::take(&mut model.status),
        };
        drop(shown);
        match action {
            Some(action) => self.act(action),
            None => Ok(Next::Stay),
        }
    }

    fn act(&mut self, action: Action) -> anyhow::Result<Next> {
        match action {
            Action::Do(command) => return Ok(self.run(command, None)),
            Action::Variable(about) => return Ok(self.variable(about)),
            Action::Toggle => {
                let command = self.shown.borrow().model.source.toggle();
                return Ok(self.run(command, None));
            }
            Action::Type(line) => self.shown.borrow_mut().model.input = Some(Input::new(line)),
            Action::Focus(by) => {
                let mut shown = self.shown.borrow_mut();
                shown.model.focus = shown.model.focus.next(by);
            }
            Action::Go(towards) => return Ok(self.go(towards)),
            Action::Open => self.open(),
            Action::Zoom(closer) => {
                self.shown.borrow_mut().model.strip.zoom(closer);
                self.is_strip_open = true;
            }
            Action::Help => {
                let popup = Popup::new("keys and commands", view::help());
                self.shown.borrow_mut().model.popup = Some(popup);
            }
            Action::Output => {
                let popup = self.output.as_ref().map(|(line, text)| Popup::new(line, text));
                let mut shown = self.shown.borrow_mut();
                if popup.is_none() {
                    shown.model.status = Status::said("no command has said anything yet");
                }
                shown.model.popup = popup;
            }
            Action::Cancel => self.shown.borrow_mut().model.status = Status::said("q leaves"),
            Action::Suspend => {
                self.taken.suspend()?;
                self.shown.borrow_mut().terminal.clear()?;
            }
            Action::Redraw => self.shown.borrow_mut().terminal.clear()?,
            Action::Quit => return Ok(Next::Leave),
        }
        Ok(Next::Stay)
    }

    fn typed(&mut self, typed: Typed) -> Next {
        let mut shown = self.shown.borrow_mut();
        let input = &mut shown.model.input;
        match typed {
            Typed::Edited => {}
            Typed::Cancelled => *input = None,
            Typed::Line => {
                let line = input.take().map(|input| input.text().trim().to_owned());
                drop(shown);
                return line.map_or(Next::Stay, |line| self.say(&line));
            }
            Typed::Complete => {
                let Some(input) = input else { return Next::Stay };
                let (from, mut candidates) = self.words.complete(&self.debugger, input.before());
                match candidates.as_slice() {
                    [one] => input.replace(from, one),
                    [] => {}
                    several => {
                        input.replace(from, complete::common(several));
                        input.candidates = std::mem::take(&mut candidates);
                    }
                }
            }
        }
        Next::Stay
    }

    /// Does what a line says.
    fn say(&mut self, line: &str) -> Next {
        self.history.add(line);
        match debugger::command::parse(line) {
            Ok(Some(command)) => self.run(command, Some(line)),
            Ok(None) => Next::Stay,
            Err(message) => {
                self.shown.borrow_mut().model.status = Status::error(message);
                Next::Stay
            }
        }
    }

    fn run(&mut self, command: Command, line: Option<&str>) -> Next {
        let changes_breakpoints =
            matches!(command, Command::Break { .. } | Command::Delete(_) | Command::Watch(_));
        let debugger = &mut self.debugger;
        let reply = self.session.command(|| debugger.run(command));
        let mut shown = self.shown.borrow_mut();
        shown.model.progress = None;
        let status = &mut shown.model.status;
        match reply {
            Ok(Reply::Quit) => return Next::Leave,
            Ok(Reply::Stop(stop)) => {
                *status = said(&stop);
                drop(shown);
                self.look();
            }
            // It is on the screen already.
            Ok(Reply::Stack { .. }) if line.is_none() => {
                *status = Status::default();
                drop(shown);
                self.look();
            }
            Ok(Reply::Said(what)) if line.is_none() => *status = Status::said(what),
            Ok(reply) => {
                let text = debugger::text::text(&reply);
                let text = text.trim_end();
                let title = line.unwrap_or("output");
                *status = Status::default();
                if text.contains('\n') || text.chars().count() > 60 {
                    shown.model.popup = Some(Popup::new(title, text));
                } else {
                    *status = Status::said(text);
                }
                self.output = Some((title.to_owned(), text.to_owned()));
                drop(shown);
                if matches!(reply, Reply::Stack { .. }) {
                    self.look();
                }
            }
            Err(Failure::Recording(Error::Interrupted)) => {
                *status = Status::error("interrupted; one stands where one stood");
            }
            Err(failure) => *status = Status::error(failure.to_string()),
        }
        if changes_breakpoints {
            let mut shown = self.shown.borrow_mut();
            if let Err(failure) = shown.model.source.look_at_breakpoints(&mut self.debugger) {
                shown.model.status = Status::error(failure.to_string());
            }
        }
        Next::Stay
    }

    /// Looks at where one stands now.
    fn look(&mut self) {
        let mut shown = self.shown.borrow_mut();
        let model = &mut shown.model;
        let debugger = &mut self.debugger;
        if let Err(failure) = self.session.command(|| model.look(debugger)) {
            model.status = Status::error(failure.to_string());
        }
        if let Some(here) = &model.here {
            model.strip.follow(debugger, here.process_id, here.thread_id);
        }
        self.is_strip_open = true;
    }

    fn variable(&mut self, about: About) -> Next {
        let mut shown = self.shown.borrow_mut();
        let Some(name) = shown.model.variables.current().map(|row| row.name.to_string()) else {
            shown.model.status = Status::error("no variable is selected");
            return Next::Stay;
        };
        drop(shown);
        let (command, line) = match about {
            About::LastWrite => (Command::LastWrite(name.clone()), "last-write"),
            About::NextWrite => (Command::NextWrite(name.clone()), "next-write"),
            About::Origin => (Command::Origin(name.clone()), "origin"),
        };
        self.run(command, Some(&format!("{line} {name}")))
    }

    /// Moves within the part of the screen that keys are about.
    fn go(&mut self, towards: Towards) -> Next {
        let mut shown = self.shown.borrow_mut();
        let page = shown.terminal.size().map_or(2, |size| usize::from(size.height) / 2);
        let model = &mut shown.model;
        let by = towards.lines(page);
        match model.focus {
            Focus::Variables => model.variables.go(by),
            Focus::Source => match towards {
                Towards::Left => model.source.left = model.source.left.saturating_sub(8),
                Towards::Right => model.source.left += 8,
                _ => model.source.go(by),
            },
            // The outermost is at the top.
            Focus::Stack => {
                drop(shown);
                let frames = by.saturating_neg().clamp(-(1 << 32), 1 << 32);
                if frames != 0 {
                    return self.run(Command::Frame(frames), None);
                }
            }
            Focus::Strip => {
                let (first, last) = (model.run.first, model.run.last);
                let step = model.strip.step.max(1);
                let by = match towards {
                    Towards::Left => -step,
                    Towards::Right => step,
                    Towards::First => i64::MIN,
                    Towards::Last => i64::MAX,
                    Towards::PageUp => step.saturating_mul(-10),
                    Towards::PageDown => step.saturating_mul(10),
                    Towards::Up | Towards::Down => return Next::Stay,
                };
                let to = model.seq.saturating_add(by).clamp(first, last.max(first));
                drop(shown);
                return self.run(Command::Goto(debugger::command::Target::Seq(to)), None);
            }
        }
        Next::Stay
    }

    fn open(&mut self) {
        let mut shown = self.shown.borrow_mut();
        let model = &mut shown.model;
        match model.focus {
            Focus::Source => model.source.cursor = model.source.current.unwrap_or(1),
            _ => match model.variables.current() {
                Some(row) => model.popup = Some(Popup::new(&*row.name, view::all_of(row))),
                None => model.status = Status::error("no variable is selected"),
            },
        }
    }
}

/// How one came here, in a sentence.
fn said(stop: &Stop) -> Status {
    let why = match (stop.why, stop.breakpoint) {
        ("breakpoint", Some(number)) => format!("breakpoint {number}"),
        ("end", _) => "nothing comes after this".to_owned(),
        ("start", _) => "nothing comes before this".to_owned(),
        _ => String::new(),
    };
    match stop.notes.first() {
        Some(note) if why.is_empty() => Status::error(note),
        Some(note) => Status::error(format!("{why}; {note}")),
        None => Status::said(why),
    }
}
