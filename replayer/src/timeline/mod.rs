//! Stand anywhere in a run, and go from there in both directions.
//!
//! - `position`: where one can stand, and what is there;
//! - `step`: to the next line, over a call, out of it, an instruction; each also backwards;
//! - `reach`: which chunk to look into next for the events of a call;
//! - `breakpoints`: on to the next event that somebody wants to see;
//! - `writes`, `target`: to where a variable is bound, an attribute or item changed;
//! - `origin`: where a value came from;
//! - `seek`: by time, by call, by the n-th time a line ran.
//!
//! Nothing is found by reading the run from one end. Every chunk begins with the stacks as they
//! are there, which is checkpoint enough: one stands at a position by expanding its chunk, some
//! milliseconds. Whether a call has gone on between two chunks shows in these stacks, so the next
//! chunk with an event of it is found by halving; chunks say which suspended calls they resume.
//! Whether a line may have run in a chunk follows
//! from the edges it goes over ([`Search`](crate::store::Search)), at a tenth of the price of its
//! events, and is remembered.

mod breakpoints;
mod origin;
mod position;
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

/// One run, to be walked about in.
pub struct Timeline {
    store: Rc<Store>,
    run_id: i64,
    /// Of its first and last event.
    first: Position,
    last: Position,
    /// The call that was asked about last, with the number of its code object.
    last_call: Cell<Option<(CallId, Option<u32>)>>,
    /// The tasks of what was thrown into a task's innermost coroutine, by that event.
    thrown_into: RefCell<FxHashMap<Position, CallId>>,
}

/// Where a movement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub to: Position,
    pub why: Why,
    /// A sentence for each damaged chunk on the way, in which there may have been what was
    /// looked for.
    pub missing: Vec<String>,
}

/// Why a movement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is where it was meant to go.
    Arrived,
    /// At the breakpoint with this index.
    Breakpoint(usize),
    /// There is nothing more in this direction: it is the last event, or the first, of what was
    /// followed.
    NoMore,
}

impl Timeline {
    /// A run of a recording. `None` if it has no events.
    pub fn new(store: Rc<Store>, run_id: i64) -> Option<Timeline> {
        let mut chunks = store.chunks().iter().filter(|chunk| chunk.run_id == run_id);
        let first = chunks.next()?;
        let last = chunks.next_back().unwrap_or(first);
        let (first, last) = (Position::new(first.first_seq), Position::new(last.last_seq));
        Some(Timeline {
            store,
            run_id,
            first,
            last,
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

    /// The first event of the run.
    pub fn first(&self) -> Position {
        self.first
    }

    /// The last event of the run.
    pub fn last(&self) -> Position {
        self.last
    }

    /// What variables and objects held.
    pub fn state(&self) -> State<'_> {
        State::of(&self.store)
    }

    /// The events of a chunk; if it is damaged, what is missing is said.
    fn look(&self, chunk: usize, missing: &mut Vec<String>) -> Result<Option<Within>, Error> {
        let within = self.state().within(chunk)?;
        if within.is_none() {
            missing.extend(self.store.damage_of(chunk).filter(|line| !missing.contains(line)));
        }
        Ok(within)
    }

    fn at(&self, chunk: usize, index: usize) -> Position {
        Position::new(self.store.chunks()[chunk].first_seq + index as i64)
    }
}
