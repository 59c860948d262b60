//! What is kept from one query to the next, and how it is read.

use super::bindings::{Base, Element};
use super::frames::Frames;
use super::groups::Groups;
use super::window::Window;
use crate::store::{Error, Process, Store};
use dashcam_schema::value::ObjectId;
use rustc_hash::FxHashMap;
use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

/// Bytes of memory for the frames of chunks.
const FRAMES_BYTES_MAX: usize = 64 << 20;
/// Bytes of memory for the chunks of values that are kept here; the store keeps some, too. The
/// objects that a stack's variables lead to were described in many chunks.
const GROUPS_BYTES_MAX: usize = 128 << 20;
/// Number of events at which a frame's variables are kept.
const BASES_MAX: usize = 4096;
/// Number of objects for which the last chunk that describes them is kept.
const DESCRIBED_MAX: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Caches {
    /// By index of the chunk; the one used last is at the end.
    frames: RefCell<Vec<(usize, Rc<Frames>)>>,
    groups: RefCell<Vec<(usize, Rc<Groups>)>>,
    bases: RefCell<FxHashMap<Element, Rc<Base>>>,
    /// By process and object: the last chunk of values that describes the object, among those
    /// before a given chunk.
    pub(super) described: RefCell<FxHashMap<(i64, ObjectId), LastDescribed>>,
    /// The last window of each process and thread.
    windows: RefCell<FxHashMap<(i64, u32), LastWindow>>,
    /// Indexes of chunks, by process.
    chunks: OnceCell<FxHashMap<i64, Vec<usize>>>,
}

/// The index of the window's chunk, the number of events with an ordinal before the window there,
/// and the window.
type LastWindow = (usize, usize, Rc<Window>);

/// The last chunk of values that describes an object, and the chunk before which the search ended.
type LastDescribed = (Option<usize>, usize);

/// Reads what variables and objects of a recording held.
pub struct State<'a> {
    pub(super) store: &'a Store,
    pub(super) caches: Rc<Caches>,
}

/// Moves a cached entry to the end, as the one used last, and returns it.
fn take<T>(kept: &RefCell<Vec<(usize, Rc<T>)>>, index: usize) -> Option<Rc<T>> {
    let mut kept = kept.borrow_mut();
    let at = kept.iter().rposition(|(of, _)| *of == index)?;
    if at + 1 < kept.len() {
        let entry = kept.remove(at);
        kept.push(entry);
    }
    kept.last().map(|(_, found)| found.clone())
}

impl<'a> State<'a> {
    /// A reader of the state in a recording. What is read for one query is kept for the next, also
    /// for queries of other values of this type.
    pub fn of(store: &'a Store) -> State<'a> {
        State { store, caches: store.keep() }
    }

    /// Whether an event is of a process that was recorded with [`Capture::State`].
    ///
    /// [`Capture::State`]: dashcam_schema::value::Capture::State
    pub fn is_there(&self, run_id: i64, seq: i64) -> bool {
        let at = self.store.locate(run_id, seq);
        at.is_some_and(|(chunk, _)| self.process(chunk).has_state)
    }

    /// The chunks of a process, in order.
    pub fn chunks_of(&self, process_id: i64) -> &[usize] {
        let chunks = self.caches.chunks.get_or_init(|| {
            let mut chunks: FxHashMap<i64, Vec<usize>> = FxHashMap::default();
            for (index, header) in self.store.chunks().iter().enumerate() {
                chunks.entry(header.process_id).or_default().push(index);
            }
            chunks
        });
        chunks.get(&process_id).map_or(&[], |chunks| chunks)
    }

    /// The chunks before and after a chunk that are of the same process and contain this thread,
    /// nearest first.
    pub(crate) fn neighbours(
        &self,
        chunk: usize,
        thread: u32,
    ) -> (impl Iterator<Item = usize>, impl Iterator<Item = usize>) {
        let chunks = self.chunks_of(self.store.chunks()[chunk].process_id);
        let at = chunks.partition_point(|index| *index < chunk);
        let has = move |index: &&usize| {
            self.store.chunks()[**index].threads.binary_search(&thread).is_ok()
        };
        let before = chunks[..at].iter().rev().filter(has).copied();
        let after = chunks[chunks.len().min(at + 1)..].iter().filter(has).copied();
        (before, after)
    }

    pub(super) fn process(&self, chunk: usize) -> &'a Process {
        self.store.process(&self.store.chunks()[chunk])
    }

    /// The frames of a chunk. `None` if it is damaged, which is noted.
    pub(super) fn frames(&self, index: usize) -> Result<Option<Rc<Frames>>, Error> {
        if let Some(frames) = take(&self.caches.frames, index) {
            return Ok(Some(frames));
        }
        let first_seq = self.store.chunks()[index].first_seq;
        let frames = self.store.chunk(index).and_then(|chunk| Frames::new(chunk, first_seq));
        let frames = match frames {
            Ok(frames) => Rc::new(frames),
            Err(error) => return self.store.note(index, error).map(|()| None),
        };
        let mut kept = self.caches.frames.borrow_mut();
        kept.push((index, frames.clone()));
        let mut total = 0;
        let keep = kept.iter().rev().take_while(|(_, frames)| {
            total += frames.size();
            total <= self.store.memory(FRAMES_BYTES_MAX)
        });
        let drop = kept.len() - keep.count().max(1);
        kept.drain(..drop);
        Ok(Some(frames))
    }

    /// The groups of a chunk of values. `None` if it is damaged, which is noted.
    pub(super) fn groups(&self, index: usize) -> Result<Option<Rc<Groups>>, Error> {
        if let Some(groups) = take(&self.caches.groups, index) {
            return Ok(Some(groups));
        }
        let groups = match self.store.values(index) {
            Ok(values) => Rc::new(Groups::new(index, values)),
            Err(error) => return self.store.note_values(index, error).map(|()| None),
        };
        let mut kept = self.caches.groups.borrow_mut();
        kept.push((index, groups.clone()));
        let mut total = 0;
        let is_kept = |(_, groups): &&(usize, Rc<Groups>)| {
            total += groups.values.size();
            total <= self.store.memory(GROUPS_BYTES_MAX)
        };
        let keep = kept.iter().rev().take_while(is_kept).count().max(1);
        let drop = kept.len() - keep;
        kept.drain(..drop);
        Ok(Some(groups))
    }

    /// The chunks of values with groups whose ordinals are above `lower` and up to `upper`. An
    /// `upper` of `i64::MAX` means no end.
    ///
    /// # Errors
    /// If not all values of these events were stored.
    pub(super) fn groups_between(
        &self,
        process_id: i64,
        lower: i64,
        upper: i64,
    ) -> Result<Vec<Rc<Groups>>, Error> {
        if upper < i64::MAX {
            self.store.known(process_id, lower.saturating_add(1).min(upper), upper)?;
        }
        self.stored_between(process_id, lower, upper)
    }

    /// As [`State::groups_between`], but only what was stored.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damage is noted.
    pub(super) fn stored_between(
        &self,
        process_id: i64,
        lower: i64,
        upper: i64,
    ) -> Result<Vec<Rc<Groups>>, Error> {
        let chunks = self.store.value_chunks();
        let after = chunks.partition_point(|chunk| {
            (chunk.process_id, chunk.first_ordinal) <= (process_id, upper)
        });
        let reaches = |index: &usize| {
            let chunk = &chunks[*index];
            chunk.process_id == process_id && chunk.last_ordinal > lower
        };
        let indexes: Vec<usize> = (0..after).rev().take_while(reaches).collect();
        let groups = indexes.into_iter().rev().map(|index| self.groups(index));
        groups.filter_map(Result::transpose).collect()
    }

    pub(super) fn known_base(&self, element: &Element) -> Option<Rc<Base>> {
        self.caches.bases.borrow().get(element).cloned()
    }

    pub(super) fn keep_base(&self, element: Element, base: Rc<Base>) {
        let mut bases = self.caches.bases.borrow_mut();
        if bases.len() >= BASES_MAX {
            bases.clear();
        }
        bases.insert(element, base);
    }

    pub(super) fn keep_described(&self, key: (i64, ObjectId), last: LastDescribed) {
        let mut described = self.caches.described.borrow_mut();
        if described.len() >= DESCRIBED_MAX {
            described.clear();
        }
        described.insert(key, last);
    }

    /// The window that begins after the thread's first `events` events with an ordinal in a chunk.
    pub(super) fn window(
        &self,
        chunk: usize,
        thread: u32,
        events: usize,
    ) -> Result<Rc<Window>, Error> {
        let key = (self.store.chunks()[chunk].process_id, thread);
        if let Some((of, before, window)) = self.caches.windows.borrow().get(&key)
            && (*of, *before) == (chunk, events)
        {
            return Ok(window.clone());
        }
        let window = Rc::new(self.read_window(chunk, thread, events)?);
        self.caches.windows.borrow_mut().insert(key, (chunk, events, window.clone()));
        Ok(window)
    }
}
