//! A recording that is opened several times, by threads that share the work.

use super::Store;
use super::values::ValueDamage;
use rustc_hash::FxHasher;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a store knows of the others that share the work.
#[derive(Default)]
pub(super) struct Work {
    /// Number of stores that share the memory; 0 if this one is alone.
    parts: Cell<usize>,
    is_cancelled: RefCell<Option<Arc<AtomicBool>>>,
}

/// Messages about what cannot be read, by the key that each is noted under.
pub(crate) struct Damage {
    events: BTreeMap<i64, String>,
    values: BTreeMap<ValueDamage, String>,
}

impl Store {
    /// Whether the query was interrupted or cancelled.
    pub(crate) fn is_interrupted(&self) -> bool {
        let is_cancelled = self.work.is_cancelled.borrow();
        self.connection.is_interrupted()
            || is_cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
    }

    /// Makes this store one of `parts` that share the memory, and that stop when `is_cancelled` is
    /// set.
    pub(crate) fn work(&self, parts: usize, is_cancelled: Arc<AtomicBool>) {
        self.work.parts.set(parts);
        *self.work.is_cancelled.borrow_mut() = Some(is_cancelled);
        self.cache.share(parts);
        self.value_cache.share(parts);
    }

    /// This store's share of an amount of memory.
    pub(crate) fn memory(&self, bytes: usize) -> usize {
        bytes / self.work.parts.get().max(1)
    }

    /// A hash that tells one recording from another, and from itself after more was written.
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

    /// Takes the damage that was found so far.
    pub(crate) fn take_damage(&self) -> Damage {
        let (events, values) = (self.damage.take(), self.value_damage.take());
        Damage { events, values }
    }

    /// Adds the damage that another store has found.
    pub(crate) fn add_damage(&self, damage: Damage) {
        let Damage { events, values } = damage;
        for (what, line) in events {
            self.damage.borrow_mut().entry(what).or_insert(line);
        }
        for (what, line) in values {
            self.value_damage.borrow_mut().entry(what).or_insert(line);
        }
    }
}
