//! Records what variables hold. Values are read at events and go through a ring of their own.
//!
//! A value is written into a buffer that is allocated in advance and then copied into the ring in
//! one go: no allocation, no lock, no system call, no user code. Work that takes longer is done
//! once for each class or shape, and its result is kept.
//!
//! An object is examined each time it occurs. It is described only if its contents differ from
//! those described last, which a hash of the words shows. So a description never relies on an
//! address alone, which may belong to another object by now.

mod buffer;
mod called;
mod calls;
mod changed;
mod classes;
mod described;
mod state;
mod unsure;

use super::ffi::objects::{Attributes, Characters, Int, Layout, Number, Plain, verify_contents};
use super::ffi::standard::{Field, Matched};
use super::ffi::{Frame, Frames, HiddenTypes, Obj};
use super::memory;
use super::state::Patience;
use super::{clock, cost};
use crate::boot::OBJECTS_MAX;
use crate::ring::{Clock, Gone, Producer, Ring};
use arrayvec::ArrayVec;
use buffer::{Buffer, RESERVE};
use calls::CallSites;
use classes::{Classes, DEFINITION_WORDS, FORM_WORDS, FORMS_BEGIN_MAX, Name, Names};
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::value::names::{self, Withheld};
use dashcam_schema::value::words::{self, GROUP_WORDS_MAX, INLINE_BYTES, constant};
use dashcam_schema::value::{GroupKind, Limits, Sort};
use described::{Descriptions, Known, Sized, Validity};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// The most words of a group with its objects, definitions included. An event may have several
/// groups.
const GROUP_AND_FRESH_MAX: usize = 3 * GROUP_WORDS_MAX;
/// Definitions beyond this many words wait for another event.
const FRESH_WORDS_MAX: usize = GROUP_WORDS_MAX / 4;
/// This many values always have room, whatever they are.
const VALUES_FEW: usize = (GROUP_WORDS_MAX - 2 * RESERVE) / VALUE_WORDS;
/// The most words that a value takes.
const VALUE_WORDS: usize = 1 + INLINE_BYTES.div_ceil(4);
/// Groups with more values are skipped. A module may have this many variables.
const VALUES_MAX: usize = GROUP_WORDS_MAX - 3 * RESERVE;
/// The most attributes that are recorded of one instance, whatever the limits.
const ATTRIBUTES_MAX: usize = 200;
/// The same for arguments of a call.
const ARGUMENTS_MAX: usize = 1000;
/// The most objects that are examined for one function, and for all functions together, between two
/// epochs (a quarter of a second or less). These limits apply where changes are not recorded, so
/// that each object has to be examined every time.
const EXAMINED_PER_FUNCTION: u32 = 250;
const EXAMINED_IN_TOTAL: u32 = 200 * EXAMINED_PER_FUNCTION;
/// The same at level `state`. Changes are recorded there, but an object may still have to be
/// examined each time it occurs.
const STATE_EXAMINED_PER_FUNCTION: u32 = 4000;
const STATE_EXAMINED_IN_TOTAL: u32 = EXAMINED_IN_TOTAL;
/// At level `state` the limits apply only after this many examinations, which take some seconds:
/// most programs are recorded completely.
const STATE_EXAMINED_FREELY: u32 = 2_000_000;
/// Words for items that are kept but not shown with their container: earned per event, the most for
/// one container, and the most that can be saved, which is also there at the beginning.
const CREDIT_PER_EVENT: u32 = 1;
const CREDIT_OF_ONE: u32 = 1 << 13;
const CREDIT_MAX: u32 = 1 << 19;
/// Below this credit, containers that code in C has changed are described without items that are
/// not shown.
const CREDIT_LOW: u32 = CREDIT_MAX / 2;
/// Words of an object of which only the class is recorded.
const CLASS_WORDS: usize = 4;
/// The most objects that are described for one event because they are items that are not shown.
const BEYOND_MAX: usize = 1 << 10;
/// The reserve holds the attributes of one object, which take the most, the classes of the objects
/// that are due, and digits.
const _: () = assert!(RESERVE > 8 * ATTRIBUTES_MAX + CLASS_WORDS * OBJECTS_MAX + 512);
/// Definitions up to the limit from which they wait, a form, a shape, and the classes of all
/// objects that are due or not shown.
const _: () = assert!(
    GROUP_AND_FRESH_MAX - GROUP_WORDS_MAX
        > FRESH_WORDS_MAX
            + FORM_WORDS
            + (ATTRIBUTES_MAX + OBJECTS_MAX + BEYOND_MAX) * DEFINITION_WORDS
);
const _: () = assert!(FORMS_BEGIN_MAX <= FRESH_WORDS_MAX);
/// The time to examine objects is measured each time from this many objects on, and for a container
/// with more items than this.
const MANY_OBJECTS: usize = 8;
const MANY_ITEMS: usize = 64;

/// The number of instances for which the place of their attributes is remembered.
const INSTANCE_DICTS: usize = 1 << 12;

/// Sentinel depths: record only the class; contents changed in an unknown way.
const CLASS_ONLY: u32 = u32::MAX;
const LOST: u32 = u32::MAX - 1;

/// Counts the objects that were examined where each has to be examined every time.
#[derive(Default)]
struct Budget {
    /// Since the last epoch: by number of the code object they were examined for, and in total.
    by_code: Vec<u32>,
    total: u32,
    /// Since the beginning of the recording.
    used: u32,
}

impl Budget {
    fn take(&mut self, number: u32, used: u32) {
        if self.by_code.len() <= number as usize {
            self.by_code.resize(number as usize + 1, 0);
        }
        self.by_code[number as usize] += used;
        self.total = self.total.saturating_add(used);
        self.used = self.used.saturating_add(used);
    }

    fn begin_epoch(&mut self) {
        self.by_code.fill(0);
        self.total = 0;
    }
}

/// An object that is to be examined.
#[derive(Clone, Copy)]
struct Due<'a> {
    object: Obj<'a>,
    /// [`CLASS_ONLY`] if only the class is to be recorded.
    depth: u32,
}

/// What is recorded besides the arguments and results of Python functions.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Variables and objects.
    pub(super) state: bool,
    /// The arguments of calls of C code.
    pub(super) calls: bool,
}

/// Records values.
pub(super) struct Values {
    producer: Producer,
    /// There was no room for something that was to be recorded: nothing more can be recorded.
    is_over: bool,
    patience: Patience,
    frames: Frames,
    limits: Limits,
    /// Longer strs and bytes are objects.
    inline: usize,
    epoch: u32,
    described: Descriptions,
    classes: Classes,
    names: Names,
    buffer: Buffer,
    /// Per code object, by number: where the treatments of its arguments begin.
    codes: Vec<Arguments>,
    treatments: Vec<Treatment>,
    examinations: Budget,
    /// For the arguments of calls of C code, counted apart so that they do not use up the budget of
    /// all other values.
    examinations_of_calls: Budget,
    yields: Yields,
    version: Version,
    /// The arguments of calls of C code are recorded.
    has_calls: bool,
    /// By number of the code object.
    call_sites: Vec<Option<Rc<CallSites>>>,
    /// For [`Capture::State`].
    state: Option<Box<state::Capturing>>,
    /// The instruction that is about to be executed may change objects without a record.
    doubts_next: bool,
    /// Where instances were seen to have their attributes: the address of a dict or of values, and
    /// the address of the instance. Each pair has one place. Some addresses may belong to other
    /// objects by now.
    instance_dicts: Box<[(usize, usize)]>,
    /// Steps that are left for finding objects that code in C may change at any time.
    steps: u32,
    /// Words that are left for items that are not shown, and the ordinal at which they were last
    /// counted.
    credit: u32,
    credited_at: u64,
    /// The ordinal of the event that is being recorded.
    ordinal: u64,
    /// The clock of the events' records.
    clock: Clock,
    /// Addresses of items that are not shown and still have to be described, of one event.
    beyond: Vec<usize>,
}

/// By code object and code unit of a yield: the slot of the value that is sent.
#[derive(Default)]
struct Yields {
    slots: FxHashMap<(u32, u32), u32>,
    /// Some of those; each has one place. They are looked up at every yield.
    recent: [Option<((u32, u32), u32)>; 32],
}

impl Yields {
    fn place(key: (u32, u32)) -> usize {
        (key.0.wrapping_mul(5) ^ key.1 ^ key.1 >> 5) as usize % 32
    }

    #[inline]
    fn insert(&mut self, key: (u32, u32), slot: u32) {
        let recent = &mut self.recent[Self::place(key)];
        if *recent != Some((key, slot)) {
            *recent = Some((key, slot));
            self.slots.insert(key, slot);
        }
    }

    #[inline]
    fn get(&self, key: (u32, u32)) -> Option<u32> {
        match self.recent[Self::place(key)] {
            Some((known, slot)) if known == key => Some(slot),
            _ => self.slots.get(&key).copied(),
        }
    }
}

/// The arguments of a code object.
#[derive(Clone, Copy, Default)]
struct Arguments {
    first: u32,
    count: u16,
    /// None of them needs special treatment.
    is_plain: bool,
}

/// How an argument is recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Plain,
    /// It is in a cell.
    Cell,
    Withheld(Withheld),
}

/// Whether a value must not be recorded, given what is withheld under its name.
#[inline(always)]
fn withholds(withheld: Withheld, value: Obj<'_>) -> bool {
    withheld != Withheld::Nothing && withholds_some(withheld, value)
}

fn withholds_some(withheld: Withheld, value: Obj<'_>) -> bool {
    match withheld {
        Withheld::Nothing => false,
        // The contents of a cell may change where its name is not known.
        _ if value.is_cell() => true,
        Withheld::LikeKeys => value.is_text() && is_like_key(value),
        Withheld::Texts => value.is_text() || value.may_hold_texts(2),
        Withheld::All => true,
    }
}

fn is_like_key(text: Obj<'_>) -> bool {
    let is_long = text.text_length() > names::TOKEN_MAX;
    is_long || text.ascii().is_some_and(|text| names::is_like_key(text.as_bytes()))
}

impl Values {
    /// Returns a recorder of values that writes into `ring`.
    ///
    /// # Errors
    /// If objects do not lie in memory as this code reads them; a sentence that says what does not
    /// fit.
    pub(super) fn new(
        ring: Ring,
        frames: Frames,
        limits: Limits,
        redacted: &[String],
        hidden: HiddenTypes,
        version: Version,
        wanted: Wanted,
    ) -> Result<Values, &'static str> {
        verify_contents()?;
        Ok(Values {
            producer: Producer::new(ring, Clock::Monotonic),
            is_over: false,
            patience: Patience::default(),
            frames,
            limits,
            inline: INLINE_BYTES.min(limits.string as usize),
            epoch: 0,
            described: Descriptions::new(wanted.state),
            classes: Classes::default(),
            names: Names::new(hidden, redacted),
            buffer: Buffer::default(),
            codes: Vec::new(),
            treatments: Vec::new(),
            examinations: Budget::default(),
            examinations_of_calls: Budget::default(),
            yields: Yields::default(),
            version,
            has_calls: wanted.calls,
            call_sites: Vec::new(),
            state: wanted.state.then(|| Box::new(state::Capturing::new(version))),
            doubts_next: false,
            instance_dicts: vec![(0, 0); INSTANCE_DICTS].into(),
            steps: state::STEPS_SAVED_MAX,
            credit: CREDIT_MAX,
            credited_at: 0,
            ordinal: 0,
            clock: clock::choose(),
            beyond: Vec::with_capacity(BEYOND_MAX),
        })
    }

    pub(super) fn producer(&mut self) -> &mut Producer {
        &mut self.producer
    }

    /// Whether the arguments of calls of C code are recorded.
    #[inline(always)]
    pub(super) fn has_calls(&self) -> bool {
        self.has_calls
    }

    /// Sets which recorder is waited for when there is no room, and how long.
    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Waits until [`Values::has_room`].
    ///
    /// # Errors
    /// If nothing more can be recorded: the nanoseconds it could still have waited.
    #[cold]
    pub(super) fn make_room(&mut self) -> Result<(), u64> {
        if self.is_over {
            return Err(0);
        }
        let mut patience = self.patience;
        let began = cost::begin(self.clock);
        let waited = self.producer.wait(GROUP_AND_FRESH_MAX, patience.pause());
        cost::end(self.clock, began);
        self.is_over = waited.is_err();
        waited.map_err(|Gone| patience.left_ns)
    }

    /// Registers a code object. Code objects are registered in the order of their numbers.
    pub(super) fn define_code(&mut self, arguments: &[String], cells: &[String]) {
        let first = self.treatments.len() as u32;
        let arguments = &arguments[..arguments.len().min(ARGUMENTS_MAX)];
        for name in arguments {
            let is_cell = cells.contains(name);
            self.treatments.push(match self.names.withheld(name) {
                Withheld::Nothing if is_cell => Treatment::Cell,
                Withheld::Nothing => Treatment::Plain,
                _ if is_cell => Treatment::Withheld(Withheld::All),
                withheld => Treatment::Withheld(withheld),
            });
        }
        let is_plain = self.treatments[first as usize..].iter().all(|t| *t == Treatment::Plain);
        self.codes.push(Arguments { first, count: arguments.len() as u16, is_plain });
    }

    /// Whether there is room for a group, so that [`Values::record`] need not wait.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        self.producer.room_for(GROUP_AND_FRESH_MAX)
    }

    /// Returns how many more objects may be examined for a code object in this epoch, for a group
    /// of this kind.
    #[inline(always)]
    fn left(&self, number: u32, kind: GroupKind) -> u32 {
        let budget = self.budget(kind);
        let (each, all) = match self.state {
            None => (EXAMINED_PER_FUNCTION, EXAMINED_IN_TOTAL),
            Some(_) if self.described.is_lasting() => return u32::MAX,
            Some(_) if budget.used < STATE_EXAMINED_FREELY => {
                return STATE_EXAMINED_FREELY - budget.used;
            }
            Some(_) => (STATE_EXAMINED_PER_FUNCTION, STATE_EXAMINED_IN_TOTAL),
        };
        let by_code = budget.by_code.get(number as usize).copied().unwrap_or(0);
        each.saturating_sub(by_code).min(all.saturating_sub(budget.total))
    }

    #[inline(always)]
    fn budget(&self, kind: GroupKind) -> &Budget {
        if kind == GroupKind::Handed { &self.examinations_of_calls } else { &self.examinations }
    }

    /// Notes that there is code that is not recorded and may change objects at any time.
    pub(super) fn suspect(&mut self) {
        self.described.suspect();
    }

    /// Notes that something may just have changed objects without a record.
    pub(super) fn doubt(&mut self) {
        self.described.doubt();
    }

    /// Notes that `tracemalloc` was switched on or off.
    pub(super) fn keep_tracing(&mut self) {
        self.described.keep_tracing();
    }

    /// Records the arguments of the call that begins in the running frame.
    #[inline]
    pub(super) fn record_arguments(&mut self, (ordinal, number): (u64, u32), code: Obj<'_>) {
        self.note_entered(code);
        let Some(known) = self.codes.get(number as usize).copied() else { return };
        // Code that is not Python's has events too, but no frames.
        let Some(frame) = self.frames.running_of(code) else { return };
        let count = usize::from(known.count);
        let arguments = self.frames.locals(frame, count);
        if known.is_plain {
            return self.record((ordinal, number), GroupKind::Arguments, count, arguments);
        }
        let treatments = std::mem::take(&mut self.treatments);
        let from = known.first as usize;
        let treated = arguments.zip(&treatments[from..from + count]);
        let given = treated.map(|(argument, treatment)| match treatment {
            Treatment::Plain => Given::Value(argument),
            Treatment::Cell => Given::Value(argument.and_then(Obj::cell)),
            Treatment::Withheld(withheld) => match argument {
                Some(value) if withholds(*withheld, value) => Given::Redacted,
                argument => Given::Value(argument),
            },
        });
        self.record_given((ordinal, number), GroupKind::Arguments, count, given);
        self.treatments = treatments;
    }

    /// The frame that called the running one, which an event of this code object has just entered.
    pub(super) fn caller_of_entered(&self, code: Obj<'_>) -> Option<Frame> {
        self.frames.caller_of_entered(code.address())
    }

    /// Notes that the running frame yields, in the instruction at `unit` of the code object with
    /// this number.
    pub(super) fn note_yield(&mut self, number: u32, unit: u32, code: Obj<'_>) {
        if let Some(slot) =
            self.frames.running_of(code).and_then(|frame| self.frames.slot_of_sent(frame))
        {
            self.yields.insert((number, unit), slot);
        }
    }

    /// Returns the value sent to the running frame, which resumes with the instruction at `unit`.
    pub(super) fn sent<'a>(&self, number: u32, unit: u32, code: Obj<'a>) -> Option<Obj<'a>> {
        // The instruction before it is the one that yielded.
        let slot = self.yields.get((number, unit.wrapping_sub(1)))?;
        let frame = self.frames.running_of(code)?;
        self.frames.sent(frame, slot)
    }

    /// Records the values that come with an event.
    #[inline]
    pub(super) fn record<'a>(
        &mut self,
        (ordinal, number): (u64, u32),
        kind: GroupKind,
        count: usize,
        values: impl Iterator<Item = Option<Obj<'a>>>,
    ) {
        self.record_given((ordinal, number), kind, count, values.map(Given::Value));
    }

    #[inline]
    fn record_given<'a>(
        &mut self,
        at: (u64, u32),
        kind: GroupKind,
        count: usize,
        values: impl Iterator<Item = Given<'a>>,
    ) {
        let (is_long, mut left) = (count > VALUES_FEW, count);
        self.record_with(at, kind, count, |walk| {
            for value in values {
                left = left.wrapping_sub(1);
                match value {
                    Given::Value(Some(_)) if is_long && !walk.has_room_for_value(left) => {
                        walk.constant(constant::UNREAD);
                    }
                    value => walk.put_given(value),
                }
            }
        });
    }

    /// Records a group of `count` values, which `put` writes.
    #[inline]
    fn record_with<'a>(
        &mut self,
        (ordinal, number): (u64, u32),
        kind: GroupKind,
        count: usize,
        put: impl FnOnce(&mut Walk<'_, 'a>),
    ) {
        // An event may have many groups.
        if !self.has_room() && self.make_room().is_err() {
            return;
        }
        self.follow_epoch(ordinal);
        if count > VALUES_MAX {
            return (0..count).for_each(|_| self.producer.count_skipped());
        }
        self.ordinal = ordinal;
        self.buffer.clear();
        self.buffer.put(words::word(words::GROUP, kind as u32));
        self.buffer.put(ordinal as u32);
        self.buffer.put(count as u32);
        let left = self.left(number, kind);
        let most = self.limits.objects as usize;
        let objects = if kind.is_of_frame() { most * count.max(1) } else { most };
        // Built in place, because it is large.
        let mut walk = Walk {
            values: self,
            due: ArrayVec::new(),
            examined: 0,
            left,
            objects,
            found_replaced: false,
            is_second_pass: false,
            written: 0,
            is_change: kind == GroupKind::Seen,
        };
        put(&mut walk);
        let bare = walk.values.buffer.len();
        walk.examine_due();
        if walk.found_replaced && !walk.values.described.traces() {
            // An object that holds the replaced one holds the same address as before, but another
            // object.
            walk.values.buffer.truncate(bare);
            walk.is_second_pass = true;
            walk.examine_due();
        }
        let (used, has_due) = (left - walk.left, !walk.due.is_empty());
        if used > 0 && !self.described.is_lasting() {
            let budget = match kind {
                GroupKind::Handed => &mut self.examinations_of_calls,
                _ => &mut self.examinations,
            };
            budget.take(number, used);
        }
        let may_be_idle = kind == GroupKind::Seen || kind == GroupKind::Done && has_due;
        if may_be_idle && self.buffer.len() == bare {
            // Nothing has changed.
            return;
        }
        self.push();
    }

    fn note_attributes(&mut self, object: Obj<'_>, attributes: &Attributes<'_>) {
        let at = match attributes {
            Attributes::None => return,
            Attributes::Dict(dict) => dict.address(),
            Attributes::Shared { values, .. } => *values as usize,
        };
        if self.state.is_some() {
            self.instance_dicts[place_of_attributes(at)] = (at, object.address());
        }
    }

    /// Notes that a dict is changed that may hold the attributes of an instance. The instance
    /// itself is not known here. `is_once` if the change is over before the next event.
    fn note_hidden_owner(&mut self, dict: Obj<'_>, is_once: impl FnOnce() -> bool) {
        if !dict.is_dict() {
            return;
        }
        let owner_of = |at: usize| {
            let (known, owner) = self.instance_dicts[place_of_attributes(at)];
            (known == at).then_some(owner)
        };
        let values = dict.split_values();
        // From 3.13 on, their sizes stand before the values.
        let by_values = || values.and_then(|at| owner_of(at).or_else(|| owner_of(at + 8)));
        match owner_of(dict.address()).or_else(by_values) {
            Some(owner) => {
                let given_up = self.described.suspect_hidden(owner, is_once());
                (0..given_up).for_each(|_| self.producer.count_skipped());
            }
            None if values.is_some() => self.described.doubt(),
            None => {}
        }
    }

    /// Whether an object may be another one than the object described at its address, and that
    /// matters: an object may be shown by a description that is much older.
    #[inline(always)]
    fn may_be_another(&self) -> bool {
        self.state.is_some() && !self.described.traces()
    }

    fn fresh_words(&self) -> usize {
        self.classes.fresh.len() + self.names.fresh.len()
    }

    /// Copies the buffer into the ring.
    #[inline]
    fn push(&mut self) {
        if self.fresh_words() > 0 {
            memory::secure();
            if memory::is_short() {
                // Names may be missing. Recording ends with the next event.
                return;
            }
        }
        let mut words = self.producer.begin();
        // Definitions come before what uses them.
        for word in self.classes.fresh.iter().chain(self.names.fresh.iter()) {
            words.put(*word);
        }
        self.classes.fresh.clear();
        self.names.fresh.clear();
        for word in self.buffer.words() {
            words.put(*word);
        }
        self.producer.end(words);
    }

    /// Begins an epoch if the recorder has asked for one.
    #[inline(always)]
    fn follow_epoch(&mut self, ordinal: u64) {
        if self.doubts_next {
            self.doubts_next = false;
            self.described.doubt();
        }
        let epoch = self.producer.wanted_epoch();
        if epoch != self.epoch {
            self.begin_epoch(epoch, ordinal);
        }
    }

    /// Begins an epoch: everything is described anew from here on.
    #[cold]
    fn begin_epoch(&mut self, epoch: u32, ordinal: u64) {
        self.epoch = epoch;
        self.described.begin_epoch();
        self.classes.begin_epoch();
        self.names.begin_epoch();
        self.examinations.begin_epoch();
        self.examinations_of_calls.begin_epoch();
        let mut words = self.producer.begin();
        words.put(words::word(words::EPOCH, 0));
        words.put(ordinal as u32);
        words.put((ordinal >> 32) as u32);
        self.producer.end(words);
    }
}

enum Given<'a> {
    Value(Option<Obj<'a>>),
    Redacted,
    Unread,
    Constant(u32),
    /// An object of which only the class is recorded.
    Shallow(Obj<'a>),
    /// An object that is about to be changed: what it holds before has to be described.
    Target(Obj<'a>),
    /// An object that already holds what the group says is stored.
    Changed(Obj<'a>),
    /// An object that may have been changed.
    Reexamine(Obj<'a>),
    /// The same, and it certainly was changed. It is described even if its contents look the same,
    /// so that the recording says when it changed.
    Written(Obj<'a>),
    /// An object that was changed and is not examined.
    Lost(Obj<'a>),
    Int(i64),
}

/// A walk over the values of one event, which writes them into the buffer.
struct Walk<'v, 'a> {
    values: &'v mut Values,
    /// The objects to examine, in order.
    due: ArrayVec<Due<'a>, OBJECTS_MAX>,
    /// Objects in `due` from this index on are not examined: only their class is recorded. Of those
    /// before it, some are examined.
    examined: usize,
    /// Objects that may still be examined for the code object.
    left: u32,
    /// The most objects that are examined for this event, not counting texts and the like.
    objects: usize,
    /// An object that cannot change was described, and it is not the one described before at its
    /// address.
    found_replaced: bool,
    /// Everything is described anew, and nothing more becomes due.
    is_second_pass: bool,
    /// Address of an object that is described whatever it holds.
    written: usize,
    /// The group is for objects that code in C may have changed.
    is_change: bool,
}

impl<'a> Walk<'_, 'a> {
    #[inline(always)]
    fn put_given(&mut self, value: Given<'a>) {
        match value {
            Given::Value(value) => self.put_variable(value),
            Given::Redacted => self.constant(constant::REDACTED),
            Given::Unread => self.constant(constant::UNREAD),
            Given::Constant(which) => self.constant(which),
            Given::Shallow(object) => self.put_shallow(object),
            Given::Target(object) => self.target(object),
            Given::Changed(object) => {
                self.values.buffer.put_address(words::REFERENCE, object.address());
            }
            Given::Reexamine(object) => self.reexamine(object, 0),
            Given::Written(object) => {
                self.written = object.address();
                self.reexamine(object, 0);
            }
            Given::Lost(object) => self.reexamine(object, LOST),
            Given::Int(value) => self.values.buffer.put_int(value),
        }
    }

    /// Puts the object that a method is called on. A container whose changes are not recorded is
    /// put without its contents: they would have to be read as a whole for every item put into it.
    #[inline(always)]
    fn put_first(&mut self, object: Obj<'a>) {
        let is_plain = !matches!(object.plain(), Plain::Other);
        if self.values.state.is_some() || is_plain || !object.class().is_mutable_container() {
            return self.put(object, 0);
        }
        self.put_shallow(object);
    }

    /// Puts an object of which only the class is recorded.
    fn put_shallow(&mut self, object: Obj<'a>) {
        if matches!(self.values.described.of(object), Known::Nothing { .. }) {
            if self.due.is_full() {
                return self.constant(constant::UNREAD);
            }
            self.become_due(Due { object, depth: CLASS_ONLY });
        }
        self.values.buffer.put_address(words::SHALLOW, object.address());
    }

    /// Puts the value of a variable.
    #[inline(always)]
    fn put_variable(&mut self, value: Option<Obj<'a>>) {
        match value {
            Some(object) => self.put(object, 0),
            None => self.constant(constant::UNBOUND),
        }
    }

    #[inline(always)]
    fn constant(&mut self, which: u32) {
        self.values.buffer.put(words::word(words::CONSTANT, which));
    }

    /// Puts a value found at a depth.
    #[inline(always)]
    fn put(&mut self, object: Obj<'a>, depth: u32) {
        match object.plain() {
            Plain::Int => match object.int() {
                Int::Small(value) => self.values.buffer.put_int(value),
                Int::Long { .. } => self.refer(object, depth),
            },
            Plain::Str => match object.characters() {
                Characters::Ascii(text) if text.len() <= self.values.inline => {
                    self.values.buffer.put_text(words::STR, text);
                }
                _ => self.refer(object, depth),
            },
            Plain::None => self.constant(constant::NONE),
            Plain::False => self.constant(constant::FALSE),
            Plain::True => self.constant(constant::TRUE),
            Plain::Float(value) => self.values.buffer.put_float(value),
            Plain::Bytes(bytes) if bytes.len() <= self.values.inline => {
                self.values.buffer.put_text(words::BYTES, bytes);
            }
            Plain::Bytes(_) | Plain::Other => self.refer(object, depth),
            // CPython may put something else in its place at any time.
            Plain::LazyImport => self.constant(constant::UNREAD),
            Plain::Ellipsis => self.constant(constant::ELLIPSIS),
            Plain::NotImplemented => self.constant(constant::NOT_IMPLEMENTED),
        }
    }

    /// Puts a reference, and makes the object due if it has to be examined.
    #[inline]
    fn refer(&mut self, object: Obj<'a>, depth: u32) {
        if self.is_second_pass {
            return self.refer_again(object);
        }
        // By far the most frequent case.
        if self.values.described.is_certain_at(object, depth) {
            return self.values.buffer.put_address(words::REFERENCE, object.address());
        }
        let is_full = self.due.is_full() || self.is_enough();
        let due = if self.is_left_out(object, depth) { CLASS_ONLY } else { depth };
        let tag = if due == CLASS_ONLY || is_full { words::SHALLOW } else { words::REFERENCE };
        if tag == words::SHALLOW {
            // Its class has to be recorded all the same.
            match self.values.described.of(object) {
                // Examining it shows whether it still is the object that was described.
                Known::Described { print, depth, .. }
                    if print != 0
                        && self.values.may_be_another()
                        && !is_full
                        && self.due.len() < self.objects
                        && self.left > 0 =>
                {
                    self.left -= 1;
                    self.become_due(Due { object, depth });
                    return self.values.buffer.put_address(words::REFERENCE, object.address());
                }
                // The description of the object that was here before must not be taken for this
                // one's contents.
                Known::Described { print, .. }
                    if print != 0 && self.left == 0 && self.values.may_be_another() && !is_full =>
                {
                    self.become_due(Due { object, depth: CLASS_ONLY });
                    return self.values.buffer.put_address(tag, object.address());
                }
                Known::Described { .. } | Known::Earlier => {
                    return self.values.buffer.put_address(tag, object.address());
                }
                Known::Nothing { .. } if is_full => return self.constant(constant::UNREAD),
                Known::Nothing { .. } => {}
            }
        }
        self.become_due(Due { object, depth: due });
        self.values.buffer.put_address(tag, object.address());
    }

    /// Puts a reference in the second pass as it was put in the first: an object that was not to be
    /// examined then is not examined now.
    #[cold]
    fn refer_again(&mut self, object: Obj<'a>) {
        let due = self.due.iter().filter(|due| due.object == object);
        let is_examined = due.clone().any(|due| due.depth != CLASS_ONLY);
        let is_described = || !matches!(self.values.described.of(object), Known::Nothing { .. });
        if is_examined {
            self.values.buffer.put_address(words::REFERENCE, object.address());
        } else if due.count() > 0 || is_described() {
            self.values.buffer.put_address(words::SHALLOW, object.address());
        } else {
            self.constant(constant::UNREAD);
        }
    }

    /// Adds an object to those that are due. The caller knows that there is room.
    #[inline(always)]
    fn become_due(&mut self, due: Due<'a>) {
        self.due.push(due);
        if due.depth != CLASS_ONLY {
            self.examined = self.due.len();
        }
    }

    /// Puts a reference to an object that is about to be changed by a recorded change. Its contents
    /// before the change have to be in the recording: the object is examined unless they are known
    /// to be those described last.
    fn target(&mut self, object: Obj<'a>) {
        if !self.values.described.is_certain(object) && !self.due.is_full() {
            self.become_due(Due { object, depth: 0 });
        }
        self.values.buffer.put_address(words::REFERENCE, object.address());
    }

    /// Puts a reference to an object, and makes it due whatever was recorded of it before.
    fn reexamine(&mut self, object: Obj<'a>, depth: u32) {
        self.become_due(Due { object, depth });
        self.values.buffer.put_address(words::REFERENCE, object.address());
    }

    /// Whether an object is not to be examined. Texts, long ints and objects described by a name
    /// are always examined, instances only if they are not within another object.
    #[inline]
    fn is_left_out(&mut self, object: Obj<'a>, depth: u32) -> bool {
        let class = self.values.classes.find(object.class(), &self.values.names);
        let known = self.values.classes.known(class);
        let sort = known.layout.sort;
        let is_too_deep = match sort {
            // A container may hold many of these, so there is a limit for them too.
            sort if known.is_small() || is_always_examined(sort) => {
                return depth > 0 && self.due.len() >= 2 * self.objects;
            }
            Sort::Opaque => return true,
            Sort::Instance => depth > 0,
            Sort::Exception => depth > 2,
            _ => depth >= self.values.limits.depth,
        };
        if is_too_deep || self.due.len() >= self.objects {
            return true;
        }
        // Functions that return more than one value return small tuples, and they hold little.
        if sort == Sort::Tuple && object.size() <= 4 {
            return false;
        }
        let is_one_too_many = self.left == 0;
        if is_one_too_many {
            self.values.producer.count_skipped();
        }
        self.left = self.left.saturating_sub(1);
        is_one_too_many
    }

    /// Whether there is room for one more of a frame's variables and then for the `left` others.
    #[inline(always)]
    fn has_room_for_value(&self, left: usize) -> bool {
        self.values.buffer.len() + left < GROUP_WORDS_MAX - 2 * RESERVE
    }

    /// Whether the remaining room is enough only for the classes of objects still to be described.
    #[inline(always)]
    fn is_full(&self) -> bool {
        let (used, due) = (self.values.buffer.len(), CLASS_WORDS * self.values.beyond.len());
        // The second comparison, which counts them, is rarely needed.
        used > GROUP_WORDS_MAX / 2 && used + due > GROUP_WORDS_MAX - RESERVE
    }

    /// The same, or there are many definitions already.
    #[inline(always)]
    fn is_enough(&self) -> bool {
        self.is_full() || self.values.fresh_words() > FRESH_WORDS_MAX
    }

    /// Examines the objects that are due, and those that become due meanwhile.
    fn examine_due(&mut self) {
        self.values.beyond.clear();
        let mut at = 0;
        while let Some(due) = self.due.get(at).copied() {
            at += 1;
            self.examine(due);
            if at == MANY_OBJECTS {
                return self.examine_rest(at);
            }
        }
        if !self.values.beyond.is_empty() {
            self.examine_rest(at);
        }
    }

    /// The rest of [`Self::examine_due`], from index `at` on. It may take long, so its time is
    /// measured.
    #[cold]
    #[inline(never)]
    fn examine_rest(&mut self, mut at: usize) {
        let began = cost::begin(self.values.clock);
        loop {
            while let Some(due) = self.due.get(at).copied() {
                at += 1;
                self.examine(due);
            }
            if self.values.beyond.is_empty() {
                break;
            }
            self.examine_beyond();
        }
        cost::end(self.values.clock, began);
    }

    /// Examines an object, and describes it unless its last description still holds.
    fn examine(&mut self, due: Due<'a>) {
        let Due { object, mut depth } = due;
        if depth < LOST && self.is_enough() {
            self.values.producer.count_skipped();
            depth = LOST;
        }
        let address = object.address();
        let described = self.values.described.of(object);
        // Its earlier description still holds, or only its class was recorded.
        let is_known = match described {
            Known::Nothing { .. } => false,
            // The second pass has dropped the words that the first pass wrote about it.
            Known::Described { print: 0, .. } => !self.is_second_pass,
            // Another object may be at the address by now and must not be taken for the one before.
            Known::Described { .. } => !self.values.may_be_another(),
            Known::Earlier => true,
        };
        // An object that is examined for this event may be referred to again by what it holds.
        let is_examined = || {
            let mut examined = self.due[..self.examined].iter();
            examined.any(|due| due.object == object && due.depth != CLASS_ONLY)
        };
        if depth == CLASS_ONLY && (is_known || is_examined()) {
            return;
        }
        let identity = match described {
            Known::Nothing { is_new: true, .. } => words::NEW,
            Known::Nothing { is_same: true, .. } => words::SAME,
            _ => 0,
        };
        let (described_print, described_depth) = match described {
            Known::Described { print, depth, .. } => (Some(print), depth),
            _ => (None, u32::MAX),
        };
        let place_of_class = self.values.classes.find(object.class(), &self.values.names);
        let known = self.values.classes.known(place_of_class);
        let (layout, number) = (Rc::clone(&known.layout), known.number);
        // An object that keeps a hash of its own need not be read again.
        let quick = layout.kept_hash(object).map_or(0, |[a, b]| mix(a, b));
        let is_due = self.is_second_pass || self.written == address;
        if depth != LOST && !is_due && quick != 0 && described_print == Some(quick) {
            return;
        }
        let (begin, credit) = (self.values.buffer.len(), self.values.credit);
        self.values.buffer.put_address(words::OBJECT, address);
        self.values.buffer.put(number | identity);
        let parts_at = self.values.buffer.len();
        self.values.buffer.put(0);
        let parts = match depth {
            CLASS_ONLY | LOST => 0,
            depth => self.parts(object, place_of_class, &layout, depth),
        };
        self.values.buffer.set(parts_at, parts);
        let print = match (quick, depth) {
            (_, CLASS_ONLY | LOST) => 0,
            (0, _) => hash(self.values.buffer.since(begin)) | 1,
            (quick, _) => quick,
        };
        let (validity, sized) = (validity(&layout), Sized::of_sort(layout.sort));
        self.found_replaced |= is_immutable(layout.sort)
            && described_print.is_some_and(|last| last != 0 && last != print);
        if described_print == Some(print) && !is_due {
            self.values.buffer.truncate(begin);
            // An unchanged object took little, so most of the credit is given back: less of it
            // where each object is examined every time.
            let used = credit.saturating_sub(self.values.credit);
            let share = if self.values.described.traces() { 16 } else { 4 };
            self.values.credit += used - used / share;
            self.values.described.note_described(
                object,
                print,
                depth.min(described_depth),
                validity,
                sized,
            );
            return;
        }
        self.values.described.note_described(object, print, depth, validity, sized);
    }

    /// Puts the parts of an object and returns how many there are.
    fn parts(&mut self, object: Obj<'a>, class: usize, layout: &Layout, depth: u32) -> u32 {
        let limits = self.values.limits;
        let text_max = limits.string as usize;
        let mut parts = 1;
        match layout.sort {
            Sort::Str => self.values.buffer.put_characters(&object.characters(), text_max),
            Sort::Bytes => {
                let bytes = object.bytes();
                let kept = &bytes[..bytes.len().min(text_max)];
                self.values.buffer.put_long_text(kept, bytes.len() as u64);
            }
            Sort::ByteArray => {
                let kept = object.bytearray(text_max);
                self.values.buffer.put_long_text(&kept, object.size() as u64);
            }
            Sort::Int => self.values.buffer.put_digits(&object.int(), limits.digits),
            Sort::Function | Sort::Class | Sort::Module | Sort::Generator => {
                let name = self.values.names.of(object, layout.sort);
                self.values.buffer.put_long_text(name.as_bytes(), name.len() as u64);
            }
            Sort::Complex => {
                let parts = object.complex();
                self.begin_items();
                parts.into_iter().for_each(|part| self.values.buffer.put_float(part));
                self.end_items(2, 2);
            }
            Sort::Array => {
                let (code, length, numbers) = object.array(limits.items as usize);
                self.values.buffer.put_long_text(&[code], 1);
                self.begin_items();
                let mut kept = 0;
                for number in &numbers {
                    if self.is_full() {
                        break;
                    }
                    match *number {
                        Number::Int(value) => self.values.buffer.put_int(value),
                        Number::Float(value) => self.values.buffer.put_float(value),
                        Number::Character(value) => self.values.buffer.put_character(value),
                    }
                    kept += 1;
                }
                self.end_items(kept, length);
                parts = 2;
            }
            Sort::List
            | Sort::Tuple
            | Sort::Set
            | Sort::FrozenSet
            | Sort::Dict
            | Sort::Deque
            | Sort::Range
            | Sort::Slice
            | Sort::Cell
            | Sort::Exception => parts = self.put_items(object, class, layout, depth),
            Sort::Instance => match layout.float(object) {
                Some(value) => {
                    self.begin_items();
                    self.values.buffer.put_float(value);
                    self.end_items(1, 1);
                }
                None => parts = 0,
            },
            Sort::Fields => parts = self.put_fields(object, layout, depth),
            Sort::Opaque => parts = 0,
        }
        parts + self.put_attributes(object, class, layout, depth)
    }

    /// Puts what a class in C keeps in fields of its own, and returns how many parts that is.
    fn put_fields(&mut self, object: Obj<'a>, layout: &Layout, depth: u32) -> u32 {
        let max = self.values.limits.string as usize;
        let mut parts = 0;
        if let Some(number) = layout.decimal(object) {
            let kept = &number.as_bytes()[..number.len().min(max)];
            self.values.buffer.put_long_text(kept, number.len() as u64);
            return 1;
        }
        if let Some(Matched { string, begin, end }) = layout.matched(object) {
            if string.is_str() {
                self.values.buffer.put_characters(&string.characters().part(begin, end), max);
            } else {
                let bytes = &string.bytes()[begin..end];
                let kept = &bytes[..bytes.len().min(max)];
                self.values.buffer.put_long_text(kept, bytes.len() as u64);
            }
            parts += 1;
        }
        let fields = layout.fields(object);
        self.begin_items();
        fields.iter().for_each(|field| self.put_field(*field, depth + 1));
        self.end_items(fields.len(), fields.len() as u64);
        parts + 1
    }

    fn put_field(&mut self, field: Field<'a>, depth: u32) {
        match field {
            Field::Object(Some(value)) => self.put(value, depth),
            Field::Object(None) => self.constant(constant::UNBOUND),
            Field::Int(value) => self.values.buffer.put_int(value),
            Field::Bool(true) => self.constant(constant::TRUE),
            Field::Bool(false) => self.constant(constant::FALSE),
        }
    }

    fn begin_items(&mut self) {
        self.values.buffer.begin_part();
    }

    fn end_items(&mut self, kept: usize, length: u64) {
        self.values.buffer.end_part(kept, length);
    }

    fn put_items(&mut self, object: Obj<'a>, class: usize, layout: &Layout, depth: u32) -> u32 {
        let length = layout.length(object);
        let may_be_large = matches!(layout.sort, Sort::Dict | Sort::Set | Sort::FrozenSet);
        if !length.map_or(may_be_large, |length| length > MANY_ITEMS) {
            return self.put_all_items(object, class, layout, depth, length);
        }
        let began = cost::begin(self.values.clock);
        let parts = self.put_all_items(object, class, layout, depth, length);
        cost::end(self.values.clock, began);
        parts
    }

    #[inline(never)]
    fn put_all_items(
        &mut self,
        object: Obj<'a>,
        class: usize,
        layout: &Layout,
        depth: u32,
        length: Option<usize>,
    ) -> u32 {
        let is_dict = layout.sort == Sort::Dict;
        let shown = match layout.sort {
            Sort::Exception => (self.values.limits.items as usize).min(10),
            _ => self.values.limits.items as usize,
        };
        // What a cell holds is the value of a variable.
        let within = if layout.sort == Sort::Cell { depth } else { depth + 1 };
        let of_items = match layout.sort {
            Sort::Tuple => self.values.classes.known(class).items.clone(),
            _ => None,
        };
        let credit = self.credit(shown, length) as usize;
        let (max, mut parts) = (shown.saturating_add(credit), 1);
        if credit > 0 {
            self.values.buffer.put(words::word(words::SHOWN, shown as u32));
            parts = 2;
        }
        self.begin_items();
        let (mut kept, mut is_key, mut withheld) = (0, is_dict, Withheld::Nothing);
        // Where the items begin that are not shown.
        let (beyond, mut beyond_at) = (shown << u32::from(is_dict), usize::MAX);
        let length = layout.items(object, max, |item| {
            if kept == beyond {
                beyond_at = self.values.buffer.len();
            }
            let is_enough = kept >= beyond
                && (self.values.buffer.len() - beyond_at >= credit || !self.has_room_beyond());
            // A key is not kept without its value.
            if self.is_full() || is_enough && (!is_dict || is_key) {
                return;
            }
            if let Some(of_item) = of_items.as_ref().and_then(|items| items.get(kept)) {
                withheld = *of_item;
            }
            kept += 1;
            match item {
                None => self.constant(constant::UNREAD),
                Some(item) if !is_key && withholds(withheld, item) => {
                    self.constant(constant::REDACTED);
                }
                Some(item) if kept > beyond => self.put_beyond(item, within),
                Some(item) => self.put(item, within),
            }
            if is_dict {
                if is_key {
                    withheld = match item {
                        Some(key) => self.values.names.withheld_key(key),
                        None => Withheld::Nothing,
                    };
                }
                is_key = !is_key;
            }
        });
        // A key alone does not count as a pair.
        if is_dict && !is_key {
            self.constant(constant::UNREAD);
            kept += 1;
        }
        let used = self.values.buffer.len().saturating_sub(beyond_at) as u32;
        self.values.credit = self.values.credit.saturating_sub(used);
        self.end_items(kept, length);
        parts
    }

    /// Returns how many words the items of a container may take that are not shown with it.
    fn credit(&mut self, shown: usize, length: Option<usize>) -> u32 {
        let values = &mut *self.values;
        let is_more = length.is_some_and(|length| length > shown);
        // If the limit of items is lower than usual, no others are kept either.
        if !is_more || values.state.is_none() || values.limits.items < Limits::default().items {
            return 0;
        }
        let events = values.ordinal.saturating_sub(values.credited_at);
        values.credited_at = values.ordinal;
        let earned = events.saturating_mul(CREDIT_PER_EVENT.into()).min(CREDIT_MAX.into()) as u32;
        values.credit = values.credit.saturating_add(earned).min(CREDIT_MAX);
        let least = if self.is_change { CREDIT_LOW } else { 0 };
        values.credit.saturating_sub(least).min(CREDIT_OF_ONE)
    }

    /// Whether there is room to describe items that are not shown.
    fn has_room_beyond(&self) -> bool {
        let due = CLASS_WORDS * self.values.beyond.len();
        self.values.buffer.len() + due < GROUP_WORDS_MAX - 2 * RESERVE
    }

    /// Puts an item that is not shown. An object is put only if its identity is certain, or will
    /// be.
    fn put_beyond(&mut self, item: Obj<'a>, depth: u32) {
        let is_object = match item.plain() {
            Plain::Int => matches!(item.int(), Int::Long { .. }),
            Plain::Str => {
                !matches!(item.characters(), Characters::Ascii(text) if text.len() <= self.values.inline)
            }
            Plain::Bytes(bytes) => bytes.len() > self.values.inline,
            Plain::Other => true,
            _ => false,
        };
        if !is_object {
            return self.put(item, depth);
        }
        let is_known = self.values.described.traces()
            && matches!(self.values.described.of(item), Known::Described { .. } | Known::Earlier);
        if !is_known {
            if self.values.beyond.len() == BEYOND_MAX {
                return self.constant(constant::UNREAD);
            }
            self.values.beyond.push(item.address());
        }
        self.values.buffer.put_address(words::SHALLOW, item.address());
    }

    /// Describes the items that are not shown with their container.
    fn examine_beyond(&mut self) {
        let mut at = 0;
        while let Some(address) = self.values.beyond.get(at).copied() {
            at += 1;
            // SAFETY: an item of a container; both live until the event is over.
            let object = unsafe { Obj::borrowed(address as *mut _) };
            let rest = CLASS_WORDS * (self.values.beyond.len() - at);
            let has_room = self.values.buffer.len() + rest < GROUP_WORDS_MAX - 2 * RESERVE
                && self.values.fresh_words() < FRESH_WORDS_MAX
                && !self.due.is_full();
            let depth = self.values.limits.depth;
            let depth = if has_room { depth } else { CLASS_ONLY };
            self.examine(Due { object, depth });
        }
        self.values.beyond.clear();
    }

    /// Puts the attributes, if there are any, and returns how many parts that is.
    fn put_attributes(
        &mut self,
        object: Obj<'a>,
        class: usize,
        layout: &Layout,
        depth: u32,
    ) -> u32 {
        let max = (self.values.limits.items as usize).min(ATTRIBUTES_MAX);
        let own = layout.attributes(object);
        let keys = match &own {
            Attributes::Shared { keys, .. } => Some(*keys),
            _ => None,
        };
        self.values.note_attributes(object, &own);
        let is_regular = !matches!(own, Attributes::Dict(_)) && !layout.has_extra();
        let known = is_regular.then(|| self.values.classes.shape(class, keys)).flatten();
        let shape = match known {
            Some(shape) => shape,
            None => {
                let each = |name: &mut dyn FnMut(Name<'_, '_>)| {
                    each_attribute(object, layout, &own, max, &mut |attribute, _| name(attribute));
                };
                let shape = self.values.names.shape(&each);
                if is_regular {
                    self.values.classes.set_shape(class, keys, shape);
                }
                shape
            }
        };
        if shape.count == 0 {
            return 0;
        }
        self.values.buffer.put(words::word(words::ATTRIBUTES, shape.count));
        self.values.buffer.put(shape.number);
        let mut at = 0;
        let mut put = |value: Field<'a>| {
            match value {
                Field::Object(Some(value))
                    if withholds(self.values.names.hides(shape, at), value) =>
                {
                    self.constant(constant::REDACTED);
                }
                Field::Int(_) | Field::Bool(_)
                    if self.values.names.hides(shape, at) == Withheld::All =>
                {
                    self.constant(constant::REDACTED);
                }
                value => self.put_field(value, depth + 1),
            }
            at += 1;
        };
        if let (true, Attributes::Shared { keys, values }) = (is_regular, &own) {
            // By far the most frequent case.
            let all = layout.slot_values(object).chain(keys.values(*values)).take(max);
            all.for_each(|value| put(Field::Object(value)));
        } else {
            each_attribute(object, layout, &own, max, &mut |_, value| put(value));
        }
        1
    }
}

fn place_of_attributes(at: usize) -> usize {
    (at >> 4 ^ at >> 16) % INSTANCE_DICTS
}

/// Whether objects of a sort are examined wherever they occur: texts, long ints and objects
/// described by a name, which take little time.
const fn is_always_examined(sort: Sort) -> bool {
    matches!(
        sort,
        Sort::Str
            | Sort::Bytes
            | Sort::Int
            | Sort::Complex
            | Sort::Function
            | Sort::Class
            | Sort::Module
            | Sort::Generator
            | Sort::Cell
            | Sort::Fields
    )
}

/// Whether objects of a sort hold the same as long as they live.
const fn is_immutable(sort: Sort) -> bool {
    matches!(
        sort,
        Sort::Str | Sort::Bytes | Sort::Int | Sort::Tuple | Sort::FrozenSet | Sort::Fields
    )
}

/// Returns how long the description of an object of this class holds.
fn validity(layout: &Layout) -> Validity {
    match layout.sort {
        sort if layout.is_exact && is_immutable(sort) => Validity::Always,
        // The interpreter changes some of these. For others, the name that describes them may
        // change, which is no change of the objects themselves.
        Sort::Exception
        | Sort::Cell
        | Sort::Function
        | Sort::Class
        | Sort::Module
        | Sort::Generator
        | Sort::Opaque => Validity::Never,
        _ if layout.is_foreign() => Validity::Never,
        _ => Validity::UntilDoubt,
    }
}

/// Hands up to `max` attributes of an object to `each`, always in the same order.
fn each_attribute<'a>(
    object: Obj<'a>,
    layout: &Layout,
    own: &Attributes<'a>,
    max: usize,
    each: &mut dyn FnMut(Name<'_, 'a>, Field<'a>),
) {
    let mut left = max;
    let mut one = |name: Name<'_, 'a>, value| {
        if left > 0 {
            left -= 1;
            each(name, value);
        }
    };
    if layout.has_extra() {
        layout.extra(object, &mut |name, value| one(Name::Text(name), value));
    }
    for (name, value) in layout.slot_names().zip(layout.slot_values(object)) {
        one(Name::Text(name), Field::Object(value));
    }
    match own {
        Attributes::None => {}
        Attributes::Shared { keys, values } => {
            for (name, value) in keys.names().zip(keys.values(*values)) {
                one(Name::Object(name), Field::Object(value));
            }
        }
        Attributes::Dict(dict) => {
            dict.each_pair(max, |name, value| {
                one(Name::Object(Some(name)), Field::Object(Some(value)));
            });
        }
    }
}

#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd6e8_feb8_6659_fd93);
    (product as u64 ^ (product >> 64) as u64) | 1
}

/// A hash of words, good enough that two different lists do not collide by chance.
#[inline]
fn hash(words: &[u32]) -> u64 {
    let (pairs, rest) = words.as_chunks::<2>();
    let pair = |pair: &[u32; 2]| u64::from(pair[0]) | u64::from(pair[1]) << 32;
    let hash =
        pairs.iter().fold(words.len() as u64, |hash, words| mix(hash, pair(words)).rotate_left(23));
    rest.iter().fold(hash, |hash, word| mix(hash, u64::from(*word)))
}
