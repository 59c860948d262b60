//! A chunk: consecutive events of one ring as compressed columns.
//!
//! [`Sealer::seal`] makes the bytes of `chunks.data`. [`open`] checks their header and returns an
//! [`OpenChunk`], from which a reader takes only the columns it needs. A chunk has everything that
//! is needed to read it by itself: the call stacks it begins with, the suspended calls it resumes
//! and the exceptions its events refer to.
//!
//! ```text
//! "DCK1" · u32 header length · u64 xxh3 of the header · header (bincode) · column · column …
//! ```
//!
//! The header has the length and xxh3 of every column, so damage is found when the damaged column
//! is read, and only there.
//!
//! Chunks of derived recordings begin with "DCC1" and have other columns: see [`control`].

pub mod control;

use crate::calls::{OpenCall, Stack};
use crate::error::FormatError;
use crate::event::EventKind;
use bincode::config::{Configuration, Limit};
use std::cell::RefCell;
use std::io::Cursor;
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Decompressor;

const MAGIC: [u8; 4] = *b"DCK1";
const CONTROL_MAGIC: [u8; 4] = *b"DCC1";
/// The magic of chunks of values: see [`crate::value::chunk`].
pub(crate) const VALUES_MAGIC: [u8; 4] = *b"DCV1";
pub(crate) const PREFIX: usize = 16;
/// The name of the header in errors.
pub(crate) const HEADER: &str = "chunk header";

/// The number of positions that each process of a run has. Those of process `k`, counted from 0 in
/// the order in which they joined the run, begin at `k * SEQ_PER_PROCESS + 1`. So positions are
/// unique in the run though its processes are recorded independently of each other: no process has
/// so many events, and 4 million processes fit into 62 bits.
pub const SEQ_PER_PROCESS: u64 = 1_000_000_000_000;

/// The maximum number of events in a chunk, derived events included. A chunk is so large only if it
/// has a long stretch of code without calls and branches, whose events are all derived with the
/// recorded event at its end.
pub const EVENTS_MAX: usize = 1 << 23;
/// The maximum number of derived events between two recorded events. It is more than a code object
/// that can be recorded has.
pub const STRETCH_MAX: usize = EVENTS_MAX / 2;
/// The number of events in a chunk of the recorder, if every event is stored.
pub const DIRECT_EVENTS: usize = 1 << 17;
/// The number of events in a chunk of the recorder, if most events are derived. A chunk is read as
/// a whole: with half as many events it would be read in half the time, but files would be a tenth
/// larger.
pub const DERIVED_EVENTS: usize = 1 << 18;
/// A stretch that would give a chunk more events than this goes to the next chunk.
pub const DERIVED_EVENTS_MAX: usize = 1 << 19;
/// Bound on the size of one decompressed column. The largest is the state if stacks are very deep.
const COLUMN_BYTES_MAX: usize = 1 << 30;
const HEADER_BYTES_MAX: usize = 1 << 16;

/// A chunk's events, one `Vec` per column, as the recorder collects them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// The last reading of the clock before the chunk, in nanoseconds since the run began.
    pub first_ns: u64,
    /// [`EventKind::number`] of each event.
    pub kinds: Vec<u8>,
    /// Each event's place, see [`crate::event::Place`].
    pub places: Vec<u32>,
    /// Sequences of events of one context. Their lengths add up to the number of events.
    pub runs: Vec<Run>,
    /// The pairs of thread and code object that occur.
    pub contexts: Vec<Context>,
    /// Per event that has a target: the target, in code units.
    pub targets: Vec<u32>,
    /// Per timed event: nanoseconds since the timed event before it.
    pub times: Vec<u64>,
    /// Per event that has a callable: number of the callable.
    pub callables: Vec<u32>,
    /// Per event that has an exception: number of the exception.
    pub exceptions: Vec<u32>,
    /// Per event that resumes a call: the call; 0 if it began before the recording.
    pub resumed: Vec<u64>,
    pub state: State,
    /// Indexes of the derived branches, ascending. These events have no ordinal. The list is not
    /// stored, since it follows from the recorded events.
    pub implied: Vec<u32>,
    /// Indexes of the events whose value is None, ascending. The list is not stored either, since
    /// the steps of [`control`] have this flag.
    pub nones: Vec<u32>,
}

impl Columns {
    /// Checks that each column has the number of entries that the kinds require.
    ///
    /// # Errors
    /// If it does not.
    pub fn check(&self) -> Result<(), FormatError> {
        let (mut targets, mut times, mut callables, mut exceptions, mut resumed) = (0, 0, 0, 0, 0);
        for kind in self.kinds.iter().filter_map(|n| EventKind::from_number(*n)) {
            targets += has_target(kind) as usize;
            times += kind.is_timed() as usize;
            callables += kind.has_callable() as usize;
            exceptions += kind.has_exception() as usize;
            resumed += kind.resumes() as usize;
        }
        if self.targets.len() != targets
            || self.times.len() != times
            || self.callables.len() != callables
            || self.exceptions.len() != exceptions
            || self.resumed.len() != resumed
        {
            return Err(FormatError::invalid("chunk", 0, "columns do not match the kinds"));
        }
        Ok(())
    }
}

/// The state at a chunk's beginning that is needed to read it.
#[derive(Debug, Clone, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct State {
    /// Stacks that are not empty when the chunk begins.
    pub stacks: Vec<Stack>,
    /// Calls that are suspended when the chunk begins and resumed in it.
    pub suspended: Vec<OpenCall>,
    /// All exceptions that the chunk's events refer to, ascending by number.
    pub exceptions: Vec<ExceptionEntry>,
}

/// An exception object.
#[derive(Debug, Clone, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct ExceptionEntry {
    pub number: u32,
    /// The number of its type's name.
    pub exception_type: u32,
    pub message: String,
}

/// Consecutive events of one thread and code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub events: u32,
    /// Index into [`Columns::contexts`].
    pub context: u32,
}

/// The recording's numbers of a thread and a code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context {
    pub thread: u32,
    pub code: u32,
}

#[derive(bincode::Encode, bincode::Decode)]
struct Header {
    events: u32,
    first_ns: u64,
    /// The unit of times, in nanoseconds.
    time_unit: u32,
    columns: Vec<ColumnHeader>,
}

/// The entry of a column in a header.
#[derive(Debug, Clone, Copy, bincode::Encode, bincode::Decode)]
pub(crate) struct ColumnHeader {
    /// The number of values in it.
    pub(crate) count: u32,
    /// Bytes before compression, and after it (`packed`).
    raw: u32,
    pub(crate) packed: u32,
    xxh3: u64,
}

impl ColumnHeader {
    /// Returns the column's bytes, decompressed. `offset` is where it begins in the chunk, and
    /// `max` is the maximum size.
    ///
    /// # Errors
    /// If the bytes are too few or damaged, or the column is larger than `max`.
    pub(crate) fn read(
        &self,
        chunk: &[u8],
        part: &'static str,
        offset: usize,
        max: usize,
    ) -> Result<Vec<u8>, FormatError> {
        let ColumnHeader { raw, packed, xxh3, .. } = *self;
        let bytes = chunk.get(offset..offset + packed as usize).ok_or(FormatError::Truncated {
            part,
            offset,
            needed: packed as usize,
            found: chunk.len().saturating_sub(offset),
        })?;
        if xxh3_64(bytes) != xxh3 {
            return Err(FormatError::Checksum { part, offset });
        }
        if raw as usize > max {
            return Err(FormatError::invalid(part, offset, "longer than a column may be"));
        }
        let raw_bytes = decompress(bytes, raw as usize)
            .map_err(|error| FormatError::invalid(part, offset, error))?;
        if raw_bytes.len() != raw as usize {
            return Err(FormatError::invalid(part, offset, "shorter than the header says"));
        }
        Ok(raw_bytes)
    }
}

thread_local! {
    /// Made once per thread, since making it takes longer than decompressing a small column.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn decompress(bytes: &[u8], capacity: usize) -> std::io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress(bytes, capacity)
    })
}

/// The columns of all forms of chunks of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Kinds,
    Places,
    RunEvents,
    RunContexts,
    ContextThreads,
    ContextCodes,
    Targets,
    Times,
    Callables,
    Exceptions,
    Resumed,
    State,
    Tokens,
    Wide,
    StepKinds,
    StepCodes,
    StepPlaces,
    StepWiths,
    StepAlsos,
    SwitchTokens,
    SwitchThreads,
    Walks,
}

/// The columns of a chunk that stores every event, in their order in the bytes.
const DIRECT: &[Column] = &[
    Column::Kinds,
    Column::Places,
    Column::RunEvents,
    Column::RunContexts,
    Column::ContextThreads,
    Column::ContextCodes,
    Column::Targets,
    Column::Times,
    Column::Callables,
    Column::Exceptions,
    Column::Resumed,
    Column::State,
];

/// The columns of a chunk of a derived recording, in their order in the bytes.
const CONTROL: &[Column] = &[
    Column::Tokens,
    Column::Wide,
    Column::StepKinds,
    Column::StepCodes,
    Column::StepPlaces,
    Column::StepWiths,
    Column::StepAlsos,
    Column::SwitchTokens,
    Column::SwitchThreads,
    Column::Times,
    Column::Exceptions,
    Column::Resumed,
    Column::State,
    Column::Walks,
];

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Column::Kinds => "column of kinds",
            Column::Places => "column of places",
            Column::RunEvents => "column of run lengths",
            Column::RunContexts => "column of run contexts",
            Column::ContextThreads => "column of threads",
            Column::ContextCodes => "column of code objects",
            Column::Targets => "column of targets",
            Column::Times => "column of times",
            Column::Callables => "column of callables",
            Column::Exceptions => "column of exceptions",
            Column::Resumed => "column of resumed calls",
            Column::State => "state",
            Column::Tokens => "column of tokens",
            Column::Wide => "column of wide tokens",
            Column::StepKinds => "column of steps' kinds",
            Column::StepCodes => "column of steps' code objects",
            Column::StepPlaces => "column of steps' places",
            Column::StepWiths => "column of what steps come with",
            Column::StepAlsos => "column of what steps come with besides",
            Column::SwitchTokens => "column of stretches of one thread",
            Column::SwitchThreads => "column of threads that go on",
            Column::Walks => "activations",
        }
    }
}

pub(crate) const fn bounded<const N: usize>()
-> Configuration<bincode::config::LittleEndian, bincode::config::Varint, Limit<N>> {
    bincode::config::standard().with_limit::<N>()
}

/// Compresses chunks, and reuses its memory from one chunk to the next.
pub struct Sealer {
    compressor: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    body: Vec<u8>,
    narrow: Vec<u32>,
}

impl Sealer {
    /// Returns a sealer; `level` is the compression level of zstd.
    ///
    /// # Errors
    /// If zstd cannot allocate its state.
    pub fn new(level: i32) -> std::io::Result<Sealer> {
        let compressor = zstd::bulk::Compressor::new(level)?;
        Ok(Sealer { compressor, raw: Vec::new(), body: Vec::new(), narrow: Vec::new() })
    }

    /// Returns the bytes of a chunk with these events.
    ///
    /// # Errors
    /// If the columns contradict each other or are larger than a chunk may be.
    pub fn seal(&mut self, columns: &Columns) -> Result<Vec<u8>, FormatError> {
        let events = columns.kinds.len();
        let total: u64 = columns.runs.iter().map(|run| u64::from(run.events)).sum();
        if events > EVENTS_MAX || columns.places.len() != events || total != events as u64 {
            return Err(FormatError::invalid("chunk", 0, "columns of unequal length"));
        }
        self.begin();
        let runs = &columns.runs;
        let contexts = &columns.contexts;
        let state = encoded(&columns.state)?;
        // In the order of `DIRECT`.
        let headers = vec![
            self.put(&columns.kinds, events)?,
            self.put_ints(&columns.places)?,
            self.put_each(runs.iter().map(|run| run.events))?,
            self.put_each(runs.iter().map(|run| run.context))?,
            self.put_each(contexts.iter().map(|context| context.thread))?,
            self.put_each(contexts.iter().map(|context| context.code))?,
            self.put_ints(&columns.targets)?,
            self.put_ints(&columns.times)?,
            self.put_ints(&columns.callables)?,
            self.put_ints(&columns.exceptions)?,
            self.put_ints(&columns.resumed)?,
            self.put(&state, 1)?,
        ];
        let first_ns = columns.first_ns;
        let header = Header { events: events as u32, first_ns, time_unit: 1, columns: headers };
        self.finish(MAGIC, &header)
    }

    /// Removes the columns of the previous chunk.
    pub(crate) fn begin(&mut self) {
        self.body.clear();
    }

    /// Returns the bytes of the chunk: the header, followed by the columns.
    pub(crate) fn finish(
        &mut self,
        magic: [u8; 4],
        header: &impl bincode::Encode,
    ) -> Result<Vec<u8>, FormatError> {
        let header = bincode::encode_to_vec(header, bounded::<HEADER_BYTES_MAX>())
            .map_err(|error| FormatError::invalid("chunk header", 0, error))?;
        let mut bytes = Vec::with_capacity(PREFIX + header.len() + self.body.len());
        bytes.extend_from_slice(&magic);
        bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(&header).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    /// Compresses a column and appends it to the body.
    pub(crate) fn put(&mut self, raw: &[u8], count: usize) -> Result<ColumnHeader, FormatError> {
        let begin = self.body.len();
        self.body.reserve(zstd::zstd_safe::compress_bound(raw.len()));
        let mut end = Cursor::new(&mut self.body);
        end.set_position(begin as u64);
        self.compressor
            .compress_to_buffer(raw, &mut end)
            .map_err(|error| FormatError::invalid("chunk", 0, error))?;
        let packed = &self.body[begin..];
        Ok(ColumnHeader {
            count: count as u32,
            raw: raw.len() as u32,
            packed: packed.len() as u32,
            xxh3: xxh3_64(packed),
        })
    }

    pub(crate) fn put_ints<T: Int>(&mut self, values: &[T]) -> Result<ColumnHeader, FormatError> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        pack(values, &mut raw);
        let header = self.put(&raw, values.len());
        self.raw = raw;
        header
    }

    pub(crate) fn put_each(
        &mut self,
        values: impl Iterator<Item = u32>,
    ) -> Result<ColumnHeader, FormatError> {
        let mut narrow = std::mem::take(&mut self.narrow);
        narrow.clear();
        narrow.extend(values);
        let header = self.put_ints(&narrow);
        self.narrow = narrow;
        header
    }
}

fn encoded(value: &impl bincode::Encode) -> Result<Vec<u8>, FormatError> {
    bincode::encode_to_vec(value, bounded::<COLUMN_BYTES_MAX>())
        .map_err(|error| FormatError::invalid("state", 0, error))
}

/// A chunk whose header was checked. Each method checks, decompresses and bounds only the columns
/// it needs, so damage makes only the methods fail that need the damaged column.
pub struct OpenChunk<'a> {
    bytes: &'a [u8],
    header: Header,
    form: &'static [Column],
    offsets: [usize; Column::Walks as usize + 1],
}

/// Checks a chunk's header and returns the opened chunk.
pub fn open(bytes: &[u8]) -> Result<OpenChunk<'_>, FormatError> {
    let (magic, header, mut offset): (_, Header, usize) = read_header(bytes)?;
    let part = HEADER;
    let form = match magic {
        MAGIC => DIRECT,
        CONTROL_MAGIC => CONTROL,
        _ => return Err(FormatError::invalid(part, 0, "does not begin with the magic of a chunk")),
    };
    if header.columns.len() != form.len() || header.events as usize > EVENTS_MAX {
        return Err(FormatError::invalid(part, PREFIX, "impossible number of columns or events"));
    }
    let mut offsets = [0; Column::Walks as usize + 1];
    for (column, described) in form.iter().zip(&header.columns) {
        offsets[*column as usize] = offset;
        offset += described.packed as usize;
    }
    Ok(OpenChunk { bytes, header, form, offsets })
}

/// Reads the beginning of a chunk of any form. Returns its magic, its header, and the offset of the
/// first column.
pub(crate) fn read_header<H: bincode::Decode<()>>(
    bytes: &[u8],
) -> Result<([u8; 4], H, usize), FormatError> {
    let part = HEADER;
    let truncated = |needed| FormatError::Truncated { part, offset: 0, needed, found: bytes.len() };
    let prefix: &[u8; PREFIX] = bytes.first_chunk().ok_or_else(|| truncated(PREFIX))?;
    let magic = [prefix[0], prefix[1], prefix[2], prefix[3]];
    if ![MAGIC, CONTROL_MAGIC, VALUES_MAGIC].contains(&magic) {
        return Err(FormatError::invalid(part, 0, "does not begin with the magic of a chunk"));
    }
    let word = |at: usize| {
        u32::from_le_bytes([prefix[at], prefix[at + 1], prefix[at + 2], prefix[at + 3]])
    };
    let length = word(4) as usize;
    let xxh3 = u64::from(word(8)) | u64::from(word(12)) << 32;
    if length > HEADER_BYTES_MAX {
        return Err(FormatError::invalid(part, 4, "longer than a header may be"));
    }
    let header = bytes.get(PREFIX..PREFIX + length).ok_or_else(|| truncated(PREFIX + length))?;
    if xxh3_64(header) != xxh3 {
        return Err(FormatError::Checksum { part, offset: PREFIX });
    }
    let (header, _): (H, usize) = bincode::decode_from_slice(header, bounded::<HEADER_BYTES_MAX>())
        .map_err(|error| FormatError::invalid(part, PREFIX, error))?;
    Ok((magic, header, PREFIX + length))
}

impl OpenChunk<'_> {
    /// The number of events.
    pub fn events(&self) -> usize {
        self.header.events as usize
    }

    /// See [`Columns::first_ns`].
    pub fn first_ns(&self) -> u64 {
        self.header.first_ns
    }

    /// Whether it is a chunk of a derived recording.
    pub fn is_control(&self) -> bool {
        self.form == CONTROL
    }

    fn raw(&self, column: Column) -> Result<(Vec<u8>, usize), FormatError> {
        let (part, offset) = (column.name(), self.offsets[column as usize]);
        let Some(index) = self.form.iter().position(|other| *other == column) else {
            return Err(FormatError::invalid(part, 0, "not in a chunk of this form"));
        };
        let column = self.header.columns[index];
        if column.count > self.header.events.max(1) {
            return Err(FormatError::invalid(part, offset, "longer than a column may be"));
        }
        let raw = column.read(self.bytes, part, offset, COLUMN_BYTES_MAX)?;
        Ok((raw, column.count as usize))
    }

    fn ints<T: Int>(&self, column: Column) -> Result<Vec<T>, FormatError> {
        let (raw, count) = self.raw(column)?;
        unpack(&raw, count).ok_or_else(|| {
            FormatError::invalid(column.name(), self.offsets[column as usize], "malformed integers")
        })
    }

    /// See [`Columns::kinds`]. All numbers are below [`EventKind::LIMIT`].
    pub fn kinds(&self) -> Result<Vec<u8>, FormatError> {
        let (kinds, _) = self.raw(Column::Kinds)?;
        let bad = |what| FormatError::invalid(Column::Kinds.name(), self.offsets[0], what);
        if kinds.len() != self.events() {
            return Err(bad("not one entry per event"));
        }
        if kinds.iter().any(|kind| *kind >= EventKind::LIMIT) {
            return Err(bad("not the number of an event kind"));
        }
        Ok(kinds)
    }

    /// See [`Columns::places`].
    pub fn places(&self) -> Result<Vec<u32>, FormatError> {
        let places: Vec<u32> = self.ints(Column::Places)?;
        if places.len() != self.events() {
            let offset = self.offsets[Column::Places as usize];
            return Err(FormatError::invalid(
                Column::Places.name(),
                offset,
                "not one entry per event",
            ));
        }
        Ok(places)
    }

    /// See [`Columns::runs`] and [`Columns::contexts`]. The lengths add up to [`Self::events`], and
    /// the contexts exist.
    pub fn runs(&self) -> Result<(Vec<Run>, Vec<Context>), FormatError> {
        let contexts = self.contexts()?;
        let events: Vec<u32> = self.ints(Column::RunEvents)?;
        let indexes: Vec<u32> = self.ints(Column::RunContexts)?;
        let total: u64 = events.iter().map(|n| u64::from(*n)).sum();
        if events.len() != indexes.len()
            || total != self.events() as u64
            || indexes.iter().any(|i| *i as usize >= contexts.len())
        {
            let offset = self.offsets[Column::RunEvents as usize];
            return Err(FormatError::invalid(
                Column::RunEvents.name(),
                offset,
                "runs do not match the events",
            ));
        }
        let runs = events.into_iter().zip(indexes);
        Ok((runs.map(|(events, context)| Run { events, context }).collect(), contexts))
    }

    /// See [`Columns::contexts`].
    pub fn contexts(&self) -> Result<Vec<Context>, FormatError> {
        let threads: Vec<u32> = self.ints(Column::ContextThreads)?;
        let codes: Vec<u32> = self.ints(Column::ContextCodes)?;
        if threads.len() != codes.len() {
            let offset = self.offsets[Column::ContextCodes as usize];
            return Err(FormatError::invalid(Column::ContextCodes.name(), offset, "not in pairs"));
        }
        let pairs = threads.into_iter().zip(codes);
        Ok(pairs.map(|(thread, code)| Context { thread, code }).collect())
    }

    /// See [`Columns::targets`]. The caller has to check that there are as many as `kinds`
    /// requires, here and for the columns below.
    pub fn targets(&self) -> Result<Vec<u32>, FormatError> {
        self.ints(Column::Targets)
    }

    /// See [`Columns::times`].
    pub fn times(&self) -> Result<Vec<u64>, FormatError> {
        self.ints(Column::Times)
    }

    /// See [`Columns::callables`].
    pub fn callables(&self) -> Result<Vec<u32>, FormatError> {
        self.ints(Column::Callables)
    }

    /// See [`Columns::exceptions`].
    pub fn exceptions(&self) -> Result<Vec<u32>, FormatError> {
        self.ints(Column::Exceptions)
    }

    /// See [`Columns::resumed`].
    pub fn resumed(&self) -> Result<Vec<u64>, FormatError> {
        self.ints(Column::Resumed)
    }

    /// See [`Columns::state`].
    pub fn state(&self) -> Result<State, FormatError> {
        self.decoded(Column::State)
    }

    fn decoded<T: bincode::Decode<()>>(&self, column: Column) -> Result<T, FormatError> {
        let (raw, _) = self.raw(column)?;
        let (value, _) =
            bincode::decode_from_slice(&raw, bounded::<COLUMN_BYTES_MAX>()).map_err(|error| {
                let offset = self.offsets[column as usize];
                FormatError::invalid(column.name(), offset, error)
            })?;
        Ok(value)
    }

    /// Returns all columns, with every check across columns. `dashcam check` uses this.
    pub fn columns(&self) -> Result<Columns, FormatError> {
        let (runs, contexts) = self.runs()?;
        let columns = Columns {
            first_ns: self.first_ns(),
            kinds: self.kinds()?,
            places: self.places()?,
            runs,
            contexts,
            targets: self.targets()?,
            times: self.times()?,
            callables: self.callables()?,
            exceptions: self.exceptions()?,
            resumed: self.resumed()?,
            state: self.state()?,
            implied: Vec::new(),
            nones: Vec::new(),
        };
        columns.check()?;
        Ok(columns)
    }
}

/// Returns the xxh3-64 of the parts of a code object that events are derived from:
/// `code_objects.code_xxh3`.
pub fn code_xxh3(first_line: u32, parts: [&[u8]; 3]) -> i64 {
    let mut bytes = first_line.to_le_bytes().to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    xxh3_64(&bytes).cast_signed()
}

/// The columns of a row of `chunks` besides the data. Queries use them to skip chunks, so they have
/// a hash of their own, `chunks.row_xxh3`.
#[derive(Debug, Clone, Copy)]
pub struct Statistics<'a> {
    pub run_id: i64,
    pub process_id: i64,
    pub first_seq: i64,
    pub event_count: i64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub first_wall_ns: i64,
    pub last_wall_ns: i64,
    pub kinds: i64,
    pub first_ordinal: i64,
    /// See [`header_xxh3`].
    pub header_xxh3: i64,
    /// The stored bytes of both columns.
    pub threads: &'a [u8],
    pub codes: &'a [u8],
}

impl Statistics<'_> {
    /// Returns the xxh3-64 of the numbers in the order of declaration and the number of bytes in
    /// `threads`, all as i64, then the bytes of `threads` and `codes`.
    pub fn xxh3(&self) -> i64 {
        let threads = self.threads.len() as i64;
        let numbers = [
            self.run_id,
            self.process_id,
            self.first_seq,
            self.event_count,
            self.first_ns,
            self.last_ns,
            self.first_wall_ns,
            self.last_wall_ns,
            self.kinds,
            self.first_ordinal,
            self.header_xxh3,
            threads,
        ];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(self.threads);
        bytes.extend_from_slice(self.codes);
        xxh3_64(&bytes).cast_signed()
    }
}

/// The columns of a row of `value_chunks` besides the data, as [`Statistics`] for `chunks`.
#[derive(Debug, Clone, Copy)]
pub struct ValueStatistics<'a> {
    pub run_id: i64,
    pub process_id: i64,
    /// The number of the chunk among the chunks of values of its process, from 0.
    pub number: i64,
    /// The chunk has all values of events with ordinals from this one up to `covers_to`, exclusive.
    pub covers_from: i64,
    pub covers_to: i64,
    pub first_ordinal: i64,
    pub last_ordinal: i64,
    pub group_count: i64,
    /// See [`header_xxh3`].
    pub header_xxh3: i64,
    /// The stored bytes.
    pub told: &'a [u8],
}

impl ValueStatistics<'_> {
    /// Returns the xxh3-64 of the numbers in the order of declaration, then the bytes of `told`.
    pub fn xxh3(&self) -> i64 {
        let numbers = [
            self.run_id,
            self.process_id,
            self.number,
            self.covers_from,
            self.covers_to,
            self.first_ordinal,
            self.last_ordinal,
            self.group_count,
            self.header_xxh3,
        ];
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        bytes.extend_from_slice(self.told);
        xxh3_64(&bytes).cast_signed()
    }
}

/// Returns the hash of the chunk's header, which ties a chunk to its row, since the header has the
/// hash of each column. Returns 0 if the bytes are too few for a chunk.
pub fn header_xxh3(data: &[u8]) -> i64 {
    let hash = data.get(8..).and_then(|rest| rest.first_chunk());
    hash.map_or(0, |hash| i64::from_le_bytes(*hash))
}

/// Whether an event of this kind has an entry in [`Columns::targets`]. Kinds that a later CPython
/// adds have one too; it is 0 if the event carried no target.
pub const fn has_target(kind: EventKind) -> bool {
    kind.has_target() || kind.number() >= EventKind::KNOWN
}

/// An integer type of columns.
pub(crate) trait Int: Copy + Default + std::ops::BitOr<Output = Self> {
    fn wide(self) -> u64;
    fn narrow(value: u64) -> Option<Self>;
    // The bytes are methods of the type, so that loops over a column work in the type's own width.
    fn byte_0(self) -> u8;
    fn byte_1(self) -> u8;
    fn byte_2(self) -> u8;
    fn byte_3(self) -> u8;
    /// The integer with these bytes, lowest first.
    fn join(bytes: [u8; 4]) -> Self;
}

macro_rules! int {
    ($($type:ty)*) => {
        $(impl Int for $type {
            fn wide(self) -> u64 {
                self.into()
            }
            fn narrow(value: u64) -> Option<$type> {
                value.try_into().ok()
            }
            fn byte_0(self) -> u8 {
                self as u8
            }
            fn byte_1(self) -> u8 {
                (self >> 8) as u8
            }
            fn byte_2(self) -> u8 {
                (self >> 16) as u8
            }
            fn byte_3(self) -> u8 {
                (self >> 24) as u8
            }
            fn join(bytes: [u8; 4]) -> $type {
                u32::from_le_bytes(bytes).into()
            }
        })*
    };
}

int!(u32 u64);

/// Appends integers in the fixed width that takes the fewest bytes:
/// `width (1, 2 or 4) · u32 exceptions · (u32 index · u64 value)… · planes`.
/// Each plane has one byte of every value, the lowest bytes first. Neighbouring values have similar
/// high bytes, so these compress to almost nothing. A value too wide for its place is 0 there and
/// is among the exceptions.
fn pack<T: Int>(values: &[T], out: &mut Vec<u8>) {
    // In most columns all values are narrow. Combining their bits shows that faster than counting.
    let all = values.iter().fold(T::default(), |all, value| all | *value).wide();
    let over = |limit: u64| {
        if all <= limit { 0 } else { values.iter().filter(|v| v.wide() > limit).count() }
    };
    let (width, over) = [(1usize, over(0xff)), (2, over(0xffff)), (4, over(0xffff_ffff))]
        .into_iter()
        .min_by_key(|(width, over)| values.len() * width + over * 12)
        .unwrap_or((4, 0));
    out.reserve(5 + over * 12 + values.len() * width);
    out.push(width as u8);
    out.extend_from_slice(&(over as u32).to_le_bytes());
    let limit = (1u64 << (8 * width)) - 1;
    let too_wide = || values.iter().enumerate().filter(|(_, v)| v.wide() > limit).take(over);
    for (index, value) in too_wide() {
        out.extend_from_slice(&(index as u32).to_le_bytes());
        out.extend_from_slice(&value.wide().to_le_bytes());
    }
    let start = out.len();
    out.extend(values.iter().map(|value| value.byte_0()));
    if width >= 2 {
        out.extend(values.iter().map(|value| value.byte_1()));
    }
    if width == 4 {
        out.extend(values.iter().map(|value| value.byte_2()));
        out.extend(values.iter().map(|value| value.byte_3()));
    }
    for (index, _) in too_wide() {
        (0..width).for_each(|plane| out[start + plane * values.len() + index] = 0);
    }
}

/// The inverse of [`pack`]. Returns `None` if the bytes were not made by it.
pub(crate) fn unpack<T: Int>(bytes: &[u8], count: usize) -> Option<Vec<T>> {
    let (&width, rest) = bytes.split_first()?;
    let (over, rest) = rest.split_first_chunk::<4>()?;
    let over = u32::from_le_bytes(*over) as usize;
    if over > count {
        return None;
    }
    let (entries, rest) = rest.split_at_checked(over * 12)?;
    if rest.len() != count * usize::from(width) {
        return None;
    }
    let plane = |i: usize| &rest[i * count..(i + 1) * count];
    let mut values: Vec<T> = match width {
        1 => rest.iter().map(|byte| T::join([*byte, 0, 0, 0])).collect(),
        2 => plane(0).iter().zip(plane(1)).map(|(a, b)| T::join([*a, *b, 0, 0])).collect(),
        4 => {
            let low = plane(0).iter().zip(plane(1));
            let high = plane(2).iter().zip(plane(3));
            low.zip(high).map(|((a, b), (c, d))| T::join([*a, *b, *c, *d])).collect()
        }
        _ => return None,
    };
    for entry in entries.as_chunks::<12>().0 {
        let (index, value) = entry.split_first_chunk::<4>()?;
        let value = u64::from_le_bytes(value.try_into().ok()?);
        *values.get_mut(u32::from_le_bytes(*index) as usize)? = T::narrow(value)?;
    }
    Some(values)
}

#[cfg(test)]
mod tests;
