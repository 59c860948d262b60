//! `timeline`: the numbers of events, calls and exceptions in equal parts of a run.

use super::question::{Answer, Cell, Question, integer};
use crate::store::{Error, Process, Store};
use crate::tables::plan::Value;
use dashcam_schema::event::EventKind;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;
use std::rc::Rc;

columns! {
    RUN_ID BUCKET START_NS END_NS EVENTS CALLS EXCEPTIONS THREADS BUCKETS
}

/// The largest number of buckets.
const BUCKETS_MAX: i64 = 1_000_000;

pub(crate) struct Timeline;

impl Question for Timeline {
    const NAME: &'static str = "timeline";
    const RUN_ID: usize = RUN_ID;
    const ARGUMENTS: &'static [usize] = &[BUCKETS];
    const ROWS: f64 = 20.0;
    const COST: f64 = 1e6;

    fn answer(store: &Rc<Store>, run_id: i64, arguments: &[Value]) -> Result<Answer, Error> {
        let count = integer(arguments, 0);
        if !(1..=BUCKETS_MAX).contains(&count) {
            let what = format!("timeline: {count} buckets; there can be 1 to {BUCKETS_MAX}");
            return Err(Error::NotThere { what });
        }
        let chunks = store.chunks();
        let of_run: Vec<usize> =
            (0..chunks.len()).filter(|index| chunks[*index].run_id == run_id).collect();
        let end = of_run.iter().map(|index| chunks[*index].last_ns).max();
        let Some(end) = end.and_then(|end| u64::try_from(end).ok()) else {
            return Ok(Answer::new());
        };
        // The number of buckets, and the end of the times that they cover, which begin at 0.
        let scale = (count as u64, end.saturating_add(1));
        let mut buckets = Buckets::new();
        for (done, index) in of_run.iter().enumerate() {
            store.progress(done, of_run.len());
            let header = &chunks[*index];
            let process = store.process(header);
            // The derived events at the beginning of a chunk carry the clock reading before it.
            let mut now = u64::try_from(header.first_ns).unwrap_or(0);
            let mut part = Part::new(scale);
            let read = store.recorded(*index).and_then(|recorded| {
                recorded.each(|step| {
                    if !step.derived_kinds.is_empty() {
                        part.at(now, step.thread).events += step.derived_kinds.len() as u64;
                    }
                    now = step.time_ns;
                    let bucket = part.at(now, step.thread);
                    bucket.events += 1;
                    bucket.calls += u64::from(step.site.kind == START);
                    bucket.exceptions += u64::from(step.site.kind == RAISE);
                })
            });
            match read {
                Ok(()) => part.add_to(&mut buckets, process),
                // A part of a chunk would be worse than nothing.
                Err(error) => store.note(*index, error)?,
            }
        }
        Ok(rows(&buckets, scale))
    }
}

const START: u8 = EventKind::PY_START.number();
const RAISE: u8 = EventKind::RAISE.number();

#[derive(Default)]
struct Bucket {
    events: u64,
    calls: u64,
    exceptions: u64,
    /// Ids of the threads.
    threads: FxHashSet<i64>,
}

type Buckets = BTreeMap<u64, Bucket>;

/// The buckets of one chunk. Times ascend, so only the last one grows.
struct Part {
    /// The number of buckets, and their total length.
    scale: (u64, u64),
    /// Numbers of buckets, and their contents. Threads are numbers here, not ids.
    buckets: Vec<(u64, Bucket)>,
    /// The end of the last bucket, and the thread of its last event.
    until: u64,
    thread: Option<u32>,
}

impl Part {
    fn new(scale: (u64, u64)) -> Part {
        Part { scale, buckets: Vec::new(), until: 0, thread: None }
    }

    #[inline]
    fn at(&mut self, time: u64, thread: u32) -> &mut Bucket {
        if time >= self.until || self.buckets.is_empty() {
            let number = number(time, self.scale);
            self.until = start(number + 1, self.scale);
            self.buckets.push((number, Bucket::default()));
            self.thread = None;
        }
        let at = self.buckets.len() - 1;
        let bucket = &mut self.buckets[at].1;
        if self.thread != Some(thread) {
            self.thread = Some(thread);
            bucket.threads.insert(thread.into());
        }
        bucket
    }

    fn add_to(self, buckets: &mut Buckets, process: &Process) {
        for (number, part) in self.buckets {
            let bucket = buckets.entry(number).or_default();
            bucket.events += part.events;
            bucket.calls += part.calls;
            bucket.exceptions += part.exceptions;
            let id = |number: i64| process.threads.get(&u32::try_from(number).ok()?).copied();
            bucket.threads.extend(part.threads.into_iter().filter_map(id));
        }
    }
}

/// The number of the bucket that contains a time.
fn number(time: u64, (count, length): (u64, u64)) -> u64 {
    let number = u128::from(time) * u128::from(count) / u128::from(length);
    (number as u64).min(count - 1)
}

/// The beginning of a bucket.
fn start(number: u64, (count, length): (u64, u64)) -> u64 {
    (u128::from(number) * u128::from(length)).div_ceil(u128::from(count)) as u64
}

/// One row for each bucket, including those without events.
fn rows(buckets: &Buckets, scale: (u64, u64)) -> Answer {
    let empty = Bucket::default();
    let row = |at: u64| {
        let bucket = buckets.get(&at).unwrap_or(&empty);
        let threads = bucket.threads.len() as u64;
        let numbers = [at, start(at, scale), start(at + 1, scale), bucket.events, bucket.calls];
        let numbers = numbers.into_iter().chain([bucket.exceptions, threads]);
        numbers.map(Cell::count).collect()
    };
    (0..scale.0).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_begins_where_its_number_changes() {
        for scale in [(1, 1), (3, 10), (7, 1_000_000_007), (10, 3)] {
            for at in 0..scale.0 {
                let first = start(at, scale);
                if first < scale.1 && first < start(at + 1, scale) {
                    assert_eq!(number(first, scale), at, "{scale:?}");
                }
                if first > 0 {
                    assert!(number(first - 1, scale) < at.max(1), "{scale:?}");
                }
            }
        }
    }
}
