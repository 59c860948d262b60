//! Replies of the debugger as data; `text` and `json` write them.

use crate::state::Variable;
use crate::timeline::{Here, Link};

/// The reply to one command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The current position, which may be unchanged.
    Stop(Box<Stop>),
    Stack {
        frames: Vec<FrameReply>,
        selected: usize,
    },
    Variables {
        depth: usize,
        variables: Vec<Variable>,
    },
    Value {
        path: String,
        text: String,
        json: serde_json::Value,
    },
    /// Where a value came from, the last step first.
    Origin {
        path: String,
        links: Vec<Link>,
        notes: Vec<String>,
    },
    /// Lines of a file; `first` is the number of the first one, `current` that of the current one.
    Source {
        path: String,
        first: u32,
        lines: Vec<String>,
        current: Option<u32>,
    },
    Threads(Vec<ThreadReply>),
    Processes(Vec<ProcessReply>),
    Breakpoints(Vec<BreakpointReply>),
    /// A message.
    Said(String),
    Help,
    Quit,
}

/// A position where the debugger stopped, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Stop {
    pub here: Here,
    /// `step`, `breakpoint`, `goto`, `write`, `end`, `start` …
    pub why: &'static str,
    /// Number of the breakpoint.
    pub breakpoint: Option<usize>,
    /// The command line of the position's process, if the run has several and the stop before was
    /// in another one.
    pub process: Option<String>,
    /// The write that happens here, if the command looked for one: `total = 11`.
    pub what: Option<String>,
    /// Further messages, such as that a chunk on the way is damaged.
    pub notes: Vec<String>,
    /// The source line at the position.
    pub source: Option<String>,
    /// The displays: number, expression, and value or why that is not known.
    pub displays: Vec<(usize, String, Result<String, String>)>,
}

/// A frame of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameReply {
    /// 0 for the innermost.
    pub depth: usize,
    pub call_id: u64,
    pub code_id: i64,
    pub qualname: String,
    pub path: String,
    pub line: Option<i64>,
    pub source: Option<String>,
}

/// A process of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessReply {
    pub process_id: i64,
    /// The operating system's id.
    pub pid: Option<i64>,
    /// The process that started it; `None` for the first.
    pub parent: Option<i64>,
    /// How it ended: `exit 0`, `SIGKILL`, `running`, `end unknown`.
    pub ended: String,
    pub exit_code: Option<i64>,
    pub exit_signal: Option<i64>,
    /// Its command line, as for a shell.
    pub command: String,
    /// The number of events.
    pub events: u64,
    pub is_current: bool,
}

/// A thread, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadReply {
    pub thread_id: i64,
    pub process_id: i64,
    pub name: Option<String>,
    pub is_current: bool,
    /// Its last event up to the position, or up to the same time if it is of another process;
    /// `None` if it had none yet.
    pub here: Option<Here>,
}

/// A breakpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakpointReply {
    pub number: usize,
    pub place: String,
    pub condition: Option<String>,
}
