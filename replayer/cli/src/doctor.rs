//! `dashcam doctor`: tests what works with an interpreter.

use super::output::printable;
use anyhow::{Context, bail};
use comfy_table::{ContentArrangement, Table, presets};
use dashcam_replayer::store::{Chunk, ChunkHeader, Error, Store};
use dashcam_schema::event::EventKind;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PROGRAM: &str = include_str!("doctor/program.py");
const PROBE: &str = include_str!("doctor/probe.py");

#[derive(clap::Args)]
#[command(after_help = "Example:\n  dashcam doctor --python python3.14")]
pub(super) struct Args {
    /// Interpreter to test [default: the one that `dashcam record` uses]
    #[arg(long, value_name = "PYTHON")]
    python: Option<OsString>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One line of the findings.
struct Finding {
    what: &'static str,
    /// Whether the result is as it should be.
    is_fine: bool,
    words: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let interpreter = Interpreter { folder: folder.path(), python: args.python.as_ref() };
    let mut findings = Vec::new();
    let mut find = |what, is_fine, words: String| findings.push(Finding { what, is_fine, words });

    // This run is recorded only to find the interpreter as `dashcam record` does.
    let (_, python) = interpreter.record("where", "direct", "import sys; print(sys.executable)")?;
    let probe = probe(python.trim())?;
    let text = |key: &str| probe[key].as_str().unwrap_or("?").to_owned();
    find("interpreter", true, format!("CPython {}, {}", text("version"), text("executable")));

    let (verified, _) = interpreter.record("verify", "verify", PROGRAM)?;
    let (direct, _) = interpreter.record("direct", "direct", PROGRAM)?;
    let (derived, _) = interpreter.record("derived", "derived", PROGRAM)?;
    let mode: String = ask(&derived, "SELECT events_by FROM runs")?;
    let is_derived = mode == "derived";
    find(
        "rules",
        is_derived,
        if is_derived {
            "known: LINE, INSTRUCTION and JUMP follow from the other events".to_owned()
        } else {
            "not known for this interpreter: every event is recorded by a callback".to_owned()
        },
    );
    if is_derived {
        let events: i64 = ask(&verified, "SELECT event_count FROM runs")?;
        let (is_fine, words) = match difference_in_one_run(&verified)? {
            None => (true, format!("{events} events, all as they follow")),
            Some(what) => (false, what),
        };
        find("one run both ways", is_fine, words);
    }
    let (is_fine, words) = match compare(&direct, &derived)? {
        Ok(events) => (true, format!("{events} events of the program, equal one by one")),
        Err(what) => (false, what),
    };
    find("two runs, one each way", is_fine, words);
    let quirks: String = ask(&derived, "SELECT coalesce(quirks, '[]') FROM runs")?;
    let quirks: Vec<String> = serde_json::from_str(&quirks).unwrap_or_default();
    for quirk in quirks {
        find("quirk", true, quirk);
    }

    let tools: Vec<&str> =
        probe["tools"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    find(
        "tool ids",
        tools.len() < 6,
        match tools.len() {
            0 => "all six are free".to_owned(),
            n => format!("{} of 6 are free; in use by {}", 6 - n, tools.join(", ")),
        },
    );
    find(
        "INSTRUCTION",
        true,
        match probe["loses_instructions"].as_bool() {
            Some(true) => {
                "taken away from a tool when another starts; derived events are not".to_owned()
            }
            Some(false) => "left alone when another tool starts".to_owned(),
            None => "not tried: no two tool ids are free".to_owned(),
        },
    );
    if probe["traced"].as_bool() == Some(true) {
        find("tracing", true, "sys.settrace or sys.setprofile is in use from the start".to_owned());
    }
    let jit = text("jit");
    let is_on = jit == "on";
    let words =
        if is_on { "on: not tried with recording; PYTHON_JIT=0 turns it off" } else { &jit };
    find("JIT", !is_on, words.to_owned());
    let has_gil = probe["gil"].as_bool() != Some(false);
    let words = if has_gil { "on" } else { "off: free-threaded Python is not supported" };
    find("GIL", has_gil, words.to_owned());
    find("shared memory", true, "the ring was created and read".to_owned());
    find(
        "ptrace",
        true,
        match probe["ptrace_scope"].as_str() {
            None | Some("0") => "any process of yours may be attached to".to_owned(),
            Some("1") => {
                "only children may be attached to (kernel.yama.ptrace_scope = 1)".to_owned()
            }
            Some(scope) => {
                format!("no process may be attached to (kernel.yama.ptrace_scope = {scope})")
            }
        },
    );
    print(args.format, &findings)?;
    Ok(u8::from(findings.iter().any(|finding| !finding.is_fine)))
}

/// Runs the probe with an interpreter, without recording it.
fn probe(python: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(python);
    command.args(["-c", PROBE]).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("{python} cannot be run"))?;
    serde_json::from_slice(&output.stdout).with_context(|| {
        let message = String::from_utf8_lossy(&output.stderr);
        format!("{python}: {}", message.trim().lines().last().unwrap_or("it printed nothing"))
    })
}

fn print(format: Format, findings: &[Finding]) -> anyhow::Result<()> {
    let mut out = super::output::stdout();
    if format == Format::Json {
        for Finding { what, is_fine, words } in findings {
            writeln!(out, "{}", json!({"what": what, "ok": is_fine, "finding": words}))?;
        }
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        for Finding { what, is_fine, words } in findings {
            let mark = if *is_fine { "ok" } else { "NOT OK" };
            table.add_row([*what, mark, &printable(words)]);
        }
        for line in table.lines() {
            writeln!(out, "{}", line.trim())?;
        }
    }
    out.flush()?;
    Ok(())
}

/// An interpreter, and a folder for its recordings.
struct Interpreter<'a> {
    folder: &'a Path,
    python: Option<&'a OsString>,
}

impl Interpreter<'_> {
    /// Records a program. Returns the recording and the program's output.
    fn record(&self, name: &str, mode: &str, program: &str) -> anyhow::Result<(Store, String)> {
        // The same path for all, so that recordings can be compared.
        let script = self.folder.join("program.py");
        std::fs::write(&script, program)?;
        let db = self.folder.join(format!("{name}.db"));
        let mut recorder = Command::new(super::record::sibling());
        recorder.arg("-o").arg(&db).args(["--events", mode]);
        if let Some(python) = self.python {
            recorder.arg("--python").arg(python);
        }
        recorder.arg(&script).env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
        let output = recorder
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} cannot be run", super::record::sibling().display()))?;
        let message = String::from_utf8_lossy(&output.stderr);
        let message = message.trim().trim_start_matches("dashcam: ");
        if !output.status.success() || !db.exists() {
            bail!("recording failed: {message}");
        }
        let store = Store::open(&db)?;
        let sql = "SELECT lost_count - coalesce((SELECT sum(count) FROM losses
                                                 WHERE kind = 'interpreter_unknown'), 0) FROM runs";
        let lost: i64 = ask(&store, sql)?;
        if lost > 0 && mode != "verify" {
            bail!("recording was incomplete: {message}");
        }
        Ok((store, String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

fn ask<T: rusqlite::types::FromSql>(store: &Store, sql: &str) -> anyhow::Result<T> {
    Ok(store.connection().query_row(sql, [], |row| row.get(0))?)
}

/// The differences that `--events verify` found; `None` if there are none.
fn difference_in_one_run(store: &Store) -> anyhow::Result<Option<String>> {
    let sql = "SELECT group_concat(count || ' × ' || kind || ': ' || detail, '; ') FROM losses
               WHERE severity <> 'info'";
    ask(store, sql)
}

/// An event without the parts that differ from run to run.
type Event = (u8, u32, u32, Option<String>, Option<String>);

/// The number of events of the program if they are equal in both recordings; otherwise the first
/// difference.
fn compare(direct: &Store, derived: &Store) -> anyhow::Result<Result<usize, String>> {
    let (direct, derived) = (streams(direct)?, streams(derived)?);
    if direct.len() != derived.len() {
        return Ok(Err(format!("{} threads and {}", direct.len(), derived.len())));
    }
    for (one, other) in direct.iter().zip(&derived) {
        if one != other {
            let at = one.iter().zip(other).take_while(|(a, b)| a == b).count();
            let show = |events: &[(String, Event)]| match events.get(at) {
                Some((code, (kind, place, ..))) => {
                    let kind = EventKind::from_number(*kind).and_then(EventKind::name);
                    format!("{} at {place} in {code}", kind.unwrap_or("?"))
                }
                None => "the end".to_owned(),
            };
            let (one, other) = (show(one), show(other));
            return Ok(Err(format!("event {at} is {one} recorded directly, {other} derived")));
        }
    }
    Ok(Ok(direct.iter().map(Vec::len).sum()))
}

/// The events of the program's own file, by thread, in the order of the threads' first events.
fn streams(store: &Store) -> anyhow::Result<Vec<Vec<(String, Event)>>> {
    let directory = store.directory();
    let mut streams: BTreeMap<u32, Vec<(String, Event)>> = BTreeMap::new();
    let mut order = Vec::new();
    let text = |id| directory.texts.get(id).unwrap_or_default();
    for (index, header) in store.chunks().iter().enumerate() {
        let chunk = store.chunk(index)?;
        each(header, &chunk, store, |thread, code, event| {
            let code = &directory.codes[code];
            if !text(code.path).ends_with("program.py") {
                return;
            }
            if !streams.contains_key(&thread) {
                order.push(thread);
            }
            let name = text(code.qualname).to_owned();
            streams.entry(thread).or_default().push((name, event));
        })?;
    }
    Ok(order.iter().filter_map(|thread| streams.remove(thread)).collect())
}

fn each(
    header: &ChunkHeader,
    chunk: &Chunk,
    store: &Store,
    mut visit: impl FnMut(u32, usize, Event),
) -> Result<(), Error> {
    let process = store.process(header);
    let texts = &store.directory().texts;
    let (kinds, places, targets) = (chunk.kinds()?, chunk.places()?, chunk.targets()?);
    let (callables, exceptions) = (chunk.callables()?, chunk.exceptions()?);
    let (runs, mut at) = (chunk.runs()?, 0);
    for run in &runs.runs {
        let context = runs.contexts[run.context as usize];
        for i in at..at + run.events as usize {
            let Some(code) = process.codes.get(&context.code) else { continue };
            let callable = process.callables.get(&callables[i]);
            let exception = chunk.exception(exceptions[i])?;
            let exception = exception.and_then(|e| process.exception_types.get(&e.exception_type));
            let text = |id| texts.get(id).unwrap_or_default().to_owned();
            let event = (
                kinds[i],
                places[i],
                targets[i],
                callable.copied().map(text),
                exception.copied().map(text),
            );
            visit(context.thread, *code, event);
        }
        at += run.events as usize;
    }
    Ok(())
}
