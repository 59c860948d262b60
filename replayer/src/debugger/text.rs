//! Writes replies as plain text, in a stable format for scripts and diffs.

use super::COMMANDS;
use super::reply::{FrameReply, ProcessReply, Reply, Stop, ThreadReply};
use crate::timeline::Here;
use std::fmt::Write as _;
use std::path::Path;

/// A reply as text; each line ends with a line break.
pub fn text(reply: &Reply) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, reply);
    out
}

fn write(out: &mut String, reply: &Reply) -> std::fmt::Result {
    match reply {
        Reply::Stop(stop) => self::stop(out, stop),
        Reply::Stack { frames, selected } => {
            frames.iter().try_for_each(|of| frame(out, of, of.depth == *selected))
        }
        Reply::Variables { variables, .. } if variables.is_empty() => {
            writeln!(out, "no variables are known here")
        }
        Reply::Variables { variables, .. } => variables
            .iter()
            .try_for_each(|variable| writeln!(out, "{} = {}", variable.name, variable.value)),
        Reply::Value { text, .. } => {
            writeln!(out, "{text}")?;
            match is_cut(text) {
                true => writeln!(
                    out,
                    "   (cut while recording: --max-string, --max-items and --max-depth keep more)"
                ),
                false => Ok(()),
            }
        }
        Reply::Origin { links, notes, .. } => super::origin::lines(out, links, notes),
        Reply::Source { first, lines, current, .. } => {
            (*first..).zip(lines).try_for_each(|(number, line)| {
                let mark = if Some(number) == *current { "->" } else { "" };
                let text = format!("{number:>5} {mark:<2} {line}");
                writeln!(out, "{}", text.trim_end())
            })
        }
        Reply::Threads(threads) => {
            let first = threads.first().map(|of| of.process_id);
            let has_several = threads.iter().any(|of| Some(of.process_id) != first);
            threads.iter().try_for_each(|of| thread(out, of, has_several))
        }
        Reply::Processes(all) => all.iter().try_for_each(|of| process(out, of)),
        Reply::Breakpoints(all) if all.is_empty() => writeln!(out, "no breakpoints"),
        Reply::Breakpoints(all) => all.iter().try_for_each(|breakpoint| {
            let condition = breakpoint.condition.as_ref().map(|text| format!(" if {text}"));
            let condition = condition.unwrap_or_default();
            writeln!(out, "{}: {}{condition}", breakpoint.number, breakpoint.place)
        }),
        Reply::Said(what) => writeln!(out, "{what}"),
        Reply::Help => help(out),
        Reply::Quit => Ok(()),
    }
}

/// Whether a value was cut: an ellipsis that is not within a str or bytes literal.
fn is_cut(text: &str) -> bool {
    let (mut quote, mut is_escaped) = (None, false);
    text.chars().any(|c| {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            None => return c == '…',
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
        }
        false
    })
}

/// The description of an event that is shown after its place; `None` for LINE and INSTRUCTION.
pub fn carried(here: &Here) -> Option<String> {
    let name = here.kind.name().unwrap_or("an event of a later Python");
    let value = here.value.as_deref();
    let exception = here.exception.as_deref();
    let callable = here.callable.as_deref().unwrap_or_default();
    Some(match name {
        "LINE" | "INSTRUCTION" => return None,
        "PY_START" => format!("called with ({})", value.unwrap_or("…")),
        "PY_RETURN" => format!("returns {}", value.unwrap_or("…")),
        "PY_YIELD" => format!("yields {}", value.unwrap_or("…")),
        "PY_RESUME" => format!("goes on with {}", value.unwrap_or("…")),
        "PY_UNWIND" => format!("left by {}", exception.unwrap_or("an exception")),
        "RAISE" => format!("raises {}", value.or(exception).unwrap_or("an exception")),
        "RERAISE" => format!("raises {} again", exception.unwrap_or("an exception")),
        "EXCEPTION_HANDLED" => format!("handles {}", exception.unwrap_or("an exception")),
        "PY_THROW" => format!("goes on with {}", exception.unwrap_or("an exception")),
        "CALL" => format!("calls {callable}"),
        "C_RETURN" => format!("{callable} returns"),
        "C_RAISE" => format!("{callable} raises"),
        other => other.to_owned(),
    })
}

/// The place in short form: `file.py:12`.
pub fn place(path: &str, line: Option<i64>) -> String {
    let name = Path::new(path).file_name().map_or(path.into(), |name| name.to_string_lossy());
    line.map_or_else(|| format!("{name}:?"), |line| format!("{name}:{line}"))
}

fn stop(out: &mut String, stop: &Stop) -> std::fmt::Result {
    for note in &stop.notes {
        writeln!(out, "! {note}")?;
    }
    match (stop.why, stop.breakpoint) {
        ("breakpoint", Some(number)) => writeln!(out, "breakpoint {number}")?,
        ("end", _) => writeln!(out, "nothing comes after this")?,
        ("start", _) => writeln!(out, "nothing comes before this")?,
        _ => {}
    }
    let here = &stop.here;
    if let Some(command) = &stop.process {
        writeln!(out, "process {}: {}", here.process_id, one_line(command))?;
    }
    write!(out, "> {} {}", place(&here.path, here.line), here.qualname)?;
    match carried(here) {
        Some(carried) => writeln!(out, " {carried}  [{}]", here.position)?,
        None => writeln!(out, "  [{}]", here.position)?,
    }
    if let Some(source) = &stop.source {
        writeln!(out, "-> {}", source.trim())?;
    }
    if let Some(what) = &stop.what {
        writeln!(out, "   {what}")?;
    }
    for (number, expression, held) in &stop.displays {
        match held {
            Ok(text) => writeln!(out, "{number}: {expression} = {text}")?,
            Err(why) => writeln!(out, "{number}: {expression}: {why}")?,
        }
    }
    Ok(())
}

fn frame(out: &mut String, frame: &FrameReply, is_selected: bool) -> std::fmt::Result {
    let mark = if is_selected { ">" } else { " " };
    writeln!(
        out,
        "{mark} #{:<3} {} {}  [call {}]",
        frame.depth,
        place(&frame.path, frame.line),
        frame.qualname,
        frame.call_id
    )?;
    match &frame.source {
        Some(source) => writeln!(out, "       {}", source.trim()),
        None => Ok(()),
    }
}

fn process(out: &mut String, process: &ProcessReply) -> std::fmt::Result {
    let mark = if process.is_current { ">" } else { " " };
    write!(out, "{mark} {}", process.process_id)?;
    if let Some(pid) = process.pid {
        write!(out, " pid {pid}")?;
    }
    if let Some(parent) = process.parent {
        write!(out, " of process {parent}")?;
    }
    match process.events {
        0 => write!(out, ", {}, no events", process.ended)?,
        1 => write!(out, ", {}, 1 event", process.ended)?,
        events => write!(out, ", {}, {events} events", process.ended)?,
    }
    writeln!(out, ": {}", one_line(&process.command))
}

/// A command line without line breaks, which `python -c` often has.
pub fn one_line(command: &str) -> String {
    command.replace('\n', "\\n").replace('\r', "\\r")
}

/// The name of a signal.
pub fn signal_name(signal: i64) -> String {
    let name = i32::try_from(signal).ok().and_then(signal_hook::low_level::signal_name);
    name.map_or(format!("signal {signal}"), str::to_owned)
}

/// Formats a JSON array of arguments as a shell command.
pub fn shell(command: &str) -> String {
    let Ok(arguments) = serde_json::from_str::<Vec<String>>(command) else {
        return command.to_owned();
    };
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,".contains(c);
    let quote = |argument: &String| {
        if !argument.is_empty() && argument.chars().all(plain) {
            argument.clone()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
}

fn thread(out: &mut String, thread: &ThreadReply, has_several: bool) -> std::fmt::Result {
    let mark = if thread.is_current { ">" } else { " " };
    let name = thread.name.as_deref().unwrap_or("-");
    let name = match has_several {
        true => format!("process {} {name}", thread.process_id),
        false => name.to_owned(),
    };
    match &thread.here {
        Some(here) => writeln!(
            out,
            "{mark} {} {name} {} {}  [{}]",
            thread.thread_id,
            place(&here.path, here.line),
            here.qualname,
            here.position
        ),
        None => writeln!(out, "{mark} {} {name} not begun", thread.thread_id),
    }
}

fn help(out: &mut String) -> std::fmt::Result {
    for (names, arguments, what) in COMMANDS {
        let names = names.join(", ");
        match arguments.len() {
            0..=20 => writeln!(out, "{:<34} {what}", format!("{names} {arguments}").trim_end())?,
            _ => writeln!(out, "{names} {arguments}\n{:<34} {what}", "")?,
        }
    }
    Ok(())
}
