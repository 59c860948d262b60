//! Counts the events of each kind in chunks of a derived recording without deriving the events:
//! each event belongs to an edge of the automaton, and edges are counted.

use super::derive::Bytecode;
use super::{Error, Process, Store};
use dashcam_schema::FormatError;
use dashcam_schema::calls::Site;
use dashcam_schema::chunk;
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::event::{EventKind, kinds_that};
use rustc_hash::FxHashMap;

/// What counted events have in common, and their number.
#[derive(Clone, Copy)]
pub(crate) struct Happened {
    pub(crate) process_id: i64,
    /// Numbers of the thread and the code object in their process.
    pub(crate) thread: u32,
    pub(crate) code: u32,
    pub(crate) kind: u8,
    /// A code unit, or for LINE a line.
    pub(crate) place: u32,
    /// Number of the callable, for kinds that have one.
    pub(crate) callable: Option<u32>,
    pub(crate) events: u64,
}

impl Happened {
    /// The line of the source.
    pub(crate) fn line(&self, store: &Store, process: &Process) -> Option<i64> {
        store.line(process, Site { code: self.code, kind: self.kind, place: self.place })
    }
}

/// The beginning of a call in a chunk.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    /// The ordinal of its event, counted from the chunk's first.
    pub(crate) ordinal: u32,
    pub(crate) thread: u32,
    pub(crate) code: u32,
    pub(crate) place: u32,
}

/// A count for each edge, and the edges that have one.
#[derive(Default)]
struct Counts {
    by_edge: Vec<u64>,
    edges: Vec<EdgeId>,
}

impl Counts {
    fn add(&mut self, edge: EdgeId, times: u64) {
        let at = edge as usize;
        if at >= self.by_edge.len() {
            self.by_edge.resize(at + 1, 0);
        }
        if self.by_edge[at] == 0 {
            self.edges.push(edge);
        }
        self.by_edge[at] += times;
    }

    /// Returns the counts and resets them.
    fn drain(&mut self) -> impl Iterator<Item = (EdgeId, u64)> {
        self.edges.drain(..).map(|edge| (edge, std::mem::take(&mut self.by_edge[edge as usize])))
    }
}

/// Counts of the edges that chunks go over. A chunk that was followed is counted when
/// [`Edges::keep`] is called.
pub(crate) struct Edges<'s> {
    store: &'s Store,
    /// Counts of the chunks that were kept, by process and thread.
    kept: FxHashMap<(i64, u32), Counts>,
    /// Counts of the chunk that was followed last, by thread.
    followed: FxHashMap<u32, Counts>,
    process_id: i64,
    /// Number of events with an ordinal in the chunk that was followed last.
    pub(crate) ordinals: u32,
    pub(crate) starts: Vec<Start>,
}

impl<'s> Edges<'s> {
    pub(crate) fn new(store: &'s Store) -> Edges<'s> {
        Edges {
            store,
            kept: FxHashMap::default(),
            followed: FxHashMap::default(),
            process_id: 0,
            ordinals: 0,
            starts: Vec::new(),
        }
    }

    /// Goes over a chunk, and collects the beginnings of calls if they are wanted. Returns false if
    /// every event of the chunk was recorded. If the counts that were kept cannot be kept any
    /// longer, `visit` gets them.
    ///
    /// # Errors
    /// If the chunk is damaged, the file cannot be read, or reading was interrupted.
    pub(crate) fn follow(
        &mut self,
        index: usize,
        wants_starts: bool,
        visit: &mut dyn FnMut(Happened),
    ) -> Result<bool, Error> {
        let store = self.store;
        let header = &store.chunks[index];
        let bytes = store.bytes(index)?;
        let of_chunk = |source| store.of_chunk(index, source);
        let open = chunk::open(&bytes).map_err(of_chunk)?;
        if !open.is_control() {
            return Ok(false);
        }
        let control = open.control().map_err(of_chunk)?;
        if control.events as usize != header.events {
            let what = "holds another number of events".to_owned();
            return Err(of_chunk(FormatError::Invalid { part: "chunk header", offset: 0, what }));
        }
        let is_full = store.expanders.borrow().get(&header.process_id).is_some_and(|e| e.is_full());
        if is_full {
            self.each(visit);
        }
        self.followed.values_mut().for_each(|counts| counts.drain().for_each(drop));
        self.starts.clear();
        self.process_id = header.process_id;
        let codes = Bytecode {
            process: store.process(header),
            directory: &store.directory,
            connection: &store.connection,
        };
        let mut expanders = store.expanders.borrow_mut();
        let expander = expanders.entry(header.process_id).or_default();
        let has_ordinal = kinds_that(EventKind::has_ordinal);
        let (mut ordinals, starts, followed) = (0, &mut self.starts, &mut self.followed);
        let (mut thread, mut counts) = (u32::MAX, Counts::default());
        let done = expander.follow(&codes, &control, |of, id, edge| {
            if of != thread {
                followed.insert(thread, std::mem::take(&mut counts));
                (thread, counts) = (of, followed.remove(&of).unwrap_or_default());
            }
            counts.add(id, 1);
            let kind = edge.step.kind;
            if wants_starts && kind == EventKind::PY_START.number() {
                let (code, place) = (edge.step.code, edge.place);
                starts.push(Start { ordinal: ordinals, thread, code, place });
            }
            // Derived branches are inside edges; branches at the end of an edge were recorded.
            ordinals += has_ordinal >> kind & 1;
        });
        followed.insert(thread, counts);
        self.ordinals = ordinals;
        done.map(|()| true).map_err(of_chunk)
    }

    /// Adds the counts of the chunk that was followed last.
    pub(crate) fn keep(&mut self) {
        for (thread, counts) in &mut self.followed {
            let kept = self.kept.entry((self.process_id, *thread)).or_default();
            counts.drain().for_each(|(edge, times)| kept.add(edge, times));
        }
    }

    /// Passes what was kept to `visit`, and resets it.
    pub(crate) fn each(&mut self, visit: &mut dyn FnMut(Happened)) {
        let expanders = self.store.expanders.borrow();
        let has_callable = kinds_that(EventKind::has_callable);
        for ((process_id, thread), counts) in &mut self.kept {
            let Some(expander) = expanders.get(process_id) else { continue };
            let (process_id, thread) = (*process_id, *thread);
            for (id, events) in counts.drain() {
                let edge = expander.automaton().edge(id);
                let (kinds, places, _) = expander.automaton().events(edge);
                let last = kinds.len().saturating_sub(1);
                for (at, (kind, place)) in kinds.iter().zip(places).enumerate() {
                    let (kind, place) = (*kind, *place);
                    let is_last = at == last;
                    let code = if is_last { edge.step.code } else { edge.code };
                    let callable =
                        (is_last && has_callable >> kind & 1 == 1).then_some(edge.step.with);
                    visit(Happened { process_id, thread, code, kind, place, callable, events });
                }
            }
        }
    }
}
