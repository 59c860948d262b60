//! Which chunk to look into next for the events of a call.
//!
//! Chunks begin with all stacks, and with the calls that are suspended. Of each call they say how
//! long it has run so far, and where its last event was: as long as these stay the same, it did
//! not go on. So the chunk where it does is found by halving.

use super::Timeline;
use crate::state::{Direction, Within};
use crate::store::Error;
use dashcam_schema::calls::{CallId, OpenCall, Site};

/// What changes when a call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    is_innermost: bool,
    self_ns: u64,
    last: Site,
}

impl Timeline {
    /// The next chunk, in a direction, that may have events of a call. What lies between has none.
    pub(super) fn reach(
        &self,
        call: CallId,
        chunk: usize,
        within: &Within,
        direction: Direction,
    ) -> Result<Option<usize>, Error> {
        let state = self.state();
        if let Some(thread) = within.is_innermost(call, direction) {
            let (mut before, mut after) = state.neighbours(chunk, thread);
            return Ok(match direction {
                Direction::Forward => after.next(),
                Direction::Backward => before.next(),
            });
        }
        let chunks = state.chunks_of(self.store.chunks()[chunk].process_id);
        let here = chunks.partition_point(|index| *index < chunk);
        match direction {
            Direction::Forward => {
                let Some(next) = chunks.get(here + 1) else { return Ok(None) };
                let mark = match self.mark(call, *next)? {
                    Some(Some(mark)) => mark,
                    // Ended, though its end was not seen.
                    Some(None) => return Ok(None),
                    // Damaged: who looks into it will say so.
                    None => return Ok(Some(*next)),
                };
                // As it was at the beginning of these chunks; the last that it is so of.
                let is_same = |at: usize| self.is_marked(call, chunks[at], mark);
                let last = halve(here + 1, chunks.len(), is_same)?;
                Ok(Some(chunks[last]))
            }
            Direction::Backward => {
                let Some(Some(mark)) = self.mark(call, chunk)? else { return Ok(None) };
                let begins = i64::try_from(call).unwrap_or(i64::MAX);
                let first = chunks.partition_point(|i| self.store.chunks()[*i].last_seq < begins);
                // The same, in a mirror.
                let is_same = |at: usize| self.is_marked(call, chunks[here - at], mark);
                let earliest = here - halve(0, here.saturating_sub(first) + 1, is_same)?;
                Ok(earliest.checked_sub(1).filter(|at| *at >= first).map(|at| chunks[at]))
            }
        }
    }

    fn is_marked(&self, call: CallId, chunk: usize, mark: Mark) -> Result<Option<bool>, Error> {
        Ok(self.mark(call, chunk)?.map(|found| found == Some(mark)))
    }

    /// How a call is when a chunk begins. The outer is `None` if that cannot be read.
    #[expect(clippy::option_option, reason = "damaged, and not there, are two things")]
    fn mark(&self, call: CallId, chunk: usize) -> Result<Option<Option<Mark>>, Error> {
        let state = match self.store.state(chunk) {
            Ok(state) => state,
            Err(error) => return self.store.note(chunk, error).map(|()| None),
        };
        let mark = |found: &OpenCall, is_innermost| Mark {
            is_innermost,
            self_ns: found.self_ns,
            last: found.last,
        };
        for stack in &state.stacks {
            if let Some(at) = stack.calls.iter().rposition(|found| found.call_id == call) {
                let is_innermost = at + 1 == stack.calls.len();
                return Ok(Some(Some(mark(&stack.calls[at], is_innermost))));
            }
        }
        let suspended = state.suspended.iter().find(|found| found.call_id == call);
        Ok(Some(suspended.map(|found| mark(found, false))))
    }
}

/// The last of `low..high` that something is so of, if it is so of all up to that and of none
/// after. It is so of `low`. Where `is_so` cannot say, its neighbours are asked.
fn halve(
    mut low: usize,
    mut high: usize,
    is_so: impl Fn(usize) -> Result<Option<bool>, Error>,
) -> Result<usize, Error> {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let mut said = None;
        for at in (low + 1..=middle).rev().chain(middle + 1..high) {
            if let Some(so) = is_so(at)? {
                said = Some((at, so));
                break;
            }
        }
        match said {
            Some((at, true)) => low = at,
            Some((at, false)) => high = at,
            None => break,
        }
    }
    Ok(low)
}
