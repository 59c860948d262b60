//! A recording that is opened several times, by threads that share the work.

use super::Store;
use rustc_hash::FxHasher;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one of several knows of the others.
#[derive(Default)]
pub(super) struct Work {
    /// How many share the memory; 0 for one alone.
    parts: Cell<usize>,
    is_cancelled: RefCell<Option<Arc<AtomicBool>>>,
}

/// Lines about what cannot be read, by what it is.
pub(crate) struct Damage {
    events: BTreeMap<i64, String>,
    values: BTreeMap<i64, String>,
}

impl Store {
    /// Whether whoever asked does not want to know any more.
    pub(crate) fn is_interrupted(&self) -> bool {
        let is_cancelled = self.work.is_cancelled.borrow();
        self.connection.is_interrupted()
            || is_cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
    }

    /// Makes this one of several that share the memory, and end when they are told.
    pub(crate) fn work(&self, parts: usize, is_cancelled: Arc<AtomicBool>) {
        self.work.parts.set(parts);
        *self.work.is_cancelled.borrow_mut() = Some(is_cancelled);
        self.cache.share(parts);
        self.value_cache.share(parts);
    }

    /// What this one may take of so many bytes.
    pub(crate) fn memory(&self, bytes: usize) -> usize {
        bytes / self.work.parts.get().max(1)
    }

    /// Tells one recording from another, and from itself when more had been written.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut hasher = FxHasher::default();
        for chunk in &self.chunks {
            hasher.write_i64(chunk.chunk_id);
            hasher.write_i64(chunk.first_seq);
            hasher.write_i64(chunk.header_xxh3);
        }
        for chunk in &self.value_chunks {
            hasher.write_i64(chunk.value_chunk_id);
            hasher.write_i64(chunk.header_xxh3());
        }
        hasher.write_usize(self.directory.codes.len());
        hasher.write_usize(self.directory.threads.len());
        for process in self.directory.processes.values() {
            hasher.write_i64(process.values.map_or(0, |(covers_to, _)| covers_to));
        }
        hasher.finish()
    }

    /// What was found to be damaged.
    pub(crate) fn take_damage(&self) -> Damage {
        let (events, values) = (self.damage.take(), self.value_damage.take());
        Damage { events, values }
    }

    /// Notes what another has found to be damaged.
    pub(crate) fn add_damage(&self, damage: Damage) {
        let Damage { events, values } = damage;
        for (all, more) in [(&self.damage, events), (&self.value_damage, values)] {
            let mut all = all.borrow_mut();
            for (what, line) in more {
                all.entry(what).or_insert(line);
            }
        }
    }
}
