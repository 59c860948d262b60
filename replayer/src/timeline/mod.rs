//! Moves from a position of a run to others, forwards and backwards.
//!
//! - `position`: positions, and the event at a position;
//! - `step`: to the next line, over a call, out of it, an instruction; each also backwards;
//! - `reach`: which chunk to read next for the events of a call;
//! - `breakpoints`: to the next event that has a breakpoint;
//! - `writes`, `target`: to where a variable is bound, or an attribute or item changed;
//! - `origin`: where a value came from;
//! - `seek`: by time, by call, by the n-th time a line ran;
//! - `processes`: from one process to another.
//!
//! No movement reads the run from one end. Every chunk begins with the stacks as they are there, so
//! a chunk is a checkpoint: to stand at a position, its chunk is expanded, which takes some
//! milliseconds. These stacks show whether a call has executed anything between two chunks, so the
//! next chunk with an event of a call is found by binary search. Each chunk lists the suspended
//! calls that are resumed in it. Whether a line may have run in a chunk follows from the edges in
//! the chunk ([`Search`](crate::store::Search)). This costs a tenth of reading its events, and is
//! remembered.

mod breakpoints;
mod origin;
mod position;
mod processes;
mod reach;
mod seek;
mod step;
mod target;
mod writes;

pub use crate::state::Direction;
pub use breakpoints::Event;
pub use origin::{LINKS_MAX, Link, LinkKind, Operand, Wanted};
pub use position::{Here, Position};
pub use step::{Follow, Step};
pub use target::{Target, Written};
pub use writes::{Variable, Write};

use crate::state::{State, Within};
use crate::store::{Error, Store};
use dashcam_schema::calls::CallId;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// One run, to move about in.
///
/// A run may have several processes. Movements stay in the process where they begin: calls, objects
/// and the order of events are those of one process. Between processes there are only times.
pub struct Timeline {
    store: Rc<Store>,
    run_id: i64,
    /// Position of the first event.
    first: Position,
    /// The processes that have events, in the order of their positions.
    processes: Vec<Extent>,
    /// The last call that `code_of_call` was called for, with the number of its code object.
    last_call: Cell<Option<(CallId, Option<u32>)>>,
    /// The task of each PY_THROW event that throws into the innermost coroutine of a task.
    thrown_into: RefCell<FxHashMap<Position, CallId>>,
}

/// The events of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub process_id: i64,
    /// Positions of the first and last event.
    pub first: Position,
    pub last: Position,
    /// The number of events.
    pub events: u64,
}

/// Where a movement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub to: Position,
    pub why: Why,
    /// A sentence for each damaged chunk on the way, which may have contained the event searched
    /// for.
    pub missing: Vec<String>,
}

/// Why a movement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It reached its destination.
    Arrived,
    /// It reached the breakpoint with this index.
    Breakpoint(usize),
    /// There are no more events in this direction: it ended at the last or first event of what it
    /// followed.
    NoMore,
}

impl Timeline {
    /// A run of a recording. `None` if it has no events.
    pub fn new(store: Rc<Store>, run_id: i64) -> Option<Timeline> {
        let mut processes: Vec<Extent> = Vec::new();
        for chunk in store.chunks().iter().filter(|chunk| chunk.run_id == run_id) {
            let (first, last) = (Position::new(chunk.first_seq), Position::new(chunk.last_seq));
            // The positions of a process follow each other.
            match processes.last_mut().filter(|of| of.process_id == chunk.process_id) {
                Some(known) => {
                    known.last = last;
                    known.events += chunk.events as u64;
                }
                None => processes.push(Extent {
                    process_id: chunk.process_id,
                    first,
                    last,
                    events: chunk.events as u64,
                }),
            }
        }
        let first = processes.first()?.first;
        Some(Timeline {
            store,
            run_id,
            first,
            processes,
            last_call: Cell::default(),
            thrown_into: RefCell::default(),
        })
    }

    /// The recording.
    pub fn store(&self) -> &Rc<Store> {
        &self.store
    }

    /// The run.
    pub fn run_id(&self) -> i64 {
        self.run_id
    }

    /// The first event of the run's first process.
    pub fn first(&self) -> Position {
        self.first
    }

    /// The processes of the run that have events, the first process first.
    pub fn extents(&self) -> &[Extent] {
        &self.processes
    }

    /// The events of a process; `None` if it has none.
    pub fn extent(&self, process_id: i64) -> Option<Extent> {
        self.processes.iter().find(|of| of.process_id == process_id).copied()
    }

    /// The events of the process of a position. For a position without an event, the last process
    /// that begins before it.
    pub fn extent_at(&self, at: Position) -> Extent {
        let chunks = self.store.chunks();
        let after = chunks.partition_point(|c| (c.run_id, c.first_seq) <= (self.run_id, at.seq()));
        let chunk = after.checked_sub(1).and_then(|before| chunks.get(before));
        let chunk = chunk.filter(|chunk| chunk.run_id == self.run_id);
        // Invariant: `new` refuses a run without events.
        chunk.and_then(|chunk| self.extent(chunk.process_id)).unwrap_or(self.processes[0])
    }

    /// The chunks of the process of a position.
    fn chunks_at(&self, at: Position) -> Vec<usize> {
        self.state().chunks_of(self.extent_at(at).process_id).to_vec()
    }

    /// The state of variables and objects.
    pub fn state(&self) -> State<'_> {
        State::of(&self.store)
    }

    /// The events of a chunk. If it is damaged, a sentence about that is added to `missing`.
    fn load(&self, chunk: usize, missing: &mut Vec<String>) -> Result<Option<Within>, Error> {
        let within = self.state().within(chunk)?;
        if within.is_none() {
            missing.extend(self.store.damage_of(chunk).filter(|line| !missing.contains(line)));
        }
        Ok(within)
    }

    /// The position of an event, by its index in a chunk.
    fn at(&self, chunk: usize, index: usize) -> Position {
        Position::new(self.store.chunks()[chunk].first_seq + index as i64)
    }
}
