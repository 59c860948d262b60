//! Commands of the debugger, one on a line.

use crate::state::Direction;
use crate::timeline::Step;
use std::fmt;

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Step(Step, Direction),
    Continue(Direction),
    Break {
        place: Place,
        condition: Option<String>,
        /// The breakpoint is deleted when it is reached.
        once: bool,
    },
    Watch(String),
    /// Go on to a line of this call at or after this line; without one, after the current line.
    Until(Option<u32>),
    /// Show an expression at every stop; without an expression, list the displays.
    Display(Option<String>),
    /// Remove a display; without a number, all.
    Undisplay(Option<usize>),
    /// Show the arguments of the selected frame.
    Args,
    Set(Option<Setting>),
    /// List the breakpoints.
    Breakpoints,
    /// Delete a breakpoint; without a number, all.
    Delete(Option<usize>),
    Goto(Target),
    /// Select the frame this many frames further out (if negative, further in).
    Frame(i64),
    Where,
    /// Show the variables of a frame, by depth; without a depth, of the selected one.
    Locals(Option<usize>),
    Print(String),
    LastWrite(String),
    NextWrite(String),
    Origin(String),
    /// Show the source around a line of a file or of the current file; without one, around the
    /// current line.
    List(Option<(Option<String>, u32)>),
    Threads,
    Thread(i64),
    Processes,
    Process(i64),
    Follow(Option<Followed>),
    Info,
    Help,
    Quit,
}

/// Whose lines `step` follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    Thread,
    Task,
}

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Steps and exceptions stop in the user's own code only.
    Mine(bool),
}

/// Where a breakpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Line {
        path: String,
        line: u32,
    },
    Function(String),
    /// Exceptions, of a class and raised in a file if these are given.
    Exception {
        class: Option<String>,
        unhandled: bool,
        file: Option<String>,
    },
}

/// The destination of `goto`.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Seq(i64),
    Start,
    End,
    /// Nanoseconds since the run began.
    Time(i64),
    /// From 0 to 1.
    Fraction(f64),
    Call(i64),
    /// Where the exception was raised that ended the program.
    Crash,
    /// The n-th time a line runs, from 1.
    Line {
        path: String,
        line: u32,
        nth: u64,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Line { path, line } => write!(f, "{path}:{line}"),
            Place::Function(name) => f.write_str(name),
            Place::Exception { class, unhandled, file } => {
                f.write_str(if *unhandled { "unhandled exception" } else { "exception" })?;
                class.as_ref().map_or(Ok(()), |class| write!(f, " {class}"))?;
                file.as_ref().map_or(Ok(()), |file| write!(f, " in {file}"))
            }
        }
    }
}

/// Every command: its names, the short ones last; its arguments; what it does.
pub const COMMANDS: &[(&[&str], &str, &str)] = &[
    (&["step", "s"], "", "the next line, whatever function it is in"),
    (&["next", "n"], "", "the next line of this call"),
    (&["finish", "f"], "", "the end of this call"),
    (&["stepi", "si"], "", "the next instruction"),
    (&["back-step", "rs"], "", "the line before, whatever function it is in"),
    (&["back-next", "rn"], "", "the line of this call before this one"),
    (&["back-finish", "rf"], "", "the line this call was made from"),
    (&["back-stepi", "rsi"], "", "the instruction before"),
    (&["continue", "c"], "", "on to the next breakpoint, or the end"),
    (&["back-continue", "rc"], "", "back to the breakpoint before, or the start"),
    (
        &["break", "b"],
        "FILE:LINE | FUNCTION | exception [TYPE] [in FILE] | unhandled [TYPE] [if EXPR]",
        "stop there; alone: the breakpoints",
    ),
    (&["tbreak"], "as break", "stop there once"),
    (&["until"], "[LINE]", "on to a line of this call beyond this one, or from LINE on"),
    (&["watch"], "PATH", "stop where it is bound or changed"),
    (&["delete"], "[N]", "take away a breakpoint, or all"),
    (
        &["goto", "g"],
        "SEQ | start | end | crash | TIME | PERCENT% | call ID | FILE:LINE [N]",
        "go there; crash: what ended the program; TIME as 1.5s, 20ms, 7us; N: the n-th time the line runs",
    ),
    (&["where", "bt", "w"], "", "the stack"),
    (&["up", "u"], "[N]", "select the frame further out"),
    (&["down", "d"], "[N]", "select the frame further in"),
    (&["locals"], "[DEPTH]", "the variables of the selected frame, or of another"),
    (&["args", "a"], "", "the arguments of the selected frame"),
    (&["display"], "[EXPR]", "show it at every stop; alone: what is shown"),
    (&["undisplay"], "[N]", "stop showing it, or all"),
    (&["print", "p", "pp"], "EXPR", "what it held here, such as order.items[3].price"),
    (&["last-write", "lw"], "PATH", "go to where it was bound or changed last"),
    (&["next-write", "nw"], "PATH", "go to where it is bound or changed next"),
    (&["origin"], "PATH", "where its value came from, step by step"),
    (&["list", "l"], "[LINE | FILE:LINE]", "the source around here, or around a line"),
    (&["set"], "mine on | off", "steps and exceptions stop in your own code only, or in all"),
    (&["threads"], "", "the threads, and where each stands"),
    (&["thread"], "ID", "go on with another thread"),
    (&["processes"], "", "the processes of the run, and how each ended"),
    (&["process"], "N", "go on with another process, where it is at the same time"),
    (&["follow"], "thread | task", "whose lines step follows"),
    (&["info", "i"], "", "the event at this position"),
    (&["help", "h"], "", "this list"),
    (&["quit", "q"], "", "leave"),
];

/// Parses a line. `None` if the line is empty or a comment.
///
/// # Errors
/// A line of text that says what is wrong.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let Some((names, ..)) = COMMANDS.iter().find(|(names, ..)| names.contains(&word)) else {
        let names = COMMANDS.iter().flat_map(|(names, ..)| *names).copied();
        let like = crate::suggest::closest(word, names);
        let hint = like.map_or(String::new(), |like| format!("; did you mean {like}?"));
        return Err(format!("unknown command: {word}{hint} (help lists them)"));
    };
    let number = |what: &str| match rest {
        "" => Ok(None),
        rest => match rest.parse::<u32>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{word}: no {what}: {rest}")),
        },
    };
    let needed = |what: &str| match rest {
        "" => Err(format!("{word} what? It needs {what}")),
        rest => Ok(rest.to_owned()),
    };
    use Direction::{Backward, Forward};
    let command = match names[0] {
        "step" => Command::Step(Step::Into, Forward),
        "next" => Command::Step(Step::Over, Forward),
        "finish" => Command::Step(Step::Out, Forward),
        "stepi" => Command::Step(Step::Instruction, Forward),
        "back-step" => Command::Step(Step::Into, Backward),
        "back-next" => Command::Step(Step::Over, Backward),
        "back-finish" => Command::Step(Step::Out, Backward),
        "back-stepi" => Command::Step(Step::Instruction, Backward),
        "continue" => Command::Continue(Forward),
        "back-continue" => Command::Continue(Backward),
        "break" if rest.is_empty() => Command::Breakpoints,
        "break" => breakpoint(rest, false)?,
        "tbreak" => breakpoint(&needed("a place, as break")?, true)?,
        "until" => Command::Until(number("line")?),
        "args" => Command::Args,
        "display" => Command::Display((!rest.is_empty()).then(|| rest.to_owned())),
        "undisplay" => Command::Undisplay(number("number of an expression")?.map(|n| n as usize)),
        "set" => Command::Set(match rest.split_whitespace().collect::<Vec<_>>()[..] {
            [] => None,
            ["mine", "on"] => Some(Setting::Mine(true)),
            ["mine", "off"] => Some(Setting::Mine(false)),
            _ => return Err(format!("set mine on or set mine off, not {rest}")),
        }),
        "watch" => Command::Watch(needed("a variable or attribute, such as self.total")?),
        "delete" => Command::Delete(number("number of a breakpoint")?.map(|n| n as usize)),
        "goto" => Command::Goto(target(&needed("a position: a seq, start, end, 1.5s, 50%, …")?)?),
        "where" => Command::Where,
        "up" => Command::Frame(i64::from(number("number of frames")?.unwrap_or(1))),
        "down" => Command::Frame(-i64::from(number("number of frames")?.unwrap_or(1))),
        "locals" => Command::Locals(number("depth of a frame")?.map(|n| n as usize)),
        "print" => Command::Print(needed("an expression, such as order.items[3].price")?),
        "last-write" => Command::LastWrite(needed("a variable or attribute")?),
        "next-write" => Command::NextWrite(needed("a variable or attribute")?),
        "origin" => Command::Origin(needed("a variable or attribute")?),
        "list" => Command::List(match path_and_line(rest) {
            Some((path, line)) => Some((Some(path), line)),
            None => number("line")?.map(|line| (None, line)),
        }),
        "threads" => Command::Threads,
        "thread" => match number("thread_id")? {
            Some(thread) => Command::Thread(thread.into()),
            None => Command::Threads,
        },
        "processes" => Command::Processes,
        "process" => match number("process_id")? {
            Some(process) => Command::Process(process.into()),
            None => Command::Processes,
        },
        "follow" => Command::Follow(match rest {
            "" => None,
            "thread" => Some(Followed::Thread),
            "task" => Some(Followed::Task),
            other => return Err(format!("follow thread or task, not {other}")),
        }),
        "info" => Command::Info,
        "help" => Command::Help,
        _ => Command::Quit,
    };
    Ok(Some(command))
}

fn breakpoint(rest: &str, once: bool) -> Result<Command, String> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (place, condition) = match rest.split_once(" if ") {
        Some((place, condition)) => (place.trim(), Some(condition.trim().to_owned())),
        None => (rest, None),
    };
    if condition.as_deref() == Some("") || place.ends_with(" if") {
        return Err("break … if what? It needs an expression".to_owned());
    }
    let place = match words(place).as_slice() {
        [word, rest @ ..] if word == "exception" || word == "unhandled" => {
            let unhandled = word == "unhandled";
            let (class, file) = match rest {
                [classes @ .., at, file] if at == "in" => (classes, Some(file.clone())),
                classes => (classes, None),
            };
            let class = match class {
                [] => None,
                [class] => Some(class.clone()),
                _ => return Err(format!("break {word}: one class at a time")),
            };
            Place::Exception { class, unhandled, file }
        }
        // A path may have spaces in it.
        words => match (path_and_line(place), words) {
            (Some((path, line)), _) => Place::Line { path, line },
            (None, [function]) => Place::Function(function.clone()),
            _ => return Err(format!("break: no place: {place}")),
        },
    };
    Ok(Command::Break { place, condition, once })
}

/// Parses `FILE:LINE`.
fn path_and_line(text: &str) -> Option<(String, u32)> {
    let (path, line) = text.rsplit_once(':')?;
    Some((path.to_owned(), line.parse().ok()?)).filter(|(path, _)| !path.is_empty())
}

fn target(rest: &str) -> Result<Target, String> {
    let bad = || format!("goto: no position: {rest}");
    let words: Vec<&str> = rest.split_whitespace().collect();
    Ok(match *words.as_slice() {
        ["start"] => Target::Start,
        ["end"] => Target::End,
        ["crash"] => Target::Crash,
        ["call", id] => Target::Call(id.parse().map_err(|_| bad())?),
        [place] => {
            if let Ok(seq) = place.parse() {
                Target::Seq(seq)
            } else if let Some(percent) = place.strip_suffix('%') {
                let percent: f64 = percent.parse().map_err(|_| bad())?;
                Target::Fraction(percent / 100.0)
            } else if let Some(time) = time(place) {
                Target::Time(time)
            } else {
                let (path, line) = path_and_line(place).ok_or_else(bad)?;
                Target::Line { path, line, nth: 1 }
            }
        }
        // A path may have spaces in it.
        _ => match path_and_line(rest) {
            Some((path, line)) => Target::Line { path, line, nth: 1 },
            None => {
                let (place, nth) = rest.rsplit_once(char::is_whitespace).ok_or_else(bad)?;
                let (path, line) = path_and_line(place.trim_end()).ok_or_else(bad)?;
                let nth = nth.parse().ok().filter(|nth| *nth > 0).ok_or_else(bad)?;
                Target::Line { path, line, nth }
            }
        },
    })
}

/// Parses `1.5s`, `20ms`, `7us` or `300ns`, and returns nanoseconds.
fn time(text: &str) -> Option<i64> {
    let units = [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * unit) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        let command_of = |line: &str| parse(line).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(command_of("  "), None);
        assert_eq!(command_of("# a note"), None);
        assert_eq!(command_of("rn"), Some(Command::Step(Step::Over, Direction::Backward)));
        assert_eq!(
            command_of("b a/b.py:7 if x > 3 and y"),
            Some(Command::Break {
                place: Place::Line { path: "a/b.py".into(), line: 7 },
                condition: Some("x > 3 and y".into()),
                once: false,
            })
        );
        let class = Some("KeyError".into());
        let unhandled = Place::Exception { class, unhandled: true, file: None };
        assert_eq!(
            command_of("break unhandled KeyError"),
            Some(Command::Break { place: unhandled, condition: None, once: false })
        );
        let of_file = Place::Exception {
            class: Some("KeyError".into()),
            unhandled: false,
            file: Some("app.py".into()),
        };
        assert_eq!(
            command_of("tbreak exception KeyError in app.py"),
            Some(Command::Break { place: of_file, condition: None, once: true })
        );
        assert_eq!(command_of("list x.py:3"), Some(Command::List(Some((Some("x.py".into()), 3)))));
        assert_eq!(command_of("set mine off"), Some(Command::Set(Some(Setting::Mine(false)))));
        assert_eq!(command_of("goto 1.5ms"), Some(Command::Goto(Target::Time(1_500_000))));
        assert_eq!(command_of("g 25%"), Some(Command::Goto(Target::Fraction(0.25))));
        let third = Target::Line { path: "x.py".into(), line: 3, nth: 3 };
        assert_eq!(command_of("g x.py:3 3"), Some(Command::Goto(third)));
        let spaced = Target::Line { path: "a b/x y.py".into(), line: 3, nth: 2 };
        assert_eq!(command_of("g a b/x y.py:3  2"), Some(Command::Goto(spaced)));
        let frozen = Place::Line { path: "<frozen zipimport x>".into(), line: 9 };
        assert_eq!(
            command_of("b <frozen zipimport x>:9"),
            Some(Command::Break { place: frozen, condition: None, once: false })
        );
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (line, words) in [
            ("stpe", "did you mean step"),
            ("goto nowhere", "no position: nowhere"),
            ("goto x.py:3 0", "no position"),
            ("break", ""),
            ("print", "print what"),
            ("delete x", "no number of a breakpoint: x"),
            ("break f if", "needs an expression"),
            ("follow me", "follow thread or task"),
        ] {
            match parse(line) {
                Err(error) => {
                    assert!(error.contains(words) && !words.is_empty(), "{line}: {error}")
                }
                Ok(command) => assert!(words.is_empty(), "{line}: {command:?}"),
            }
        }
    }
}
