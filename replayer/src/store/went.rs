//! What can have happened in a chunk, without its events: the stacks it begins with, and the edges
//! it goes over. Reading either costs a fraction of reading the chunk.

use super::derive::Bytecode;
use super::{Error, Process, Store};
use dashcam_schema::chunk::{self, State};
use dashcam_schema::derive::automaton::EdgeId;
use dashcam_schema::event::EventKind;
use rusqlite::OptionalExtension as _;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Number of chunks whose stacks are kept: a binary search reads some ten, and searches nearby read
/// the same ones.
const STATES_MAX: usize = 256;

/// Edges, and the generation of their numbers.
type Edges = (u32, Rc<[EdgeId]>);

/// What was read about chunks so far, by their index.
#[derive(Default)]
pub(super) struct ChunkParts {
    states: RefCell<FxHashMap<usize, Rc<State>>>,
    /// A few hundred edges for each chunk that was queried.
    edges: RefCell<FxHashMap<usize, Edges>>,
}

impl Store {
    /// The stacks a chunk begins with.
    ///
    /// # Errors
    /// If they are damaged, the file cannot be read, or reading was interrupted.
    pub fn state(&self, index: usize) -> Result<Rc<State>, Error> {
        if let Some(state) = self.parts.states.borrow().get(&index) {
            return Ok(state.clone());
        }
        let bytes = self.bytes(index)?;
        let state = chunk::open(&bytes).and_then(|open| open.state());
        let state = Rc::new(state.map_err(|source| self.of_chunk(index, source))?);
        let mut states = self.parts.states.borrow_mut();
        if states.len() >= STATES_MAX {
            states.clear();
        }
        states.insert(index, state.clone());
        Ok(state)
    }

    /// The edges a chunk goes over and the generation of their numbers; `None` if every event of it
    /// was recorded.
    fn edges(&self, index: usize) -> Result<Option<Edges>, Error> {
        let header = &self.chunks[index];
        let mut expanders = self.expanders.borrow_mut();
        let expander = expanders.entry(header.process_id).or_default();
        if let Some((generation, edges)) = self.parts.edges.borrow().get(&index)
            && *generation == expander.generation()
        {
            return Ok(Some((*generation, edges.clone())));
        }
        let bytes = self.bytes(index)?;
        let of_chunk = |source| self.of_chunk(index, source);
        let open = chunk::open(&bytes).map_err(of_chunk)?;
        if !open.is_control() {
            return Ok(None);
        }
        let control = open.control().map_err(of_chunk)?;
        let codes = Bytecode {
            process: self.process(header),
            directory: &self.directory,
            connection: &self.connection,
        };
        let edges: Rc<[EdgeId]> = expander.edges(&codes, &control).map_err(of_chunk)?.into();
        let generation = expander.generation();
        self.parts.edges.borrow_mut().insert(index, (generation, edges.clone()));
        Ok(Some((generation, edges)))
    }

    /// The bytes of a chunk.
    pub(super) fn bytes(&self, index: usize) -> Result<Vec<u8>, Error> {
        if self.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let super::ChunkHeader { chunk_id, header_xxh3, .. } = self.chunks[index];
        let sql = "SELECT data FROM main.chunks WHERE chunk_id = ?";
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([chunk_id], |row| row.get(0)).optional())
            .map_err(|error| self.not_read(&error, |what| self.unreadable(chunk_id, what)))?;
        let bytes = bytes.ok_or_else(|| self.unreadable(chunk_id, "no data".to_owned()))?;
        // The code that decodes the chunk describes other damage better.
        if dashcam_schema::chunk::header_xxh3(&bytes) != header_xxh3
            && dashcam_schema::chunk::open(&bytes).is_ok()
        {
            return Err(self.unreadable(chunk_id, "does not belong to this chunk".to_owned()));
        }
        Ok(bytes)
    }
}

/// An event to search for.
#[derive(Clone, Copy)]
pub struct Sought<'a> {
    pub process: &'a Process,
    pub kind: EventKind,
    /// Number of its code object.
    pub code: u32,
    /// A code unit, or for LINE a line.
    pub place: u32,
}

/// Searches for chunks that may hold a wanted event. What it finds out about one chunk is reused
/// for the others.
pub struct Search<'a, F> {
    store: &'a Store,
    is_wanted: F,
    /// By process: the generation, and for each edge whether it has a wanted event.
    known: FxHashMap<i64, (u32, Vec<Option<bool>>)>,
}

impl<'a, F: Fn(Sought<'_>) -> bool> Search<'a, F> {
    /// Searches for events for which `is_wanted` returns true.
    pub fn new(store: &'a Store, is_wanted: F) -> Search<'a, F> {
        Search { store, is_wanted, known: FxHashMap::default() }
    }

    /// Whether a wanted event may be in the chunk with this index. If false, there is none in it.
    ///
    /// # Errors
    /// If the chunk is damaged, the file cannot be read, or reading was interrupted.
    pub fn may_be_in(&mut self, index: usize) -> Result<bool, Error> {
        let Some((generation, edges)) = self.store.edges(index)? else { return Ok(true) };
        let header = &self.store.chunks[index];
        let process = self.store.process(header);
        let known = self.known.entry(header.process_id).or_default();
        if known.0 != generation {
            *known = (generation, Vec::new());
        }
        let expanders = self.store.expanders.borrow();
        let Some(expander) = expanders.get(&header.process_id) else { return Ok(true) };
        let automaton = expander.automaton();
        known.1.resize(automaton.len().max(known.1.len()), None);
        let is_wanted = &self.is_wanted;
        Ok(edges.iter().any(|id| {
            *known.1[*id as usize].get_or_insert_with(|| {
                let edge = automaton.edge(*id);
                let (kinds, places, _) = automaton.events(edge);
                let last = kinds.len().saturating_sub(1);
                (0..).zip(kinds.iter().zip(places)).any(|(at, (kind, place))| {
                    let code = if at == last { edge.step.code } else { edge.code };
                    let kind = EventKind::from_number(*kind);
                    kind.is_some_and(|kind| {
                        is_wanted(Sought { process, kind, code, place: *place })
                    })
                })
            })
        }))
    }
}
