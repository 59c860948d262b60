//! Differences as text for people.

use crate::output::{self, printable, stdout};
use dashcam_replayer::debugger::text::one_line;
use dashcam_replayer::diff::{Change, Difference, Frame, Next, Only, Place, Report, Run, ValueOf};
use std::io::{self, IsTerminal as _, Write};

/// Lines of source shown before and after the line of a difference.
const AROUND: i64 = 2;
/// Characters shown of a value, and of the equal part before the first difference.
const VALUE_MAX: usize = 160;
const SAME_MAX: usize = 40;
/// Characters shown of a command line.
const COMMAND_MAX: usize = 100;
/// Frames shown of a stack, from the innermost.
const FRAMES_MAX: usize = 12;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

pub(super) struct Show<'a> {
    runs: [Run<'a>; 2],
    names: [String; 2],
    is_colored: bool,
}

/// Says that there is no difference, and how far that is known.
fn equal(report: &Report) -> String {
    match &report.unrecorded {
        _ if report.without_values => {
            "equal as far as recorded: values were not compared".to_owned()
        }
        None => "no difference".to_owned(),
        Some(unknown) => {
            let of = if unknown.count == 1 { "1 value was" } else { "values were" };
            let count =
                if unknown.count == 1 { String::new() } else { format!("{} ", unknown.count) };
            let at = dashcam_replayer::debugger::text::place(&unknown.path, unknown.line);
            let seq = unknown.seq;
            printable(&format!(
                "equal as far as recorded: {count}{of} not recorded, first at {at} (seq {seq})"
            ))
        }
    }
}

impl<'a> Show<'a> {
    pub(super) fn new(runs: [Run<'a>; 2]) -> Show<'a> {
        let paths = runs.map(|run| run.store.path());
        let name = |run: Run<'_>| match paths[0] == paths[1] {
            true => format!("run {}", run.run_id),
            false => {
                format!("{}:{}", printable(&run.store.path().display().to_string()), run.run_id)
            }
        };
        let is_colored = io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Show { runs, names: runs.map(name), is_colored }
    }

    fn paint(&self, color: &str, text: &str) -> String {
        match self.is_colored {
            true => format!("{color}{text}{PLAIN}"),
            false => text.to_owned(),
        }
    }

    /// The name of a run, in its color and padded to the width of the other run's name.
    fn name(&self, side: usize) -> String {
        let width = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let name = &self.names[side];
        self.paint(if side == 0 { RED } else { GREEN }, &format!("{name:<width$}"))
    }

    pub(super) fn report(&self, report: &Report) -> io::Result<()> {
        let mut out = stdout();
        let [one, two] = &self.names;
        for path in &report.changed {
            writeln!(out, "the source is not the same: {}", printable(path))?;
        }
        let count = report.differences.len();
        let mine = report.differences.iter().filter(|found| found.is_mine).count();
        match (count, mine) {
            (0, _) => writeln!(out, "{one} and {two}: {}", equal(report))?,
            (1, 1) => writeln!(out, "{one} and {two}: 1 difference")?,
            (_, 0) => writeln!(
                out,
                "{one} and {two}: in your own code {}; {count} elsewhere, the earliest first",
                equal(report)
            )?,
            _ => {
                let first = if mine < count { "those in your own code" } else { "the earliest" };
                writeln!(out, "{one} and {two}: {count} differences, {first} first")?;
            }
        }
        for (at, difference) in report.differences.iter().enumerate() {
            writeln!(out)?;
            self.difference(&mut out, at, difference)?;
        }
        if report.has_more {
            writeln!(out, "\nthere are more: --limit {}", count.saturating_mul(10).max(10))?;
        }
        out.flush()
    }

    fn difference(
        &self,
        out: &mut impl Write,
        at: usize,
        difference: &Difference,
    ) -> io::Result<()> {
        let place = |side: usize| difference.places[side].as_ref();
        let frame = |side: usize| place(side).and_then(|place| place.stack.first());
        let function = frame(0).or(frame(1)).map_or("the thread", |frame| &frame.qualname);
        let head = head(difference, function, &self.names);
        let mut where_ = frame(0).or(frame(1)).map(site).unwrap_or_default();
        if difference.thread != "MainThread" {
            where_ = format!("{where_}  {}", difference.thread);
        }
        match difference.processes {
            // Most differences are in the first process.
            processes if self.are_first(processes) => {}
            [Some(one), Some(two)] if one == two => where_ = format!("{where_}  process {one}"),
            [Some(one), Some(two)] => where_ = format!("{where_}  processes {one} and {two}"),
            [Some(only), None] | [None, Some(only)] => where_ = format!("{where_}  process {only}"),
            [None, None] => {}
        }
        let head = self.paint(BOLD, &format!("{}. {}", at + 1, printable(&head)));
        writeln!(out, "{head}  {}", printable(where_.trim()))?;
        match &difference.change {
            Change::Value { of, name, values } => {
                let values = cut(values);
                for side in [0, 1] {
                    let value = printable(values[side].as_deref().unwrap_or("(not bound)"));
                    let value = match name {
                        Some(name) if *of == ValueOf::Item => {
                            format!("[{}] = {value}", printable(name))
                        }
                        Some(name) => format!("{} = {value}", printable(name)),
                        None => value,
                    };
                    self.side(out, side, &value, place(side))?;
                }
            }
            Change::Path { line, next, only } => {
                // The difference is within one line.
                let is_one_line = line.is_some() && next[0] == next[1];
                for side in [0, 1] {
                    let action = match (is_one_line, side) {
                        (true, 0) => "goes one way".to_owned(),
                        (true, _) => "goes the other way".to_owned(),
                        _ => action(&next[side]),
                    };
                    self.side(out, side, &printable(&action), place(side))?;
                }
                for side in [0, 1] {
                    self.only(out, side, &only[side])?;
                }
            }
            Change::Thread | Change::Process { .. } => {
                for side in [0, 1] {
                    if place(side).is_some() {
                        self.side(out, side, "has it", place(side))?;
                    }
                }
            }
        }
        self.source(out, difference)?;
        self.stacks(out, &difference.places)?;
        for variable in &difference.variables {
            let frame = place(0).and_then(|place| place.stack.get(variable.depth));
            let of = frame.map_or("?", |frame| &frame.qualname);
            let values = cut(&variable.values);
            let value = |side: usize| values[side].as_deref().unwrap_or("(not bound)").to_owned();
            let (name, of) = (&variable.name, of);
            let line = format!("{name} of {of}: {} | {}", value(0), value(1));
            writeln!(out, "   also   {}", printable(&line))?;
        }
        match difference.more {
            0 => {}
            1 => writeln!(out, "   and once more like it")?,
            more => writeln!(out, "   and {more} more like it")?,
        }
        if at == 0 {
            for side in [0, 1] {
                if let Some(place) = place(side) {
                    let (run, seq) = (self.runs[side].run_id, place.seq);
                    let path = printable(&self.runs[side].store.path().display().to_string());
                    let line = format!("   look   dashcam replay {path} --run {run} --at {seq}");
                    writeln!(out, "{}", self.paint(DIM, &line))?;
                }
            }
        }
        Ok(())
    }

    /// Whether these are the first processes of the runs.
    fn are_first(&self, processes: [Option<i64>; 2]) -> bool {
        let is_first = |side: usize| {
            let directory = self.runs[side].store.directory();
            let first = directory.processes_of(self.runs[side].run_id).first().copied();
            first.is_some_and(|first| Some(first.process_id) == processes[side])
        };
        is_first(0) && is_first(1)
    }

    fn side(
        &self,
        out: &mut impl Write,
        side: usize,
        text: &str,
        place: Option<&Place>,
    ) -> io::Result<()> {
        let seq = place.map_or(String::new(), |place| format!("  (seq {})", place.seq));
        writeln!(out, "   {}  {text}{}", self.name(side), self.paint(DIM, &seq))
    }

    fn only(&self, out: &mut impl Write, side: usize, only: &Only) -> io::Result<()> {
        if *only == Only::default() {
            return Ok(());
        }
        let mut words = Vec::new();
        match only.lines {
            Some((low, high)) if low == high => words.push(format!("line {low}")),
            Some((low, high)) => words.push(format!("lines {low} to {high}")),
            None => {}
        }
        for calls in &only.calls {
            let arguments = calls.arguments.as_deref().unwrap_or("…");
            let arguments: String = arguments.chars().take(VALUE_MAX).collect();
            let mut text = format!("{}({arguments})", calls.qualname);
            if let Some(line) = calls.line {
                text.push_str(&format!(" at line {line}"));
            }
            if calls.count > 1 {
                text.push_str(&format!(" and {} more calls of it", calls.count - 1));
            }
            words.push(text);
        }
        if only.others > 0 {
            words.push(format!("{} other calls", only.others));
        }
        for (at, words) in words.iter().enumerate() {
            let head = if at == 0 { "only" } else { "    " };
            writeln!(out, "   {}  {head} {}", self.name(side), printable(words))?;
        }
        Ok(())
    }

    /// Shows the lines around the line where the difference is.
    fn source(&self, out: &mut impl Write, difference: &Difference) -> io::Result<()> {
        let frame = |side: usize| difference.places[side].as_ref().and_then(|p| p.stack.first());
        let lines = [0, 1].map(|side: usize| frame(side).and_then(|frame| frame.line));
        let Some(frame) = frame(0).or(frame(1)) else { return Ok(()) };
        let Some(line) = frame.line else { return Ok(()) };
        let sql = "SELECT source FROM code_objects JOIN files USING (file_id)
                   WHERE run_id = ?1 AND code_objects.path = ?2 AND source IS NOT NULL LIMIT 1";
        let run = self.runs[usize::from(difference.places[0].is_none())];
        let mut statement = match run.store.connection().prepare_cached(sql) {
            Ok(statement) => statement,
            // The comparison is valid even if the source texts cannot be read.
            Err(_) => return Ok(()),
        };
        let source = statement.query_row((run.run_id, &frame.path), |row| row.get::<_, String>(0));
        let Ok(source) = source else { return Ok(()) };
        let first = (line - AROUND).max(1);
        for (number, text) in (1..).zip(source.lines()).skip(first as usize - 1) {
            if number > line + AROUND {
                break;
            }
            let is_it = number == line || lines.contains(&Some(number));
            let text =
                format!("   {} {number:>5}  {}", if is_it { '>' } else { ' ' }, printable(text));
            let text = text.trim_end();
            match is_it {
                true => writeln!(out, "{text}")?,
                false => writeln!(out, "{}", self.paint(DIM, text))?,
            }
        }
        Ok(())
    }

    fn stacks(&self, out: &mut impl Write, places: &[Option<Place>; 2]) -> io::Result<()> {
        let text = |side: usize| {
            let stack = places[side].as_ref().map_or(&[][..], |place| &place.stack);
            // Frames that find and load modules are not interesting.
            let shown = stack.iter().filter(|frame| !frame.path.starts_with("<frozen importlib"));
            let mut frames: Vec<String> =
                shown.map(|frame| format!("{} {}", frame.qualname, site(frame))).collect();
            let more = frames.len().saturating_sub(FRAMES_MAX);
            if more > 0 {
                frames.truncate(FRAMES_MAX);
                frames.push(format!("… {more} more"));
            }
            frames.join(" < ")
        };
        let texts = [text(0), text(1)];
        if texts[0] == texts[1] {
            return match texts[0].is_empty() {
                true => Ok(()),
                false => writeln!(out, "   stack  {}", printable(&texts[0])),
            };
        }
        for side in [0, 1] {
            if !texts[side].is_empty() {
                writeln!(out, "   {}  stack {}", self.name(side), printable(&texts[side]))?;
            }
        }
        Ok(())
    }
}

/// For example `app.py:12`.
fn site(frame: &Frame) -> String {
    let file = frame.path.rsplit('/').next().unwrap_or(&frame.path);
    match frame.line {
        Some(line) => format!("{file}:{line}"),
        None => file.to_owned(),
    }
}

/// A short description of the difference.
fn head(difference: &Difference, function: &str, names: &[String; 2]) -> String {
    match &difference.change {
        Change::Value { of, name, .. } => {
            let name = name.as_deref().unwrap_or("?");
            match of {
                ValueOf::Argument => format!("argument {name} of {function} differs"),
                ValueOf::Result => format!("{function} returns something else"),
                ValueOf::Yielded => format!("{function} yields something else"),
                ValueOf::Sent => format!("{function} is sent something else"),
                ValueOf::Exception => format!("{function} raises something else"),
                ValueOf::Variable => format!("variable {name} of {function} differs"),
                ValueOf::Attribute => format!("attribute {name} set by {function} differs"),
                ValueOf::Item => format!("item {name} set by {function} differs"),
                ValueOf::Key => format!("{function} changes an object elsewhere"),
            }
        }
        Change::Path { line, next, only } => {
            let is_there = |side: usize| only[side] != Only::default();
            match (line, is_there(0), is_there(1)) {
                (None, true, false) => format!("{} does more in {function}", names[0]),
                (None, false, true) => format!("{} does more in {function}", names[1]),
                (None, ..) => format!("{function} goes another way"),
                (Some(line), ..) if next[0] == next[1] => {
                    format!("a condition on line {line} of {function} turns out otherwise")
                }
                (Some(line), ..) => format!("{function} goes another way after line {line}"),
            }
        }
        Change::Thread => {
            let side = usize::from(difference.places[0].is_none());
            format!("thread {} is in {} only", difference.thread, names[side])
        }
        Change::Process { command } => {
            let side = usize::from(difference.processes[0].is_none());
            let command = output::cut(one_line(command), COMMAND_MAX + 1);
            format!("a process is in {} only: {command}", names[side])
        }
    }
}

/// A short description of what a run did next.
fn action(next: &Next) -> String {
    let on = |line: &Option<i64>| line.map_or(String::new(), |line| format!(" on line {line}"));
    match next {
        Next::Line(line) => format!("goes on to line {line}"),
        Next::Call { qualname, resumes: false } => format!("calls {qualname}"),
        Next::Call { qualname, .. } => format!("resumes {qualname}"),
        Next::Callable { name, line } => format!("calls {name}{}", on(line)),
        Next::Return { line } => format!("returns{}", on(line)),
        Next::Yield { line } => format!("yields{}", on(line)),
        Next::Raise { exception, line } => format!("raises {exception}{}", on(line)),
        Next::Handle { exception, line } => format!("handles {exception}{}", on(line)),
        Next::Unwind { exception } => format!("exits with {exception}"),
        Next::Other { line } => format!("goes on{}", on(line)),
        Next::End => "does nothing more".to_owned(),
    }
}

/// Two values, shortened so that the difference is visible.
fn cut(values: &[Option<String>; 2]) -> [Option<String>; 2] {
    let [Some(a), Some(b)] = values else { return values.clone() };
    let is_long = a.chars().count() > VALUE_MAX || b.chars().count() > VALUE_MAX;
    if !is_long {
        return values.clone();
    }
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let from = if same > 2 * SAME_MAX { same - SAME_MAX } else { 0 };
    let cut = |text: &str| {
        let count = text.chars().count();
        let kept: String = text.chars().skip(from).take(VALUE_MAX).collect();
        let (before, after) = (from > 0, count > from + VALUE_MAX);
        format!("{}{kept}{}", if before { "…" } else { "" }, if after { "…" } else { "" })
    };
    [Some(cut(a)), Some(cut(b))]
}
