//! Receives requests.
//!
//! A thread reads them, so that a later line can interrupt the request that is being answered.

use super::Failure;
use rusqlite::InterruptHandle;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

pub(super) struct Inbox {
    requests: Receiver<Request>,
    /// Requests up to this number are interrupted and not executed.
    interrupted: Arc<AtomicU64>,
}

/// A request: a line of input.
pub(super) struct Request {
    /// Counted from 1.
    number: u64,
    members: Result<Map<String, Value>, String>,
}

impl Inbox {
    /// Starts the thread that reads requests.
    ///
    /// # Errors
    /// If the thread cannot be started.
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

    /// The next request; `None` at the end of the input.
    pub(super) fn next(&self) -> Option<Request> {
        self.requests.recv().ok()
    }

    /// Whether a request was interrupted, so that its result is no longer wanted.
    pub(super) fn is_interrupted(&self, request: &Request) -> bool {
        self.interrupted.load(Ordering::SeqCst) >= request.number
    }
}

fn read(mut input: impl BufRead, requests: &Sender<Request>, interrupt: impl Fn(u64)) {
    let mut line = Vec::new();
    let mut number = 0;
    // A read error is treated as the end of the input. Requests before it are still answered.
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
    /// A request that does not come through an inbox.
    pub(super) fn of(line: &[u8]) -> Request {
        Request { number: 1, members: members(line) }
    }

    /// The `id` as it was in the request; null if there is none.
    pub(super) fn id(&self) -> Value {
        let id = self.members.as_ref().ok().and_then(|members| members.get("id"));
        id.cloned().unwrap_or_default()
    }

    /// A member; `None` if it is null or missing.
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
