//! Differences as JSON. Positions are in arrays of two; the first run's position comes first.

use dashcam_replayer::diff::{Change, Difference, Frame, Next, Only, Report, Run, ValueOf};
use serde_json::{Value, json};

pub(super) fn report(report: &Report, runs: [Run<'_>; 2]) -> Value {
    let run = |run: Run<'_>| {
        let path = run.store.path().display().to_string();
        json!({ "path": path, "run_id": run.run_id })
    };
    json!({
        "runs": runs.map(run),
        "differences": report.differences.iter().map(difference).collect::<Vec<_>>(),
        "has_more": report.has_more,
        "unrecorded": report.unrecorded.as_ref().map(|unknown| json!({
            "count": unknown.count, "seq": unknown.seq, "path": unknown.path, "line": unknown.line,
        })),
        "without_values": report.without_values,
        "changed_files": report.changed,
    })
}

fn difference(difference: &Difference) -> Value {
    let mut value = change(&difference.change);
    let place = |place: &Option<dashcam_replayer::diff::Place>| match place {
        Some(place) => json!({
            "seq": place.seq,
            "stack": place.stack.iter().map(frame).collect::<Vec<_>>(),
        }),
        None => Value::Null,
    };
    let variable = |variable: &dashcam_replayer::diff::Variable| json!({ "depth": variable.depth, "name": variable.name, "values": variable.values });
    value["thread"] = json!(difference.thread);
    value["processes"] = json!(difference.processes);
    value["places"] = json!([place(&difference.places[0]), place(&difference.places[1])]);
    value["variables"] = difference.variables.iter().map(variable).collect();
    value["more"] = json!(difference.more);
    value["is_mine"] = json!(difference.is_mine);
    value
}

fn frame(frame: &Frame) -> Value {
    json!({ "qualname": frame.qualname, "path": frame.path, "line": frame.line })
}

/// The name of a value's kind in JSON.
fn of(of: ValueOf) -> &'static str {
    match of {
        ValueOf::Argument => "argument",
        ValueOf::Result => "result",
        ValueOf::Yielded => "yielded",
        ValueOf::Sent => "sent",
        ValueOf::Exception => "exception",
        ValueOf::Variable => "variable",
        ValueOf::Attribute => "attribute",
        ValueOf::Item => "item",
        ValueOf::Key => "key",
    }
}

fn change(change: &Change) -> Value {
    match change {
        Change::Value { of: kind, name, values } => {
            json!({ "kind": of(*kind), "name": name, "values": values })
        }
        Change::Path { line, next: nexts, only: onlys } => json!({
            "kind": "path",
            "line": line,
            "next": [next(&nexts[0]), next(&nexts[1])],
            "only": [only(&onlys[0]), only(&onlys[1])],
        }),
        Change::Thread => json!({ "kind": "thread" }),
        Change::Process { command } => json!({ "kind": "process", "command": command }),
    }
}

fn next(next: &Next) -> Value {
    match next {
        Next::Line(line) => json!({ "what": "line", "line": line }),
        Next::Call { qualname, resumes: false } => json!({ "what": "call", "qualname": qualname }),
        Next::Call { qualname, .. } => json!({ "what": "resume", "qualname": qualname }),
        Next::Callable { name, line } => json!({ "what": "callable", "name": name, "line": line }),
        Next::Return { line } => json!({ "what": "return", "line": line }),
        Next::Yield { line } => json!({ "what": "yield", "line": line }),
        Next::Raise { exception, line } => {
            json!({ "what": "raise", "exception": exception, "line": line })
        }
        Next::Handle { exception, line } => {
            json!({ "what": "handle", "exception": exception, "line": line })
        }
        Next::Unwind { exception } => json!({ "what": "unwind", "exception": exception }),
        Next::Other { line } => json!({ "what": "other", "line": line }),
        Next::End => json!({ "what": "end" }),
    }
}

fn only(only: &Only) -> Value {
    let calls = only.calls.iter().map(|calls| {
        json!({
            "qualname": calls.qualname,
            "line": calls.line,
            "arguments": calls.arguments,
            "count": calls.count,
            "first_seq": calls.first_seq,
        })
    });
    let lines = only.lines.map(|(low, high)| [low, high]);
    json!({ "lines": lines, "calls": calls.collect::<Vec<_>>(), "other_calls": only.others })
}
