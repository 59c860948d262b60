//! One chunk's events: a vector per column, each decoded when it is first used.
//!
//! Columns that only some events have are spread out to one entry per event, so that a reader can
//! take any event by its index.

use super::Error;
use super::chunks::ChunkHeader;
use dashcam_schema::FormatError;
use dashcam_schema::chunk::{
    self, Columns, Context, ExceptionEntry, OpenChunk, Run, State, has_target,
};
use dashcam_schema::event::{EventKind, kinds_that};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;

/// Marks an event without an entry in a column that was spread out.
pub const NONE: u32 = u32::MAX;

/// Runs of events of one context, and the contexts.
pub struct Runs {
    pub runs: Vec<Run>,
    pub contexts: Vec<Context>,
}

/// The events of one chunk.
pub struct Chunk {
    path: Rc<PathBuf>,
    chunk_id: i64,
    source: Source,
    kinds: OnceCell<Vec<u8>>,
    places: OnceCell<Vec<u32>>,
    runs: OnceCell<Runs>,
    /// Index of each event's context.
    contexts: OnceCell<Vec<u32>>,
    targets: OnceCell<Vec<u32>>,
    times: OnceCell<Vec<u64>>,
    callables: OnceCell<Vec<u32>>,
    exceptions: OnceCell<Vec<u32>>,
    resumed: OnceCell<Vec<u64>>,
    state: OnceCell<State>,
    ordinals: OnceCell<Vec<u32>>,
}

/// Where the columns come from.
pub(super) enum Source {
    /// The chunk's bytes, from which each column is decoded by itself.
    Stored(Vec<u8>),
    /// Columns that were derived, all at once.
    Derived(Box<Columns>),
}

/// One method per column. It decodes the column the first time, and fails each time if the column
/// is damaged.
macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $decode:expr;)*) => {
        $($(#[$doc])*
        pub fn $name(&self) -> Result<&$type, Error> {
            if let Some(column) = self.$name.get() {
                return Ok(column);
            }
            let decode: fn(&Chunk) -> Result<_, Error> = $decode;
            let column = decode(self)?;
            Ok(self.$name.get_or_init(|| column))
        })*
    };
}

impl Chunk {
    pub(super) fn new(
        path: Rc<PathBuf>,
        header: &ChunkHeader,
        source: Source,
    ) -> Result<Chunk, Error> {
        let chunk = Chunk {
            path,
            chunk_id: header.chunk_id,
            source,
            kinds: OnceCell::new(),
            places: OnceCell::new(),
            runs: OnceCell::new(),
            contexts: OnceCell::new(),
            targets: OnceCell::new(),
            times: OnceCell::new(),
            callables: OnceCell::new(),
            exceptions: OnceCell::new(),
            resumed: OnceCell::new(),
            state: OnceCell::new(),
            ordinals: OnceCell::new(),
        };
        if chunk.events()? != header.events {
            return Err(chunk.invalid("chunk header", "holds another number of events"));
        }
        Ok(chunk)
    }

    /// Reads a column from the chunk's source.
    fn take<'a, T: Clone>(
        &'a self,
        stored: impl FnOnce(&OpenChunk<'_>) -> Result<T, FormatError>,
        derived: impl FnOnce(&'a Columns) -> &'a T,
    ) -> Result<Cow<'a, T>, Error> {
        match &self.source {
            Source::Stored(bytes) => {
                let column = chunk::open(bytes).and_then(|open| stored(&open));
                column.map(Cow::Owned).map_err(|source| self.error(source))
            }
            Source::Derived(columns) => Ok(Cow::Borrowed(derived(columns))),
        }
    }

    fn events(&self) -> Result<usize, Error> {
        match &self.source {
            Source::Stored(bytes) => {
                chunk::open(bytes).map(|open| open.events()).map_err(|source| self.error(source))
            }
            Source::Derived(columns) => Ok(columns.kinds.len()),
        }
    }

    fn first_ns(&self) -> Result<u64, Error> {
        match &self.source {
            Source::Stored(bytes) => {
                chunk::open(bytes).map(|open| open.first_ns()).map_err(|source| self.error(source))
            }
            Source::Derived(columns) => Ok(columns.first_ns),
        }
    }

    fn error(&self, source: FormatError) -> Error {
        Error::Chunk { path: self.path.to_path_buf(), chunk: self.chunk_id, source }
    }

    fn invalid(&self, part: &'static str, what: &str) -> Error {
        self.error(FormatError::Invalid { part, offset: 0, what: what.to_owned() })
    }

    columns! {
        /// Runs and contexts.
        runs: Runs = |chunk| match &chunk.source {
            Source::Stored(bytes) => {
                let runs = chunk::open(bytes).and_then(|open| open.runs());
                let (runs, contexts) = runs.map_err(|source| chunk.error(source))?;
                Ok(Runs { runs, contexts })
            }
            Source::Derived(columns) => {
                Ok(Runs { runs: columns.runs.clone(), contexts: columns.contexts.clone() })
            }
        };
        /// Index of each event's context.
        contexts: Vec<u32> = |chunk| {
            let mut contexts = Vec::with_capacity(chunk.events()?);
            for run in &chunk.runs()?.runs {
                contexts.resize(contexts.len() + run.events as usize, run.context);
            }
            Ok(contexts)
        };
        /// Each event's target in code units, or [`NONE`].
        targets: Vec<u32> = |chunk| {
            let targets = chunk.take(|open| open.targets(), |columns| &columns.targets)?;
            chunk.spread("column of targets", &targets, has_target)
        };
        /// Each event's time, in nanoseconds since the run began.
        times: Vec<u64> = |chunk| {
            let deltas = chunk.take(|open| open.times(), |columns| &columns.times)?;
            let count = deltas.len();
            // Written without branches, because which events are timed is as good as random. There
            // always is one delta to read.
            let padded: [u64; 1] = [0];
            let deltas = if count == 0 { &padded[..] } else { &deltas[..] };
            let last = deltas.len() - 1;
            let (mut now, mut next) = (chunk.first_ns()?, 0);
            let timed = kinds_that(EventKind::is_timed);
            let times = chunk.kinds()?.iter().map(|kind| {
                let is_timed = u64::from(timed >> kind & 1);
                now = now.saturating_add(deltas[next.min(last)] & is_timed.wrapping_neg());
                next += is_timed as usize;
                now
            });
            let times = times.collect();
            if next == count { Ok(times) } else { Err(chunk.misfit("column of times")) }
        };
        /// Number of each event's callable, or [`NONE`].
        callables: Vec<u32> = |chunk| {
            let callables = chunk.take(|open| open.callables(), |columns| &columns.callables)?;
            chunk.spread("column of callables", &callables, EventKind::has_callable)
        };
        /// The number of events with an ordinal in the chunk before each event.
        ordinals: Vec<u32> = |chunk| {
            let has_ordinal = kinds_that(EventKind::has_ordinal);
            let mut implied = chunk.implied().iter().peekable();
            let mut next = 0;
            let ordinals = chunk.kinds()?.iter().zip(0..).map(|(kind, index)| {
                let ordinal = next;
                let is_implied = implied.next_if_eq(&&index).is_some();
                next += has_ordinal >> kind & 1 & u32::from(!is_implied);
                ordinal
            });
            Ok(ordinals.collect())
        };
        /// Number of each event's exception, or [`NONE`].
        exceptions: Vec<u32> = |chunk| {
            let exceptions = chunk.take(|open| open.exceptions(), |columns| &columns.exceptions)?;
            chunk.spread("column of exceptions", &exceptions, EventKind::has_exception)
        };
    }

    /// Indexes of the branches that were not recorded, ascending.
    fn implied(&self) -> &[u32] {
        match &self.source {
            Source::Stored(_) => &[],
            Source::Derived(columns) => &columns.implied,
        }
    }

    /// Whether an event itself records that its value is None.
    pub fn says_none(&self, index: usize) -> bool {
        match &self.source {
            Source::Stored(_) => false,
            Source::Derived(columns) => columns.nones.binary_search(&(index as u32)).is_ok(),
        }
    }

    /// Whether an event has an ordinal.
    pub fn has_ordinal(&self, index: usize) -> Result<bool, Error> {
        let kind = self.kinds()?.get(index).and_then(|kind| EventKind::from_number(*kind));
        let is_implied = || self.implied().binary_search(&(index as u32)).is_ok();
        Ok(kind.is_some_and(|kind| kind.has_ordinal() && !(kind.is_branch() && is_implied())))
    }

    /// The number of events of a range that have an ordinal.
    pub fn count_ordinals(&self, range: Range<usize>) -> Result<u32, Error> {
        let has_ordinal = kinds_that(EventKind::has_ordinal);
        let [from, to] = [range.start, range.end]
            .map(|end| self.implied().partition_point(|index| (*index as usize) < end));
        let kinds = self.kinds()?.get(range).unwrap_or_default();
        let count = kinds.iter().map(|kind| has_ordinal >> kind & 1).sum::<u32>();
        Ok(count.saturating_sub((to - from) as u32))
    }

    /// Number of each event's kind.
    pub fn kinds(&self) -> Result<&Vec<u8>, Error> {
        self.plain(&self.kinds, |open| open.kinds(), |columns| &columns.kinds)
    }

    /// Each event's place: a code unit, or for LINE a line.
    pub fn places(&self) -> Result<&Vec<u32>, Error> {
        self.plain(&self.places, |open| open.places(), |columns| &columns.places)
    }

    /// For each event that resumes a call, in order: that call.
    pub fn resumed(&self) -> Result<&Vec<u64>, Error> {
        let resumed =
            self.plain(&self.resumed, |open| open.resumed(), |columns| &columns.resumed)?;
        let mask = kinds_that(EventKind::resumes);
        let wanted = self.kinds()?.iter().filter(|kind| mask >> **kind & 1 == 1).count();
        if resumed.len() == wanted {
            Ok(resumed)
        } else {
            Err(self.misfit("column of resumed calls"))
        }
    }

    /// The state that the chunk begins with.
    pub fn state(&self) -> Result<&State, Error> {
        self.plain(&self.state, |open| open.state(), |columns| &columns.state)
    }

    /// A column that is used as it is stored in the chunk.
    fn plain<'a, T: Clone>(
        &'a self,
        cell: &'a OnceCell<T>,
        stored: impl FnOnce(&OpenChunk<'_>) -> Result<T, FormatError>,
        derived: impl FnOnce(&'a Columns) -> &'a T,
    ) -> Result<&'a T, Error> {
        if let Some(column) = cell.get() {
            return Ok(column);
        }
        match self.take(stored, derived)? {
            Cow::Borrowed(column) => Ok(column),
            Cow::Owned(column) => Ok(cell.get_or_init(|| column)),
        }
    }

    fn misfit(&self, part: &'static str) -> Error {
        self.invalid(part, "does not fit the kinds")
    }

    fn spread(
        &self,
        part: &'static str,
        values: &[u32],
        has: fn(EventKind) -> bool,
    ) -> Result<Vec<u32>, Error> {
        let mask = kinds_that(has);
        let mut next = 0;
        let spread = self.kinds()?.iter().map(|kind| {
            let has = mask >> kind & 1;
            let value = values.get(next).copied().unwrap_or(NONE);
            next += has as usize;
            // NONE is all ones.
            value | has.wrapping_sub(1)
        });
        let spread = spread.collect();
        if next == values.len() { Ok(spread) } else { Err(self.misfit(part)) }
    }

    /// The chunk's entry for the exception with this number.
    pub fn exception(&self, number: u32) -> Result<Option<&ExceptionEntry>, Error> {
        let entries = &self.state()?.exceptions;
        Ok(entries.binary_search_by_key(&number, |e| e.number).ok().map(|i| &entries[i]))
    }

    /// All columns, after they were checked against each other.
    pub fn verify(&self) -> Result<Cow<'_, Columns>, Error> {
        let columns = match &self.source {
            Source::Stored(bytes) => {
                chunk::open(bytes).and_then(|open| open.columns()).map(Cow::Owned)
            }
            Source::Derived(columns) => columns.check().map(|()| Cow::Borrowed(&**columns)),
        };
        columns.map_err(|source| self.error(source))
    }

    /// Bytes of memory it takes now.
    pub(super) fn size(&self) -> usize {
        let words = |column: &OnceCell<Vec<u32>>| column.get().map_or(0, Vec::len) * 4;
        let longs = |column: &OnceCell<Vec<u64>>| column.get().map_or(0, Vec::len) * 8;
        let runs = self.runs.get().map_or(0, |r| (r.runs.len() + r.contexts.len()) * 8);
        // A call on a stack takes some 150 bytes; few chunks begin with many.
        let state = self.state.get().map_or(0, |state| {
            let calls = state.stacks.iter().map(|s| s.calls.len()).sum::<usize>();
            (calls + state.suspended.len() + state.exceptions.len()) * 150
        });
        let words = words(&self.places)
            + words(&self.contexts)
            + words(&self.targets)
            + words(&self.callables)
            + words(&self.ordinals)
            + words(&self.exceptions);
        let longs = longs(&self.times) + longs(&self.resumed);
        let source = match &self.source {
            Source::Stored(bytes) => bytes.len(),
            Source::Derived(columns) => {
                columns.kinds.len() * 5
                    + (columns.targets.len()
                        + columns.callables.len()
                        + columns.exceptions.len()
                        + columns.implied.len()
                        + columns.nones.len())
                        * 4
                    + (columns.times.len() + columns.resumed.len() + columns.runs.len()) * 8
            }
        };
        source + self.kinds.get().map_or(0, Vec::len) + words + longs + runs + state
    }
}
