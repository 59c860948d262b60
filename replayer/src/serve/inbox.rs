//! Requests as they come in.
//!
//! A thread reads them, so that one that is being answered can be interrupted by a line that comes
//! after it.

use super::Failure;
use rusqlite::InterruptHandle;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

pub(super) struct Inbox {
    requests: Receiver<Request>,
    /// Requests up to this number are not to be answered any more.
    interrupted: Arc<AtomicU64>,
}

/// A line.
pub(super) struct Request {
    /// Counted from 1.
    number: u64,
    members: Result<Map<String, Value>, String>,
}

impl Inbox {
    /// Begins to read.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(super) fn open(
        handle: InterruptHandle,
        input: impl BufRead + Send + 'static,
    ) -> io::Result<Inbox> {
        let (sender, requests) = mpsc::channel();
        let interrupted = Arc::new(AtomicU64::new(0));
        let inbox = Inbox { requests, interrupted: interrupted.clone() };
        let interrupt = move |number| {
            interrupted.store(number, Ordering::SeqCst);
            handle.interrupt();
        };
        let name = "requests".to_owned();
        std::thread::Builder::new().name(name).spawn(move || read(input, &sender, interrupt))?;
        Ok(inbox)
    }

    /// The next one; none at the end of the input.
    pub(super) fn next(&self) -> Option<Request> {
        self.requests.recv().ok()
    }

    /// Whether nobody waits for an answer to this one any more.
    pub(super) fn is_interrupted(&self, request: &Request) -> bool {
        self.interrupted.load(Ordering::SeqCst) >= request.number
    }
}

fn read(mut input: impl BufRead, requests: &Sender<Request>, interrupt: impl Fn(u64)) {
    let mut line = Vec::new();
    let mut number = 0;
    // What cannot be read is the end. What came before it is still answered.
    while let Ok(1..) = input.read_until(b'\n', &mut line) {
        let members = members(&line);
        line.clear();
        let is = |method| members.as_ref().is_ok_and(|m| m.get("method") == Some(method));
        if is(&Value::from("interrupt")) {
            interrupt(number);
            continue;
        }
        number += 1;
        if requests.send(Request { number, members }).is_err() {
            return;
        }
    }
}

fn members(line: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("a request is an object".to_owned()),
        Err(error) => Err(format!("a request is a line of JSON: {error}")),
    }
}

impl Request {
    /// The only one there is.
    pub(super) fn of(line: &[u8]) -> Request {
        Request { number: 1, members: members(line) }
    }

    /// As it was said.
    pub(super) fn id(&self) -> Value {
        let id = self.members.as_ref().ok().and_then(|members| members.get("id"));
        id.cloned().unwrap_or_default()
    }

    /// A member; none if it is null or not there.
    pub(super) fn get(&self, name: &str) -> Result<Option<&Value>, Failure> {
        match &self.members {
            Ok(members) => Ok(members.get(name).filter(|value| !value.is_null())),
            Err(what) => Err(Failure::Protocol(what.clone())),
        }
    }

    fn needed<'a, T>(
        &'a self,
        name: &str,
        what: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, Failure> {
        let value = self.get(name)?.and_then(read);
        value.ok_or_else(|| Failure::Protocol(format!("{name} has to be {what}")))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Failure> {
        self.needed(name, "a string", Value::as_str)
    }

    pub(super) fn integer(&self, name: &str) -> Result<i64, Failure> {
        self.needed(name, "an integer of 64 bits", Value::as_i64)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).ok().flatten().and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<&str>, Failure> {
        let all = |value| {
            let texts: Option<Vec<&str>> =
                Value::as_array(value)?.iter().map(Value::as_str).collect();
            texts
        };
        self.needed(name, "an array of strings", all)
    }
}
