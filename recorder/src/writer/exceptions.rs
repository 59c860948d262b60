//! The exception objects that chunks may still refer to.
//!
//! A program can raise any number of exceptions, so not all of them can be kept. The last few tens
//! of thousands are kept, and the older ones that an open call has in flight or is handling.

use dashcam_schema::chunk::ExceptionEntry;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;

/// At least this many of the last exceptions are kept.
const KEPT: usize = 1 << 16;
/// Fewer are kept if their messages take more bytes than this.
const KEPT_BYTES: usize = 16 << 20;
/// The type of an exception that a chunk refers to long after it was dropped from here.
pub(super) const UNKNOWN_TYPE: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct Exceptions {
    /// Number of the first exception in `recent`.
    first: u32,
    recent: VecDeque<ExceptionEntry>,
    recent_bytes: usize,
    /// Older exceptions that open calls refer to.
    pinned: FxHashMap<u32, ExceptionEntry>,
    /// Numbers passed to [`Self::name`] since [`Self::take_named`], most of them once.
    named: Vec<u32>,
}

impl Exceptions {
    /// The number of exceptions that were ever defined.
    pub(super) fn defined(&self) -> u32 {
        self.first + self.recent.len() as u32
    }

    /// Adds the next exception. `open` lists those that open calls refer to; it is rarely called.
    pub(super) fn define(
        &mut self,
        exception_type: u32,
        message: String,
        open: impl FnOnce() -> FxHashSet<u32>,
    ) {
        let number = self.defined();
        self.recent_bytes += message.len();
        self.recent.push_back(ExceptionEntry { number, exception_type, message });
        if self.recent.len() >= 2 * KEPT || self.recent_bytes > KEPT_BYTES {
            self.drop_old(&open());
        }
    }

    /// Drops the older half of the recent exceptions, except those that are still referred to.
    fn drop_old(&mut self, open: &FxHashSet<u32>) {
        let named: FxHashSet<u32> = self.named.iter().copied().collect();
        let keep = |number: &u32| open.contains(number) || named.contains(number);
        self.pinned.retain(|number, _| keep(number));
        for _ in 0..self.recent.len() / 2 {
            let Some(entry) = self.recent.pop_front() else { break };
            self.first += 1;
            self.recent_bytes -= entry.message.len();
            if keep(&entry.number) {
                self.pinned.insert(entry.number, entry);
            }
        }
    }

    /// Notes that the chunk being built refers to this exception.
    #[inline]
    pub(super) fn name(&mut self, number: u32) {
        // Most often it is the same one again and again: raise, unwind, unwind, handle.
        if self.named.last() != Some(&number) {
            self.named.push(number);
        }
    }

    /// Returns the exceptions referred to since the last call, in ascending order.
    pub(super) fn take_named(&mut self) -> Vec<ExceptionEntry> {
        let mut named = std::mem::take(&mut self.named);
        named.sort_unstable();
        named.dedup();
        let entries = named.iter().map(|number| self.entry(*number)).collect();
        named.clear();
        self.named = named;
        entries
    }

    fn entry(&self, number: u32) -> ExceptionEntry {
        let recent = number.checked_sub(self.first).and_then(|i| self.recent.get(i as usize));
        recent.or_else(|| self.pinned.get(&number)).cloned().unwrap_or(ExceptionEntry {
            number,
            exception_type: UNKNOWN_TYPE,
            message: String::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_exceptions_are_dropped_unless_open() {
        let mut exceptions = Exceptions::default();
        for i in 0..3 * KEPT {
            exceptions.define(1, i.to_string(), || [7].into_iter().collect());
        }
        assert!(exceptions.recent.len() < 2 * KEPT);
        for number in [7, 8, 3 * KEPT as u32 - 1, 7] {
            exceptions.name(number);
        }
        let named = exceptions.take_named();
        let texts: Vec<_> = named.iter().map(|e| (e.exception_type, &*e.message)).collect();
        assert_eq!(texts, [(1, "7"), (UNKNOWN_TYPE, ""), (1, "196607")]);
        assert!(exceptions.take_named().is_empty());
    }
}
