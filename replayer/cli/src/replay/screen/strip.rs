//! The calls in a part of the run, by depth: samples of the current thread's stack, one per column.
//!
//! A sample costs 0.2 ms if a chunk begins in the column. Otherwise a chunk has to be expanded,
//! which takes some milliseconds. So samples are taken one by one when there is nothing else to do,
//! and kept.

use dashcam_replayer::debugger::Debugger;
use dashcam_replayer::store::Error;
use dashcam_replayer::timeline::Timeline;
use dashcam_schema::calls::CallId;
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The largest number of frames in all samples together.
const FRAMES_MAX: usize = 1 << 20;
/// The factor by which each level narrows the shown part.
const ZOOM: i64 = 4;

/// A call on a stack: its id and its code object.
pub(super) type OnStack = (CallId, i64);

/// The part of the run that is shown, and its samples.
#[derive(Default)]
pub(super) struct Strip {
    /// `seq` of the first event of the first column.
    pub(super) start: i64,
    /// The number of events in a column.
    pub(super) step: i64,
    pub(super) columns: usize,
    /// 0 shows the whole run.
    zoom: u32,
    thread: Option<Thread>,
    /// Stacks, outermost frame first. `None` if the stack cannot be read.
    samples: FxHashMap<Sampled, Option<Rc<[OnStack]>>>,
    frames: usize,
    names: FxHashMap<i64, Rc<str>>,
}

/// A process and the number of a thread in it.
type Thread = (i64, u32);

/// What a sample shows: a thread, the first event of a column, and the column's number of events.
type Sampled = (Thread, i64, i64);

impl Strip {
    /// Lays out the shown part of the run `first..=last`, with this many columns, around a
    /// position.
    pub(super) fn lay(&mut self, columns: usize, first: i64, last: i64, at: i64) {
        let events = last.saturating_sub(first).saturating_add(1).max(1);
        let wide = i64::try_from(columns).unwrap_or(i64::MAX).max(1);
        let whole = events.div_euclid(wide) + i64::from(events % wide != 0);
        while self.zoom > 0 && whole / ZOOM.pow(self.zoom - 1) <= 1 {
            self.zoom -= 1;
        }
        let step = (whole / ZOOM.pow(self.zoom)).max(1);
        let span = step.saturating_mul(wide);
        let is_well_within = step == self.step
            && columns == self.columns
            && (span / 8..=span - span / 8).contains(&at.saturating_sub(self.start));
        if !is_well_within {
            let latest = last.saturating_sub(span).saturating_add(1);
            let start = at.saturating_sub(span / 2).min(latest).max(first);
            // Columns begin at multiples of the step, so that known samples can be used again.
            self.start = first + (start - first) / step * step;
        }
        (self.step, self.columns) = (step, columns);
    }

    /// Shows a narrower or wider part.
    pub(super) fn zoom(&mut self, closer: bool) {
        self.zoom = if closer { (self.zoom + 1).min(20) } else { self.zoom.saturating_sub(1) };
        self.step = 0;
    }

    /// The first event of a column.
    pub(super) fn seq(&self, column: usize) -> i64 {
        let column = i64::try_from(column).unwrap_or(i64::MAX);
        self.start.saturating_add(self.step.saturating_mul(column))
    }

    /// The column of an event.
    pub(super) fn column(&self, seq: i64) -> Option<usize> {
        let past = seq.checked_sub(self.start).filter(|past| *past >= 0)?;
        let at = past.checked_div(self.step)?;
        usize::try_from(at).ok().filter(|at| *at < self.columns)
    }

    /// The stack of a column, outermost frame first. The outer `None` means that there is no sample
    /// yet, the inner one that the stack cannot be read.
    pub(super) fn sample(&self, column: usize) -> Option<Option<&[OnStack]>> {
        let found = self.samples.get(&(self.thread?, self.seq(column), self.step))?;
        Some(found.as_deref())
    }

    /// The name of a code object on a stack.
    pub(super) fn name(&self, code_id: i64) -> &str {
        self.names.get(&code_id).map_or("", |name| name)
    }

    #[cfg(test)]
    pub(super) fn put(&mut self, column: usize, stack: &[OnStack], names: &[(i64, &str)]) {
        let thread = *self.thread.get_or_insert((1, 1));
        self.samples.insert((thread, self.seq(column), self.step), Some(stack.into()));
        self.names.extend(names.iter().map(|(id, name)| (*id, Rc::from(*name))));
    }

    /// Shows the calls of a thread, given by its process and id.
    pub(super) fn follow(&mut self, debugger: &Debugger, process_id: i64, thread_id: i64) {
        let directory = debugger.timeline().store().directory();
        let process = directory.processes.get(&process_id);
        let number = process.and_then(|process| {
            process.threads.iter().find(|(_, id)| **id == thread_id).map(|(number, _)| *number)
        });
        self.thread = number.map(|number| (process_id, number));
    }

    /// Takes missing samples for about this long. Returns whether more are missing.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub(super) fn fill(&mut self, timeline: &Timeline, time: Duration) -> Result<bool, Error> {
        let Some(thread) = self.thread.filter(|_| self.step > 0) else { return Ok(false) };
        let begun = Instant::now();
        // A rough picture comes first.
        let rough = (0..self.columns).step_by(16);
        for column in rough.chain(0..self.columns) {
            let key = (thread, self.seq(column), self.step);
            if timeline.extent(thread.0).is_none_or(|extent| key.1 > extent.last.seq()) {
                break;
            }
            if self.samples.contains_key(&key) {
                continue;
            }
            if begun.elapsed() > time {
                return Ok(true);
            }
            let stack = self.stack_of(timeline, thread, key.1)?;
            self.frames += stack.as_ref().map_or(0, |stack| stack.len()) + 1;
            if self.frames > FRAMES_MAX {
                self.samples.clear();
                self.frames = 0;
                // Keep this sample, so that such a deep stack is not read again and again.
                self.samples.insert(key, stack);
                return Ok(false);
            }
            self.samples.insert(key, stack);
        }
        Ok(false)
    }

    fn stack_of(
        &mut self,
        timeline: &Timeline,
        (process_id, thread): Thread,
        seq: i64,
    ) -> Result<Option<Rc<[OnStack]>>, Error> {
        let (store, state) = (timeline.store(), timeline.state());
        let header = |index: usize| store.chunks().get(index);
        let first_seq = |index: usize| header(index).map_or(i64::MAX, |chunk| chunk.first_seq);
        let chunks = state.chunks_of(process_id);
        let after = chunks.partition_point(|index| first_seq(*index) < seq);
        let next = chunks.get(after).copied();
        let begins = next.filter(|next| first_seq(*next) - seq < self.step);
        let around = after.checked_sub(1).and_then(|at| chunks.get(at).copied());
        let around = around.filter(|at| header(*at).is_some_and(|chunk| seq <= chunk.last_seq));
        let stack = match (begins, around, next) {
            (Some(chunk), ..) => at_begin(timeline, chunk, thread)?,
            (None, Some(chunk), _)
                if header(chunk).is_some_and(|c| c.threads.binary_search(&thread).is_ok()) =>
            {
                let Some(within) = state.within(chunk)? else { return Ok(None) };
                let index = usize::try_from(seq - first_seq(chunk)).unwrap_or(0);
                let backward = dashcam_replayer::timeline::Direction::Backward;
                match within.nearest(thread, index + 1, backward, |_| Ok(true))? {
                    Some(index) => {
                        let frames = within.stack(index)?;
                        let frames = frames.map(|frame| {
                            (within.call_of(frame), within.code_of(frame).unwrap_or(u32::MAX))
                        });
                        let mut stack: Vec<(CallId, u32)> = frames.collect();
                        stack.reverse();
                        Some(stack)
                    }
                    None => at_begin(timeline, chunk, thread)?,
                }
            }
            // The event is of another thread or process: this thread's stack does not change.
            (None, Some(chunk), _) | (None, None, Some(chunk)) => {
                at_begin(timeline, chunk, thread)?
            }
            (None, None, None) => Some(Vec::new()),
        };
        let Some(stack) = stack else { return Ok(None) };
        let directory = store.directory();
        let process = directory.processes.get(&process_id);
        let mut code_id = |number: u32| {
            let code = process.and_then(|process| process.codes.get(&number));
            let code = code.and_then(|index| directory.codes.get(*index));
            if let Some(code) = code {
                let name = || directory.texts.get(code.qualname).unwrap_or_default().into();
                self.names.entry(code.code_id).or_insert_with(name);
            }
            code.map_or(0, |code| code.code_id)
        };
        Ok(Some(stack.into_iter().map(|(call, code)| (call, code_id(code))).collect()))
    }
}

/// A thread's stack at the beginning of a chunk. If the chunk is damaged, notes that and returns
/// `None`.
fn at_begin(
    timeline: &Timeline,
    chunk: usize,
    thread: u32,
) -> Result<Option<Vec<(CallId, u32)>>, Error> {
    let state = match timeline.store().state(chunk) {
        Ok(state) => state,
        Err(error) => return timeline.store().note(chunk, error).map(|()| None),
    };
    let stack = state.stacks.iter().find(|stack| stack.thread == thread);
    let calls = stack.map_or(&[][..], |stack| &stack.calls);
    Ok(Some(calls.iter().map(|call| (call.call_id, call.code)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stretch_holds_the_position_and_stays_while_it_does() {
        let mut strip = Strip::default();
        strip.lay(80, 1, 1_000_000, 1);
        assert_eq!((strip.start, strip.step), (1, 12_500));
        assert_eq!((strip.column(1), strip.column(1_000_000)), (Some(0), Some(79)));
        strip.zoom(true);
        strip.lay(80, 1, 1_000_000, 500_000);
        let start = strip.start;
        assert_eq!((strip.step, start % strip.step), (3125, 1));
        assert_eq!(strip.column(500_000), Some(40));
        strip.lay(80, 1, 1_000_000, 510_000);
        assert_eq!(strip.start, start);
        strip.lay(80, 1, 1_000_000, 990_000);
        assert!(strip.column(990_000).is_some());
        for _ in 0..30 {
            strip.zoom(true);
        }
        strip.lay(80, 1, 1_000_000, 990_000);
        assert_eq!(strip.step, 1);
        strip.zoom(false);
        strip.lay(80, 1, 1_000_000, 990_000);
        assert!(strip.step > 1);
    }

    #[test]
    fn odd_runs_and_widths_do_no_harm() {
        for columns in [0, 1, 2, 500] {
            for (first, last) in [(0, 0), (5, 6), (1, i64::MAX >> 1), (9, 3)] {
                for at in [first, last, i64::MAX, 0] {
                    let mut strip = Strip::default();
                    for _ in 0..3 {
                        strip.zoom(true);
                        strip.lay(columns, first, last, at);
                        assert!(strip.step > 0);
                        let _ = (strip.column(at), strip.seq(columns), strip.sample(0));
                    }
                }
            }
        }
    }
}
