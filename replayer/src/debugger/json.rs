//! Writes replies as JSON objects, for programs.
//!
//! Every object has `command`, the command line. If the command is refused, the object has `error`,
//! a line; otherwise the members for the kind of reply:
//!
//! | reply | members |
//! |---|---|
//! | a position | `position`, `event`, `run`, `process`, `thread`, `call`, `task`, `code`, `function`, `path`, `line`, `depth`, `time_ns`, `value`, `exception`, `callable`, `source`, `why`, `what`, `breakpoint`, `notes` |
//! | `where`, `up`, `down` | `frames`: `depth`, `call`, `code`, `function`, `path`, `line`, `source`; `selected` |
//! | `locals` | `depth`; `variables`: `name`, `scope`, `value`, `object_id` |
//! | `print` | `path`, `text`, `value` |
//! | `origin` | `path`; `links`: `position`, `kind`, `text`, `value`, `path`, `line`, `function`, `operands` (`text`, `value`); `notes` |
//! | `list` | `path`, `first`, `lines`, `current` |
//! | `threads` | `threads`: `thread`, `process`, `name`, `current`, and where it is, as for a position |
//! | `processes` | `processes`: `process`, `pid`, `parent`, `exit_code`, `exit_signal`, `ended`, `command`, `events`, `current` |
//! | breakpoints | `breakpoints`: `number`, `place`, `condition` |
//! | `help` | `commands`: `names`, `arguments`, `does` |
//! | others | `said` |
//!
//! A position, frames and links also have the names that columns of the tables have: `seq`, `kind`,
//! `run_id`, `process_id`, `thread_id`, `call_id`, `code_id`, `qualname`. With `display`, a
//! position has `displays`: `number`, `expression`, and `text` or `error`.

use super::COMMANDS;
use super::reply::{Reply, Stop};
use crate::timeline::Here;
use serde_json::{Map, Value, json};

/// A reply as an object.
pub fn json(command: &str, run_id: i64, reply: &Reply) -> Value {
    let mut object = match reply {
        Reply::Stop(stop) => self::stop(run_id, stop),
        Reply::Stack { frames, selected } => {
            let frames = frames.iter().map(|frame| {
                json!({
                    "depth": frame.depth, "call": frame.call_id, "code": frame.code_id,
                    "call_id": frame.call_id, "code_id": frame.code_id,
                    "qualname": frame.qualname,
                    "function": frame.qualname, "path": frame.path, "line": frame.line,
                    "source": frame.source,
                })
            });
            object([("frames", frames.collect()), ("selected", json!(selected))])
        }
        Reply::Variables { depth, variables } => {
            let variables = variables.iter().map(|variable| {
                json!({
                    "name": variable.name, "scope": variable.scope, "value": variable.value,
                    "object_id": variable.object_id,
                })
            });
            object([("depth", json!(depth)), ("variables", variables.collect())])
        }
        Reply::Value { path, text, json } => {
            object([("path", json!(path)), ("text", json!(text)), ("value", json.clone())])
        }
        Reply::Origin { path, links, notes } => {
            let links = links.iter().map(|link| {
                let operands = link.operands.iter();
                let operands = operands
                    .map(|of| json!({"text": of.text, "value": of.value}))
                    .collect::<Vec<_>>();
                json!({
                    "position": link.at.seq(), "kind": link.kind.name(), "text": link.text,
                    "value": link.value, "path": link.path, "line": link.line,
                    "function": link.function, "seq": link.at.seq(),
                    "qualname": link.function, "operands": operands,
                })
            });
            object([("path", json!(path)), ("links", links.collect()), ("notes", json!(notes))])
        }
        Reply::Source { path, first, lines, current } => object([
            ("path", json!(path)),
            ("first", json!(first)),
            ("lines", json!(lines)),
            ("current", json!(current)),
        ]),
        Reply::Threads(threads) => {
            let threads = threads.iter().map(|thread| {
                let mut of = thread.here.as_ref().map(|at| here(run_id, at)).unwrap_or_default();
                of.insert("thread".into(), json!(thread.thread_id));
                of.insert("process".into(), json!(thread.process_id));
                of.insert("name".into(), json!(thread.name));
                of.insert("current".into(), json!(thread.is_current));
                Value::Object(of)
            });
            object([("threads", threads.collect())])
        }
        Reply::Processes(all) => {
            let all = all.iter().map(|process| {
                json!({
                    "process": process.process_id, "process_id": process.process_id,
                    "pid": process.pid, "parent": process.parent, "ended": process.ended,
                    "exit_code": process.exit_code, "exit_signal": process.exit_signal,
                    "command": process.command, "events": process.events,
                    "current": process.is_current,
                })
            });
            object([("processes", all.collect())])
        }
        Reply::Breakpoints(all) => {
            let all = all.iter().map(|breakpoint| {
                json!({
                    "number": breakpoint.number, "place": breakpoint.place,
                    "condition": breakpoint.condition,
                })
            });
            object([("breakpoints", all.collect())])
        }
        Reply::Said(what) => object([("said", json!(what))]),
        Reply::Help => {
            let commands = COMMANDS.iter().map(|(names, arguments, does)| {
                json!({"names": names, "arguments": arguments, "does": does})
            });
            object([("commands", commands.collect())])
        }
        Reply::Quit => Map::new(),
    };
    object.insert("command".into(), json!(command));
    Value::Object(object)
}

/// The reply to a command that is refused.
pub fn error(command: &str, message: &str) -> Value {
    json!({"command": command, "error": message})
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn stop(run_id: i64, stop: &Stop) -> Map<String, Value> {
    let mut object = here(run_id, &stop.here);
    object.insert("source".into(), json!(stop.source));
    object.insert("why".into(), json!(stop.why));
    object.insert("what".into(), json!(stop.what));
    object.insert("breakpoint".into(), json!(stop.breakpoint));
    object.insert("notes".into(), json!(stop.notes));
    if !stop.displays.is_empty() {
        let displays = stop.displays.iter().map(|(number, expression, held)| match held {
            Ok(text) => json!({"number": number, "expression": expression, "text": text}),
            Err(why) => json!({"number": number, "expression": expression, "error": why}),
        });
        object.insert("displays".into(), displays.collect());
    }
    object
}

fn here(run_id: i64, here: &Here) -> Map<String, Value> {
    object([
        ("position", json!(here.position.seq())),
        ("event", json!(here.kind.name())),
        ("run", json!(run_id)),
        ("process", json!(here.process_id)),
        ("thread", json!(here.thread_id)),
        ("call", json!(here.call_id)),
        ("task", json!(here.task)),
        ("code", json!(here.code_id)),
        ("function", json!(here.qualname)),
        ("seq", json!(here.position.seq())),
        ("kind", json!(here.kind.name())),
        ("run_id", json!(run_id)),
        ("process_id", json!(here.process_id)),
        ("thread_id", json!(here.thread_id)),
        ("call_id", json!(here.call_id)),
        ("code_id", json!(here.code_id)),
        ("qualname", json!(here.qualname)),
        ("path", json!(here.path)),
        ("line", json!(here.line)),
        ("depth", json!(here.depth)),
        ("time_ns", json!(here.time_ns)),
        ("value", json!(here.value)),
        ("exception", json!(here.exception)),
        ("callable", json!(here.callable)),
    ])
}
