//! `dashcam dump`: prints one event per line.

use super::output::{json, printable, stdout};
use super::session::Session;
use dashcam_replayer::store::Directory;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::io::Write;

#[derive(clap::Args)]
#[command(after_help = "\
Example: the differences between two runs
  diff <(dashcam dump --run 1) <(dashcam dump --run 2)

A line of text is: seq, thread, kind, path:line, qualified name, and other properties of the event,
separated by two spaces. A NULL line or code object is `-`.")]
pub(super) struct Args {
    #[command(flatten)]
    database: super::Database,
    #[command(flatten)]
    run: super::RunChoice,
    /// How to print events
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Also print nanoseconds since the run began
    #[arg(long)]
    time: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Format {
    /// Stable text, good for diff
    Text,
    /// One object per line
    Jsonl,
}

const SQL: &str = "
    SELECT seq, time_ns, process_id, thread_id, kind, code_id, offset, line, target_offset,
           target_line, callable, exception, value
    FROM events WHERE run_id = ? ORDER BY seq";

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let session = Session::open(&args.database.path)?;
    let store = session.recording.store();
    let directory = store.directory();
    let chosen = args.run.of(store)?;
    if directory.runs.is_empty() {
        store.run(None)?;
    }
    let runs = chosen.map_or(directory.runs.clone(), |run| vec![run]);
    let explain = |error| session.explain(&error);
    let mut out = stdout();
    let mut statement = session.recording.connection().prepare(SQL).map_err(explain)?;
    for run in runs {
        let processes = directory.processes.values().filter(|p| p.run_id == run).count();
        let mut rows = statement.query([run]).map_err(explain)?;
        while let Some(row) = rows.next().map_err(explain)? {
            session.clear();
            let event = Event { row, directory };
            match args.format {
                Format::Text => event.text(&mut out, args.time, processes > 1),
                Format::Jsonl => event.json(&mut out, run),
            }
            .map_err(|error| match error {
                Failure::Sql(error) => explain(error),
                Failure::Io(error) => error.into(),
            })?;
        }
    }
    out.flush()?;
    session.finish(chosen)
}

enum Failure {
    Sql(rusqlite::Error),
    Io(std::io::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sql(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Io(error)
    }
}

/// A row of [`SQL`].
struct Event<'a> {
    row: &'a Row<'a>,
    directory: &'a Directory,
}

impl<'a> Event<'a> {
    fn int(&self, column: usize) -> Result<Option<i64>, Failure> {
        Ok(self.row.get(column)?)
    }

    fn str(&self, column: usize) -> Result<Option<&str>, Failure> {
        Ok(self.row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
    }

    /// The thread's name, or its id if it has no name.
    fn thread(&self) -> Result<Option<String>, Failure> {
        Ok(self.int(3)?.map(|id| {
            let name = self.directory.threads.get(&id).and_then(|thread| thread.name.clone());
            name.unwrap_or_else(|| format!("thread {id}"))
        }))
    }

    /// The path and qualified name of the code object.
    fn code(&self) -> Result<(Option<&'a str>, Option<&'a str>), Failure> {
        let code = self.int(5)?.and_then(|id| self.directory.code(id));
        let text = |id| self.directory.texts.get(id);
        Ok((code.and_then(|c| text(c.path)), code.and_then(|c| text(c.qualname))))
    }

    fn text(&self, out: &mut impl Write, time: bool, process: bool) -> Result<(), Failure> {
        write!(out, "{:>8}  ", self.int(0)?.unwrap_or(0))?;
        if time {
            write!(out, "{:>12}  ", self.int(1)?.unwrap_or(0))?;
        }
        if process {
            write!(out, "process {}  ", self.int(2)?.unwrap_or(0))?;
        }
        let thread = self.thread()?;
        write!(out, "{}  ", printable(thread.as_deref().unwrap_or("-")))?;
        write!(out, "{:<17}  ", printable(self.str(4)?.unwrap_or("-")))?;
        let (path, qualname) = self.code()?;
        write!(out, "{}:", printable(path.unwrap_or("-")))?;
        match self.int(7)? {
            Some(line) => write!(out, "{line}")?,
            None => write!(out, "-")?,
        }
        write!(out, "  {}", printable(qualname.unwrap_or("-")))?;
        if let Some(offset) = self.int(6)? {
            write!(out, "  offset={offset}")?;
        }
        if let Some(target) = self.int(8)? {
            write!(out, "  target={target}")?;
            if let Some(line) = self.int(9)? {
                write!(out, " line {line}")?;
            }
        }
        if let Some(callable) = self.str(10)? {
            write!(out, "  callable={}", printable(callable))?;
        }
        if let Some(exception) = self.str(11)? {
            write!(out, "  exception={}", printable(exception))?;
        }
        if let Some(value) = self.str(12)? {
            write!(out, "  value={}", printable(value))?;
        }
        Ok(writeln!(out)?)
    }

    fn json(&self, out: &mut impl Write, run: i64) -> Result<(), Failure> {
        let thread = self.thread()?;
        let (path, qualname) = self.code()?;
        let text = |text: Option<&'a str>| {
            text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
        };
        let column = |i: usize| self.row.get_ref(i);
        let fields = [
            ("run_id", ValueRef::Integer(run)),
            ("seq", column(0)?),
            ("process_id", column(2)?),
            ("thread_id", column(3)?),
            ("thread", thread.as_deref().map_or(ValueRef::Null, |t| ValueRef::Text(t.as_bytes()))),
            ("time_ns", column(1)?),
            ("kind", column(4)?),
            ("code_id", column(5)?),
            ("path", text(path)),
            ("qualname", text(qualname)),
            ("line", column(7)?),
            ("offset", column(6)?),
            ("target_offset", column(8)?),
            ("target_line", column(9)?),
            ("callable", column(10)?),
            ("exception", column(11)?),
            ("value", column(12)?),
        ];
        for (i, (name, value)) in fields.iter().enumerate() {
            write!(out, "{}\"{name}\":", if i == 0 { '{' } else { ',' })?;
            json(out, *value)?;
        }
        Ok(writeln!(out, "}}")?)
    }
}
