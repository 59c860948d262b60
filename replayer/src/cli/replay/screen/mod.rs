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
use crate::debugger::{self, Command, Debugger, Reply, Stop};
use crossterm::event::{Event, KeyCode, KeyEvent};
use debugger::command::Target;
use input::{Input, Typed};
use keys::{About, Action, Keys, Towards};
use model::{Focus, Model, Popup, Run, Status};
use ratatui::buffer::Buffer;
use std::cell::{Cell, RefCell};
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
/// Cells the source moves sideways at a time, and in all.
const SIDEWAYS: usize = 8;
const SIDEWAYS_MAX: usize = 1 << 16;
/// More than any stack has.
const FRAMES_MAX: i64 = 1 << 32;

/// What is drawn onto, also while a command runs.
struct Display {
    terminal: terminal::Screen,
    theme: view::Theme,
    /// As it was drawn last.
    drawn: Buffer,
}

impl Display {
    fn draw(&mut self, model: &mut Model) -> std::io::Result<()> {
        let theme = &self.theme;
        let done = self.terminal.draw(|frame| view::draw(frame, model, theme))?;
        self.drawn = done.buffer.clone();
        Ok(())
    }

    /// Says that a command takes its time, over what was drawn before.
    fn working(&mut self, how_far: &str) {
        let (theme, drawn) = (&self.theme, &self.drawn);
        // If the terminal is gone, the loop finds out.
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
    /// What a command said last: its line and its words.
    output: Option<(String, String)>,
    /// Samples of the run are missing.
    is_strip_open: bool,
    /// How long it took to look at variables.
    took: Duration,
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
    let (words, history) = (Words::of(&debugger), History::open("history"));
    let model = Model::new(Run::of(&debugger));
    let (tell, told) = channel();
    let (taken, terminal) = Taken::take()?;
    let theme = view::Theme::of_environment();
    let display = Rc::new(RefCell::new(Display { terminal, theme, drawn: Buffer::default() }));
    let store = debugger.timeline().store().clone();
    store.set_progress(Some(progress(session, &display)));
    terminal::listen(tell, session.interrupts().clone())?;
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
    screen.look();
    let left = screen.live(&told);
    store.set_progress(None);
    left
}

/// Draws how far a command is.
fn progress(session: &Session, display: &Rc<RefCell<Display>>) -> Box<dyn Fn(usize, usize)> {
    let (interrupts, display) = (session.interrupts().clone(), display.clone());
    let last = Cell::new((Instant::now(), 0));
    Box::new(move |done, of| {
        interrupts.remind();
        let (mut drawn, before) = last.get();
        // It begins anew with every command.
        if done <= before {
            drawn = Instant::now();
        }
        if drawn.elapsed() >= PATIENCE {
            drawn = Instant::now();
            let percent = done.saturating_mul(100).checked_div(of).unwrap_or(0).min(100);
            display.borrow_mut().working(&format!("{percent}% of the recording looked through"));
        }
        last.set((drawn, done));
    })
}

impl Screen<'_> {
    fn live(&mut self, told: &Receiver<Told>) -> anyhow::Result<Option<i32>> {
        loop {
            self.display.borrow_mut().draw(&mut self.model)?;
            let is_behind = self.model.variables.is_stale || self.is_strip_open;
            let wait = if is_behind { Duration::ZERO } else { Duration::from_secs(3600) };
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

    /// Does what waited for nothing to be typed.
    fn catch_up(&mut self) {
        if self.model.variables.is_stale {
            self.look_at_variables();
            return;
        }
        // So short that there is nothing to interrupt.
        let timeline = self.debugger.timeline();
        self.is_strip_open = self.model.strip.fill(timeline, SLICE).unwrap_or(false);
    }

    fn look_at_variables(&mut self) {
        let begun = Instant::now();
        let (debugger, model) = (&self.debugger, &mut self.model);
        let variables = &mut model.variables;
        match model.frames.get(model.selected) {
            Some(frame) => {
                let (call, depth) = (frame.call_id, frame.depth);
                self.session.command(|| variables.look(debugger, call, depth));
            }
            None => variables.clear("no frame is known here"),
        }
        self.took = begun.elapsed();
    }

    fn told(&mut self, told: Told) -> anyhow::Result<Next> {
        match told {
            Told::Event(Event::Key(key)) => return self.key(key),
            Told::Event(Event::Paste(text)) => {
                self.model.popup = None;
                self.model.input.get_or_insert_default().insert(&text);
            }
            Told::Event(Event::Resize(..)) => self.is_strip_open = true,
            Told::Event(_) => {}
            Told::End(signal) => return Ok(Next::End(signal)),
            Told::Gone => return Ok(Next::Leave),
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
            // Whoever goes on has read it.
            self.model.popup = None;
            if let KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') = key.code {
                return Ok(Next::Stay);
            }
        }
        let was_back = self.keys.is_back();
        let action = self.keys.action(key);
        if self.keys.is_back() {
            self.model.status = Status::said("back: s n f i c");
        } else if was_back {
            self.model.status = Status::default();
        }
        match action {
            Some(action) => self.act(action),
            None => Ok(Next::Stay),
        }
    }

    /// How many lines a page has, about.
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
                None => model.status = Status::said("no command has said anything yet"),
            },
            Action::Cancel => model.status = Status::said("q leaves"),
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
                return line.map_or(Next::Stay, |line| self.say(line.text().trim()));
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

    /// Does what a line says.
    fn say(&mut self, line: &str) -> Next {
        self.history.add(line);
        match debugger::command::parse(line) {
            Ok(Some(command)) => return self.run(command, Some(line)),
            Ok(None) => {}
            Err(message) => self.model.status = Status::error(message),
        }
        Next::Stay
    }

    /// Does a command, by a line or a key.
    fn run(&mut self, command: Command, line: Option<&str>) -> Next {
        // What changes from here on is to be marked, however fast one types.
        if self.model.variables.is_stale && self.took < TYPING {
            self.look_at_variables();
        }
        let (debugger, display) = (&mut self.debugger, &self.display);
        let work = || {
            // Once it says so, Ctrl-C does end it.
            if may_take_long(&command) {
                display.borrow_mut().working("working");
            }
            debugger.run(command)
        };
        let reply = match self.session.command(work) {
            Ok(reply) => reply,
            Err(failure) => {
                // It may have gone where nothing can be read.
                if self.debugger.position().seq() != self.model.seq {
                    self.look();
                }
                let message = failure.to_string();
                self.output = Some((line.unwrap_or("error").to_owned(), message.clone()));
                self.model.status = Status::error(message);
                return Next::Stay;
            }
        };
        self.model.status = match &reply {
            Reply::Quit => return Next::Leave,
            Reply::Stop(stop) => said(stop, &self.model.run),
            // A frame was selected: that is to be seen.
            Reply::Stack { .. } if line.is_none() => Status::default(),
            reply => self.tell(line.unwrap_or_default(), &debugger::text::text(reply)),
        };
        match reply {
            Reply::Stop(_) | Reply::Stack { .. } => self.look(),
            // Perhaps about a breakpoint.
            Reply::Said(_) => {
                if let Err(failure) = self.model.source.look_at_breakpoints(&mut self.debugger) {
                    self.model.status = Status::error(failure.to_string());
                }
            }
            _ => {}
        }
        Next::Stay
    }

    /// Shows what a command says: a short line below, the rest over everything.
    fn tell(&mut self, line: &str, text: &str) -> Status {
        let text = text.trim_end();
        self.output = Some((line.to_owned(), text.to_owned()));
        let wide = usize::from(self.display.borrow().drawn.area.width);
        if !text.contains('\n') && text::width(text, wide) < wide {
            return Status::said(text);
        }
        self.model.popup = Some(Popup::new(line, text));
        Status::default()
    }

    /// Looks at where one stands now.
    fn look(&mut self) {
        let (model, debugger) = (&mut self.model, &mut self.debugger);
        if let Err(failure) = self.session.command(|| model.look(debugger)) {
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

    /// Moves within the part of the screen that keys are about.
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
            // The outermost is at the top.
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

/// Whether somebody may wonder what is going on.
fn may_take_long(command: &Command) -> bool {
    !matches!(
        command,
        Command::Step(..) | Command::Frame(_) | Command::Goto(Target::Seq(_)) | Command::Quit
    )
}

/// How one came here, in a sentence.
fn said(stop: &Stop, run: &Run) -> Status {
    let is_last = stop.here.position.seq() == run.last;
    let ended = run.ended.as_ref().filter(|_| is_last);
    let ended = ended.map_or(String::new(), |how| format!("; the run was {how}"));
    let why = match (stop.why, stop.breakpoint) {
        ("breakpoint", Some(number)) => format!("breakpoint {number}"),
        ("end", _) => format!("nothing comes after this{ended}"),
        ("start", _) => "nothing comes before this".to_owned(),
        _ => String::new(),
    };
    match stop.notes.first() {
        Some(note) if why.is_empty() => Status::error(note),
        Some(note) => Status::error(format!("{why}; {note}")),
        None => Status::said(why),
    }
}
