//! Reconstructs the words that a shim pushed for a recorded run from its chunks, to measure with
//! the events of real programs.

use crate::stream::Stream;
use dashcam_schema::EventKind;
use dashcam_schema::chunk;
use dashcam_schema::record::{
    CodeDefinition, Definition, TAG_RUNNING, TAG_START_SUSPENDABLE, TAG_THREAD, flags, word,
};
use rusqlite::Connection;

/// No further chunk is read once there are more events than this.
const EVENTS: u64 = 8_000_000;

/// Returns the definitions and the events of the last run in the file.
pub(crate) fn read(path: &str) -> (Stream, Stream) {
    let db = Connection::open(path).unwrap();
    let run: i64 = db.query_row("SELECT max(run_id) FROM runs", [], |row| row.get(0)).unwrap();
    let mut prologue = Stream::empty();
    let count = |sql: &str| db.query_row(sql, [run], |row| row.get::<_, u32>(0)).unwrap();
    for number in
        0..count("SELECT count(*) FROM threads JOIN processes USING (process_id) WHERE run_id = ?")
    {
        prologue.define(&Definition::Thread { number, native_id: 1 });
    }
    let mut codes = db
        .prepare("SELECT first_line, flags, line_table FROM code_objects WHERE run_id = ? ORDER BY number")
        .unwrap();
    let codes = codes.query_map([run], |row| {
        Ok(CodeDefinition {
            first_line: row.get(0)?,
            flags: row.get(1)?,
            line_table: row.get(2)?,
            ..CodeDefinition::default()
        })
    });
    let codes: Vec<CodeDefinition> = codes.unwrap().map(Result::unwrap).collect();
    codes.iter().for_each(|code| prologue.define(&Definition::Code(code.clone())));
    for _ in 0..count(
        "SELECT count(*) FROM callables JOIN processes USING (process_id) WHERE run_id = ?",
    ) {
        prologue.define(&Definition::Callable { name: "callable".into() });
    }
    prologue.define(&Definition::ExceptionType { name: "Exception".into() });

    let mut chunks = db
        .prepare("SELECT first_seq, data FROM chunks WHERE run_id = ? ORDER BY first_seq")
        .unwrap();
    let mut rows = chunks.query([run]).unwrap();
    let mut body = Stream::empty();
    let mut exceptions = 0;
    let mut thread = None;
    while let Some(row) = rows.next().unwrap() {
        let first_seq = row.get::<_, i64>(0).unwrap() as u64;
        let data: Vec<u8> = row.get(1).unwrap();
        let columns = chunk::open(&data).unwrap().columns().unwrap();
        if body.len() == 0 {
            // Every round of the bench begins with these calls on the stacks.
            for stack in &columns.state.stacks {
                body.words.push(word(TAG_THREAD, stack.thread));
                for call in &stack.calls {
                    body.words.extend([word(TAG_RUNNING, call.last.place), call.code, 0, 0]);
                }
            }
        }
        if body.len() > EVENTS {
            break;
        }
        let (mut targets, mut times) = (columns.targets.iter(), columns.times.iter());
        let (mut callables, mut thrown) = (columns.callables.iter(), columns.exceptions.iter());
        let mut resumed = columns.resumed.iter();
        let mut at = 0;
        for run in &columns.runs {
            let context = columns.contexts[run.context as usize];
            if thread != Some(context.thread) {
                thread = Some(context.thread);
                body.words.push(word(TAG_THREAD, context.thread));
            }
            body.enter(context.code);
            for _ in 0..run.events {
                let kind = EventKind::from_number(columns.kinds[at]).unwrap();
                let place = columns.places[at];
                let mut rest = Vec::new();
                if kind.is_timed() {
                    rest.push(*times.next().unwrap() as u32);
                }
                if chunk::has_target(kind) {
                    rest.push(*targets.next().unwrap());
                }
                if kind.has_callable() {
                    rest.push(*callables.next().unwrap());
                }
                if kind.has_exception() {
                    let exception = *thrown.next().unwrap();
                    exceptions = exceptions.max(exception + 1);
                    rest.push(exception);
                }
                let address =
                    if kind.resumes() { *resumed.next().unwrap() } else { first_seq + at as u64 };
                let address = [address as u32, (address >> 32) as u32];
                let can_be_suspended = codes[context.code as usize].flags & flags::SUSPENDABLE != 0;
                if kind.resumes() {
                    rest.extend(address);
                }
                body.exact(kind, place, &rest);
                if kind == EventKind::PY_START && can_be_suspended {
                    let first = body.words.len() - 1 - rest.len();
                    body.words[first] = word(TAG_START_SUSPENDABLE, place);
                    body.words.extend(address);
                }
                at += 1;
            }
        }
    }
    for _ in 0..exceptions {
        prologue.define(&Definition::Exception { exception_type: 0, message: "x".into() });
    }
    (prologue, body)
}
