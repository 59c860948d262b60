//! The recorded events of a chunk. The events that follow from them are not copied. This is enough
//! for calls and times, and much faster than reading all events.

use super::derive::Bytecode;
use super::texts::TextId;
use super::{Chunk, Error, Process, Store};
use dashcam_schema::FormatError;
use dashcam_schema::calls::Site;
use dashcam_schema::chunk::control::Control;
use dashcam_schema::chunk::{self, ExceptionEntry, State};
use dashcam_schema::event::{EventKind, kinds_that};
use std::rc::Rc;

/// A recorded event, with the events that were derived before it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    pub thread: u32,
    /// The event's index in the chunk.
    pub index: usize,
    /// The event's place.
    pub site: Site,
    /// The time that was read at this event, or the last time read before it, in nanoseconds since
    /// the run began.
    pub time_ns: u64,
    /// Number of its exception; `u32::MAX` if its kind has none.
    pub exception: u32,
    /// Number of its callable; `u32::MAX` if its kind has none.
    pub callable: u32,
    /// The call that it resumes; 0 if its kind does not resume.
    pub resumed: u64,
    /// Code object, kinds and places of the events derived before it.
    pub derived_code: u32,
    pub derived_kinds: &'a [u8],
    pub derived_places: &'a [u32],
}

impl Step<'_> {
    /// The last event derived before it.
    pub fn before(&self) -> Option<Site> {
        let (kind, place) = self.derived_kinds.last().zip(self.derived_places.last())?;
        Some(Site { code: self.derived_code, kind: *kind, place: *place })
    }
}

/// The recorded events of one chunk.
pub struct Recorded<'a> {
    store: &'a Store,
    index: usize,
    source: Source,
}

enum Source {
    /// The other events follow from these.
    Control(Box<Control>),
    /// All events were recorded.
    All(Rc<Chunk>),
}

impl Store {
    /// The recorded events of the chunk with this index in [`Store::chunks`].
    ///
    /// # Errors
    /// If the chunk is damaged, the file cannot be read, or reading was interrupted.
    pub fn recorded(&self, index: usize) -> Result<Recorded<'_>, Error> {
        let bytes = self.bytes(index)?;
        let of_chunk = |source| self.of_chunk(index, source);
        let open = chunk::open(&bytes).map_err(of_chunk)?;
        if !open.is_control() {
            let source = Source::All(self.chunk(index)?);
            return Ok(Recorded { store: self, index, source });
        }
        let control = open.control().map_err(of_chunk)?;
        if control.events as usize != self.chunks[index].events {
            let (part, what) = ("chunk header", "holds another number of events".to_owned());
            return Err(of_chunk(FormatError::Invalid { part, offset: 0, what }));
        }
        self.decoded.set(self.decoded.get() + 1);
        Ok(Recorded { store: self, index, source: Source::Control(Box::new(control)) })
    }
}

impl Recorded<'_> {
    /// The state that the chunk begins with.
    ///
    /// # Errors
    /// If that is damaged.
    pub fn state(&self) -> Result<&State, Error> {
        match &self.source {
            Source::Control(control) => Ok(&control.state),
            Source::All(chunk) => chunk.state(),
        }
    }

    /// The chunk's entry for the exception with this number.
    ///
    /// # Errors
    /// If the chunk is damaged.
    pub fn exception(&self, number: u32) -> Result<Option<&ExceptionEntry>, Error> {
        let entries = &self.state()?.exceptions;
        Ok(entries.binary_search_by_key(&number, |e| e.number).ok().map(|i| &entries[i]))
    }

    /// The name of the class of the exception with this number; none if it is not known.
    pub(crate) fn exception_type(&self, process: &Process, number: u32) -> TextId {
        let entry = self.exception(number).ok().flatten();
        let name = entry.and_then(|entry| process.exception_types.get(&entry.exception_type));
        name.copied().unwrap_or(TextId::NONE)
    }

    /// Passes each recorded event to `visit`, in order. `visit` must not read chunks.
    ///
    /// # Errors
    /// If the chunk is damaged.
    pub fn each(&self, mut visit: impl FnMut(&Step<'_>)) -> Result<(), Error> {
        match &self.source {
            Source::Control(control) => {
                let store = self.store;
                let header = &store.chunks[self.index];
                let codes = Bytecode {
                    process: store.process(header),
                    directory: &store.directory,
                    connection: &store.connection,
                };
                let has_callable = kinds_that(EventKind::has_callable);
                let mut expanders = store.expanders.borrow_mut();
                let expander = expanders.entry(header.process_id).or_default();
                let walked = expander.recorded(&codes, control, |automaton, event| {
                    let edge = event.edge;
                    let (kinds, places, _) = automaton.events(edge);
                    let derived = kinds.len().saturating_sub(1);
                    let (code, kind) = (edge.step.code, edge.step.kind);
                    visit(&Step {
                        thread: event.thread,
                        index: event.index as usize,
                        site: Site { code, kind, place: edge.place },
                        time_ns: event.time_ns,
                        exception: event.exception,
                        callable: match has_callable >> kind & 1 {
                            0 => u32::MAX,
                            _ => edge.step.with,
                        },
                        resumed: event.resumed,
                        derived_code: edge.code,
                        derived_kinds: &kinds[..derived],
                        derived_places: &places[..derived],
                    });
                });
                walked.map_err(|source| store.of_chunk(self.index, source))
            }
            Source::All(chunk) => each_event(chunk, visit),
        }
    }
}

fn each_event(chunk: &Chunk, mut visit: impl FnMut(&Step<'_>)) -> Result<(), Error> {
    let (kinds, places, times) = (chunk.kinds()?, chunk.places()?, chunk.times()?);
    let (runs, exceptions, callables) = (chunk.runs()?, chunk.exceptions()?, chunk.callables()?);
    let mut resumed = chunk.resumed()?.iter();
    let resumes = kinds_that(EventKind::resumes);
    let mut index = 0;
    for run in &runs.runs {
        let context = runs.contexts[run.context as usize];
        for _ in 0..run.events {
            let kind = kinds[index];
            visit(&Step {
                thread: context.thread,
                index,
                site: Site { code: context.code, kind, place: places[index] },
                time_ns: times[index],
                exception: exceptions[index],
                callable: callables[index],
                resumed: match resumes >> kind & 1 {
                    0 => 0,
                    _ => resumed.next().copied().unwrap_or(0),
                },
                derived_code: context.code,
                derived_kinds: &[],
                derived_places: &[],
            });
            index += 1;
        }
    }
    Ok(())
}
