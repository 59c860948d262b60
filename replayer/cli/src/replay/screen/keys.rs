//! What keys do while no command is being typed and no popup is open.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dashcam_replayer::debugger::Command;
use dashcam_replayer::timeline::{Direction, Step};

/// An action to perform.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Do(Command),
    /// An action on the selected variable.
    Variable(About),
    /// Sets or removes a breakpoint.
    Toggle,
    /// Opens the command line with this text.
    Type(&'static str),
    /// Moves the focus this many parts further.
    Focus(usize),
    Go(Towards),
    /// Opens the selected item.
    Open,
    Zoom(bool),
    Help,
    /// Shows the output of the last command again.
    Output,
    Cancel,
    Suspend,
    Redraw,
    Quit,
}

/// A question about a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    LastWrite,
    NextWrite,
    Origin,
}

/// A direction in which to move within a part of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Towards {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
}

/// The keys and their descriptions, the most important first.
pub(super) const KEYS: &[(&str, &str, &str)] = &[
    ("s", "step", "the next line, whatever function it is in"),
    ("n", "next", "the next line of this call"),
    ("f", "finish", "the end of this call"),
    ("S N F", "back", "the same three backwards; also r and then s, n, f"),
    ("c C", "continue", "to the next breakpoint; back to the previous one (also rc)"),
    ("u d", "frames", "select the frame further out, further in"),
    ("b", "break", "set or remove a breakpoint on the line of the cursor"),
    (":", "command", "type a command (also /); Tab completes, Up and Down: earlier lines"),
    ("?", "help", "this help"),
    ("q", "quit", "leave"),
    ("i I", "stepi", "the next instruction; the previous one (also ri)"),
    ("g", "goto", "type where to go: SEQ, start, end, 1.5s, 50%, call ID, FILE:LINE"),
    ("w W", "writes", "go to the last write of the selected variable; to its next write"),
    ("o", "origin", "where the value of the selected variable came from"),
    ("Tab", "part", "the next part of the screen (Shift-Tab: the previous one)"),
    ("arrows", "move", "select a frame or variable, scroll the source, move in the run"),
    ("Enter", "open", "show all of the selected variable; in the source, back to the current line"),
    ("+ -", "zoom", "show a shorter, a longer part of the run in the strip of calls"),
    ("p", "output", "show the output of the last command again"),
    ("Esc", "close", "close the text that covers the screen"),
    ("^C", "cancel", "end a command that takes long"),
];

/// Reads keys; `r` makes the next one go backwards.
#[derive(Debug, Default)]
pub(super) struct Keys {
    is_back: bool,
}

impl Keys {
    /// Whether `r` was the last key.
    pub(super) fn is_back(&self) -> bool {
        self.is_back
    }

    /// The action of a key; `None` if it has none.
    pub(super) fn action(&mut self, key: KeyEvent) -> Option<Action> {
        use Direction::{Backward, Forward};
        let back = std::mem::take(&mut self.is_back);
        let step = |step, direction| Some(Action::Do(Command::Step(step, direction)));
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Some(Action::Cancel),
                KeyCode::Char('z') => Some(Action::Suspend),
                KeyCode::Char('l') => Some(Action::Redraw),
                _ => None,
            };
        }
        let direction = if back { Backward } else { Forward };
        match key.code {
            KeyCode::Char('r') => {
                self.is_back = !back;
                None
            }
            KeyCode::Char('s') => step(Step::Into, direction),
            KeyCode::Char('n') => step(Step::Over, direction),
            KeyCode::Char('f') => step(Step::Out, direction),
            KeyCode::Char('i') => step(Step::Instruction, direction),
            KeyCode::Char('c') => Some(Action::Do(Command::Continue(direction))),
            _ if back => None,
            KeyCode::Char('S') => step(Step::Into, Backward),
            KeyCode::Char('N') => step(Step::Over, Backward),
            KeyCode::Char('F') => step(Step::Out, Backward),
            KeyCode::Char('I') => step(Step::Instruction, Backward),
            KeyCode::Char('C') => Some(Action::Do(Command::Continue(Backward))),
            KeyCode::Char('u') => Some(Action::Do(Command::Frame(1))),
            KeyCode::Char('d') => Some(Action::Do(Command::Frame(-1))),
            KeyCode::Char('b') => Some(Action::Toggle),
            KeyCode::Char('g') => Some(Action::Type("goto ")),
            KeyCode::Char(':' | '/') => Some(Action::Type("")),
            KeyCode::Char('w') => Some(Action::Variable(About::LastWrite)),
            KeyCode::Char('W') => Some(Action::Variable(About::NextWrite)),
            KeyCode::Char('o') => Some(Action::Variable(About::Origin)),
            KeyCode::Char('+' | '=') => Some(Action::Zoom(true)),
            KeyCode::Char('-' | '_') => Some(Action::Zoom(false)),
            KeyCode::Char('p') => Some(Action::Output),
            KeyCode::Char('?') | KeyCode::F(1) => Some(Action::Help),
            KeyCode::Char('q') => Some(Action::Quit),
            KeyCode::Tab => Some(Action::Focus(1)),
            KeyCode::BackTab => Some(Action::Focus(3)),
            KeyCode::Enter => Some(Action::Open),
            KeyCode::Esc => Some(Action::Cancel),
            code => towards(code).map(Action::Go),
        }
    }
}

/// The direction of a key.
pub(super) fn towards(code: KeyCode) -> Option<Towards> {
    Some(match code {
        KeyCode::Up => Towards::Up,
        KeyCode::Down => Towards::Down,
        KeyCode::PageUp => Towards::PageUp,
        KeyCode::PageDown => Towards::PageDown,
        KeyCode::Home => Towards::First,
        KeyCode::End => Towards::Last,
        KeyCode::Left => Towards::Left,
        KeyCode::Right => Towards::Right,
        _ => return None,
    })
}

impl Towards {
    /// How many lines to move, for pages of this height. First and last are beyond any number of
    /// lines.
    pub(super) fn lines(self, page: usize) -> i64 {
        let page = i64::try_from(page.max(2) - 1).unwrap_or(1);
        match self {
            Towards::Up => -1,
            Towards::Down => 1,
            Towards::PageUp => -page,
            Towards::PageDown => page,
            Towards::First => i64::MIN,
            Towards::Last => i64::MAX,
            Towards::Left | Towards::Right => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(keys: &str) -> Option<Action> {
        let mut reader = Keys::default();
        let mut last = None;
        for c in keys.chars() {
            last = reader.action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
        last
    }

    #[test]
    fn every_step_has_two_keys_for_backwards() {
        for (keys, step) in [
            ("sSrs", Step::Into),
            ("nNrn", Step::Over),
            ("fFrf", Step::Out),
            ("iIri", Step::Instruction),
        ] {
            let on = |direction| Some(Action::Do(Command::Step(step, direction)));
            assert_eq!(after(&keys[..1]), on(Direction::Forward));
            assert_eq!(after(&keys[1..2]), on(Direction::Backward));
            assert_eq!(after(&keys[2..]), on(Direction::Backward));
        }
        assert_eq!(after("rc"), after("C"));
        assert_eq!(after("rr"), None);
        assert_eq!(after("rrs"), after("s"), "r twice cancels r");
        assert_eq!((after("rq"), after("r")), (None, None));
    }

    #[test]
    fn every_key_that_does_something_is_listed() {
        let listed: String = KEYS.iter().map(|(keys, ..)| *keys).collect();
        for c in ' '..='~' {
            let is_other_name = "/=_r".contains(c);
            if after(&c.to_string()).is_some() && !is_other_name {
                assert!(listed.contains(c), "{c} is not listed");
            }
        }
    }
}
