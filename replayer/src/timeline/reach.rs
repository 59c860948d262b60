//! Finds the next chunk to read for the events of a call.
//!
//! A chunk records which calls are on the stacks when it begins, how long each has run so far and
//! the site of its last event. As long as these stay the same, the call is covered by other calls,
//! and the chunk where it goes on is found by binary search. A chunk also lists the suspended calls
//! that are resumed in it. Nothing else is read on the way.

use super::Timeline;
use crate::state::Direction;
use crate::store::Error;
use dashcam_schema::calls::{CallId, Site};

/// Where a call is when a chunk begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// Not on a stack and not resumed in the chunk: the call is suspended, has not begun or has
    /// ended.
    Elsewhere,
    /// The innermost call of this thread.
    Innermost(u32),
    /// Other calls are above it on the stack. Its fields change when the call goes on.
    Covered { self_ns: u64, last: Site },
    /// Suspended, and resumed in the chunk.
    Resumed,
    /// The stacks are damaged.
    Unknown,
}

impl Timeline {
    /// The next chunk, in a direction, that may have events of a call. The chunks before that have
    /// none. The given chunk must have events of the call, and the call must not end in it
    /// (forwards) or begin in it (backwards).
    pub(super) fn reach(
        &self,
        call: CallId,
        chunk: usize,
        direction: Direction,
    ) -> Result<Option<usize>, Error> {
        let state = self.state();
        let chunks = state.chunks_of(self.store.chunks()[chunk].process_id);
        let here = chunks.partition_point(|index| *index < chunk);
        let begins = i64::try_from(call).unwrap_or(i64::MAX);
        let first = chunks.partition_point(|at| self.store.chunks()[*at].last_seq < begins);
        match direction {
            Direction::Forward => {
                let Some(next) = chunks.get(here + 1) else { return Ok(None) };
                match self.status(call, *next)? {
                    Status::Innermost(thread) => Ok(self.neighbour(chunk, thread, direction)),
                    Status::Resumed | Status::Unknown => Ok(Some(*next)),
                    covered @ Status::Covered { .. } => {
                        let status = |at: usize| self.status(call, chunks[at]);
                        let last = halve(here + 1, chunks.len(), |it| it == covered, status)?;
                        Ok(Some(chunks[last]))
                    }
                    Status::Elsewhere => {
                        self.find(&chunks[here + 1..], |status| status != Status::Elsewhere, call)
                    }
                }
            }
            Direction::Backward => match self.status(call, chunk)? {
                Status::Innermost(thread) => Ok(self.neighbour(chunk, thread, direction)),
                covered @ Status::Covered { .. } => {
                    // The same search mirrored: the status is the same from some chunk up to here.
                    let status = |at: usize| self.status(call, chunks[here - at]);
                    let after = here.saturating_sub(first) + 1;
                    let ahead = halve(0, after, |it| it == covered, status)?;
                    Ok((here - ahead).checked_sub(1).filter(|at| *at >= first).map(|at| chunks[at]))
                }
                Status::Resumed | Status::Unknown => {
                    for at in (first.min(here)..here).rev() {
                        let is_there = at == first
                            || self.may_run(call, chunks[at])?
                                && self.status(call, chunks[at])? != Status::Elsewhere;
                        if is_there {
                            return Ok(Some(chunks[at]));
                        }
                    }
                    Ok(None)
                }
                Status::Elsewhere => Ok(None),
            },
        }
    }

    /// The next chunk that a call may end in. Chunks that begin and end with the call on the stack
    /// are skipped.
    pub(super) fn reach_end(&self, call: CallId, chunk: usize) -> Result<Option<usize>, Error> {
        let state = self.state();
        let chunks = state.chunks_of(self.store.chunks()[chunk].process_id);
        let next = chunks.partition_point(|index| *index <= chunk);
        let is_on_stack =
            |status: Status| matches!(status, Status::Innermost(_) | Status::Covered { .. });
        match chunks.get(next) {
            Some(at) if is_on_stack(self.status(call, *at)?) => {
                // A call on the stack has not ended, even if it was suspended before.
                let status = |at: usize| self.status(call, chunks[at]);
                Ok(Some(chunks[halve(next, chunks.len(), is_on_stack, status)?]))
            }
            _ => self.reach(call, chunk, Direction::Forward),
        }
    }

    /// The first of some chunks in which a call has a wanted status.
    fn find(
        &self,
        chunks: &[usize],
        is_wanted: impl Fn(Status) -> bool,
        call: CallId,
    ) -> Result<Option<usize>, Error> {
        for chunk in chunks {
            if self.may_run(call, *chunk)? && is_wanted(self.status(call, *chunk)?) {
                return Ok(Some(*chunk));
            }
        }
        Ok(None)
    }

    /// Whether the code object of a call occurs in a chunk.
    fn may_run(&self, call: CallId, chunk: usize) -> Result<bool, Error> {
        let code = self.code_of_call(call)?;
        let header = &self.store.chunks()[chunk];
        Ok(code.is_none_or(|code| header.codes.binary_search(&code).is_ok()))
    }

    /// Number of a call's code object; `None` if the event that began it cannot be read.
    fn code_of_call(&self, call: CallId) -> Result<Option<u32>, Error> {
        if let Some((of, code)) = self.last_call.get()
            && of == call
        {
            return Ok(code);
        }
        let located = self.store.locate(self.run_id, call.cast_signed());
        let code = match located {
            Some((chunk, index)) => match self.state().within(chunk)? {
                Some(within) => within.context(index)?.map(|(_, code)| code),
                None => None,
            },
            None => None,
        };
        self.last_call.set(Some((call, code)));
        Ok(code)
    }

    /// Where a call is when a chunk begins. Damage is noted in the store.
    fn status(&self, call: CallId, chunk: usize) -> Result<Status, Error> {
        let state = match self.store.state(chunk) {
            Ok(state) => state,
            Err(error) => return self.store.note(chunk, error).map(|()| Status::Unknown),
        };
        for stack in &state.stacks {
            let Some(at) = stack.calls.iter().rposition(|found| found.call_id == call) else {
                continue;
            };
            let found = &stack.calls[at];
            return Ok(match at + 1 == stack.calls.len() {
                true => Status::Innermost(stack.thread),
                false => Status::Covered { self_ns: found.self_ns, last: found.last },
            });
        }
        let is_resumed = state.suspended.iter().any(|found| found.call_id == call);
        Ok(if is_resumed { Status::Resumed } else { Status::Elsewhere })
    }
}

/// Binary search for the last index of `low..high` with a wanted status. `low` has it. If some
/// indices with the status come after others without it, this is any index with it that comes
/// before one without. If the status of an index is not known, that of a neighbour is used.
fn halve(
    mut low: usize,
    mut high: usize,
    is_wanted: impl Fn(Status) -> bool,
    status: impl Fn(usize) -> Result<Status, Error>,
) -> Result<usize, Error> {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let mut known = None;
        for at in (low + 1..=middle).rev().chain(middle + 1..high) {
            match status(at)? {
                Status::Unknown => {}
                found => {
                    known = Some((at, is_wanted(found)));
                    break;
                }
            }
        }
        match known {
            Some((at, true)) => low = at,
            Some((at, false)) => high = at,
            None => break,
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_search_finds_the_last_and_skips_damage() {
        let covered = Status::Covered { self_ns: 5, last: Site::default() };
        for count in 1..20 {
            for last in 0..count {
                for damaged in 0..=count {
                    let status = |at: usize| {
                        Ok(match at {
                            at if at == damaged && at > 0 => Status::Unknown,
                            at if at <= last => covered,
                            _ => Status::Elsewhere,
                        })
                    };
                    let found = halve(0, count, |it| it == covered, status)
                        .unwrap_or_else(|e| panic!("{e}"));
                    let expected = if damaged == last && last > 0 { last - 1 } else { last };
                    assert_eq!(found, expected, "{count} {last} {damaged}");
                }
            }
        }
    }
}
