//! Reads the events of one process of a run, for comparison.

use super::codes::{Code, Codes};
use super::hash::{self, mix};
use super::text::{NATIVE_ID, without_addresses};
use super::values::{self, EventValue, Label};
use crate::store::mine::glob;
use crate::store::{Chunk, Error, Process, Store, Variables};
use dashcam_schema::event::{EventKind, kinds_that};
use dashcam_schema::value::chunk::Values;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Number of chunks held in addition to those that the store keeps.
const VIEWS: usize = 4;

/// One process of a run.
pub(super) struct Reader<'a> {
    pub(super) store: &'a Store,
    pub(super) process: &'a Process,
    pub(super) codes: &'a Codes,
    /// Indexes of its chunks, in order.
    pub(super) chunks: Vec<usize>,
    /// Variables were recorded and are compared.
    pub(super) has_state: bool,
    /// Kinds of events that may have values, a bit each.
    with_values: u32,
    /// Messages of exceptions are compared.
    has_messages: bool,
    /// See [`Options::calls_max`](super::Options::calls_max).
    pub(super) calls_max: usize,
    /// Globs of names whose values do not count.
    ignored: &'a [String],
    callables: RefCell<FxHashMap<u32, u64>>,
    names: RefCell<FxHashMap<u32, Rc<[Box<str>]>>>,
    /// The chunk of values that was used last, with its first and last ordinal.
    pub(super) current: RefCell<Option<(i64, i64, Rc<Values>)>>,
    /// Values of the user's own code read so far that are not in the recording.
    pub(super) unrecorded: Cell<Option<Unrecorded>>,
    /// The chunks used last, most recent first.
    views: RefCell<Vec<Rc<View>>>,
}

/// The thread and code object of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) thread: u32,
    /// Number of the code object.
    pub(super) code: u32,
    pub(super) known: Code,
}

/// The context of an event that has none.
const NO_CONTEXT: Context = Context {
    thread: u32::MAX,
    code: u32::MAX,
    known: Code { key: 0, is_changed: false, is_excluded: false },
};

/// A chunk of events.
pub(super) struct View {
    pub(super) chunk: Rc<Chunk>,
    /// Index in the store.
    pub(super) index: usize,
    pub(super) first_seq: i64,
    pub(super) first_ordinal: i64,
    contexts: Vec<Context>,
}

/// Values that were not recorded, or not as a whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unrecorded {
    pub(super) count: u64,
    /// The first event with such a value, its code object and line.
    pub(super) seq: i64,
    pub(super) code: u32,
    pub(super) line: Option<i64>,
}

/// Hashes of an event.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EventHashes {
    /// What happened, and where in the code.
    pub(super) plain: u64,
    /// The values of the event, without those of the caller.
    pub(super) values: u64,
    /// Values of variables of the calling frame.
    pub(super) callers: u64,
    /// Arguments; of objects only the class.
    pub(super) arguments: u64,
}

/// The kinds of events that are compared: those that do not follow from others. The return of a C
/// call follows from the next event.
pub(super) fn counts() -> u32 {
    kinds_that(EventKind::has_ordinal) & !(1 << EventKind::C_RETURN.number())
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        store: &'a Store,
        process: &'a Process,
        codes: &'a Codes,
        options: &'a super::Options,
        has_state: bool,
    ) -> Reader<'a> {
        let of_process = |index: &usize| store.chunks()[*index].process_id == process.process_id;
        let called = [
            EventKind::PY_START,
            EventKind::PY_RESUME,
            EventKind::PY_RETURN,
            EventKind::PY_YIELD,
            EventKind::RAISE,
        ];
        let with_values = match (options.values && store.has_values(process), has_state) {
            (false, _) => 0,
            (true, false) => called.iter().fold(0, |mask, kind| mask | 1 << kind.number()),
            (true, true) => u32::MAX,
        };
        Reader {
            store,
            process,
            codes,
            chunks: (0..store.chunks().len()).filter(of_process).collect(),
            has_state: has_state && options.values,
            with_values,
            has_messages: options.values,
            calls_max: options.calls_max,
            ignored: &options.ignored,
            callables: RefCell::default(),
            names: RefCell::default(),
            current: RefCell::default(),
            unrecorded: Cell::default(),
            views: RefCell::default(),
        }
    }

    /// A chunk, by its index in the store.
    ///
    /// # Errors
    /// If it is damaged: missing events cannot be compared.
    pub(super) fn view(&self, index: usize) -> Result<Rc<View>, Error> {
        let mut kept = self.views.borrow_mut();
        if let Some(at) = kept.iter().position(|view| view.index == index) {
            kept[..=at].rotate_right(1);
            return Ok(kept[0].clone());
        }
        let header = &self.store.chunks()[index];
        let chunk = self.store.chunk(index)?;
        let context = |context: &dashcam_schema::chunk::Context| Context {
            thread: context.thread,
            code: context.code,
            known: self.code(context.code),
        };
        let view = View {
            index,
            first_seq: header.first_seq,
            first_ordinal: header.first_ordinal,
            contexts: chunk.runs()?.contexts.iter().map(context).collect(),
            chunk,
        };
        // These are decoded now, so that reading them later does not fail.
        view.chunk.kinds()?;
        view.chunk.contexts()?;
        let view = Rc::new(view);
        kept.truncate(VIEWS - 1);
        kept.insert(0, view.clone());
        Ok(view)
    }

    /// The first chunk with events of a thread at or after a position, by its index in the store.
    pub(super) fn chunk_from(&self, seq: i64, thread: u32) -> Option<usize> {
        let headers = self.store.chunks();
        let at = self.chunks.partition_point(|index| headers[*index].last_seq < seq);
        let has = |index: &&usize| headers[**index].threads.binary_search(&thread).is_ok();
        self.chunks[at..].iter().find(has).copied()
    }

    /// The chunk an event is in, and its index there.
    pub(super) fn locate(&self, seq: i64) -> Result<Option<(Rc<View>, usize)>, Error> {
        let headers = self.store.chunks();
        let at = self.chunks.partition_point(|index| headers[*index].last_seq < seq);
        let Some(chunk) = self.chunks.get(at).filter(|index| headers[**index].first_seq <= seq)
        else {
            return Ok(None);
        };
        let view = self.view(*chunk)?;
        let index = (seq - view.first_seq) as usize;
        Ok(view.kind(index).map(|_| (view, index)))
    }

    /// A code object, by its number.
    pub(super) fn code(&self, number: u32) -> Code {
        let index = self.process.codes.get(&number);
        index.and_then(|index| self.codes.get(*index)).copied().unwrap_or_default()
    }

    /// The qualified name and path of a code object.
    pub(super) fn named(&self, number: u32) -> (&'a str, &'a str) {
        let directory = self.store.directory();
        let code = self.process.codes.get(&number).and_then(|index| directory.codes.get(*index));
        let text = |id| directory.texts.get(id).unwrap_or("?");
        code.map_or(("?", "?"), |code| (text(code.qualname), text(code.path)))
    }

    /// Whether a code object is the user's own.
    pub(super) fn is_mine(&self, number: u32) -> bool {
        let index = self.process.codes.get(&number);
        let code = index.and_then(|index| self.store.directory().codes.get(*index));
        code.is_some_and(|code| self.store.is_mine(code))
    }

    /// The line of a code unit of a code object.
    pub(super) fn line(&self, code: u32, unit: u32) -> Option<i64> {
        let index = self.process.codes.get(&code)?;
        let code = self.store.directory().codes.get(*index)?;
        self.store.lines(code)?.line(unit).map(i64::from)
    }

    /// Whether events of a kind may have values.
    pub(super) fn may_have_values(&self, kind: EventKind) -> bool {
        self.with_values >> kind.number() & 1 == 1
    }

    /// The hashes of an event. For `caller` see [`Reader::each_value`].
    pub(super) fn event_hashes(
        &self,
        view: &View,
        index: usize,
        caller: Option<u32>,
    ) -> Result<EventHashes, Error> {
        let Some(kind) = view.kind(index) else { return Ok(EventHashes::default()) };
        let context = view.context(index);
        let is_changed = context.known.is_changed;
        let place = if is_changed { 0 } else { u64::from(view.places()?[index]) };
        let target = match kind.has_target() && !is_changed {
            true => u64::from(view.chunk.targets()?[index]),
            false => 0,
        };
        let mut plain = mix(mix(context.known.key, kind.number().into()), place << 32 | target);
        let mut hashes = EventHashes::default();
        if kind.has_callable() {
            plain = mix(plain, self.callable(view.chunk.callables()?[index]));
        }
        if kind.has_exception()
            && let Some((name, message)) = self.exception(view, index)?
        {
            plain = mix(plain, hash::text(name));
            if kind == EventKind::RAISE && self.has_messages {
                hashes.values = hash::text(&without_addresses(message));
            }
        }
        hashes.plain = plain;
        let (is_mine, mut unrecorded) = (self.is_mine(context.code), 0);
        self.each_value(view, index, caller, |found| {
            unrecorded += u64::from(is_mine && values::is_unrecorded(&found));
            let whole = values::hash(&found, true, self.has_state);
            let kept = if found.is_callers { &mut hashes.callers } else { &mut hashes.values };
            *kept = mix(*kept, whole);
            if let Label::Argument(_) = found.label {
                hashes.arguments =
                    mix(hashes.arguments, values::hash(&found, false, self.has_state));
            }
        })?;
        if unrecorded > 0 {
            let first = || Unrecorded {
                count: 0,
                seq: view.seq(index),
                code: context.code,
                line: view.places().ok().and_then(|of| self.line(context.code, *of.get(index)?)),
            };
            let mut all = self.unrecorded.get().unwrap_or_else(first);
            all.count += unrecorded;
            self.unrecorded.set(Some(all));
        }
        Ok(hashes)
    }

    /// The type and message of the exception of an event.
    pub(super) fn exception<'v>(
        &'v self,
        view: &'v View,
        index: usize,
    ) -> Result<Option<(&'v str, &'v str)>, Error> {
        let entry = view.chunk.exception(view.chunk.exceptions()?[index])?;
        Ok(entry.map(|entry| {
            let name = self.process.exception_types.get(&entry.exception_type);
            let name = name.and_then(|name| self.store.directory().texts.get(*name));
            (name.unwrap_or("?"), entry.message.as_str())
        }))
    }

    /// The name of a callable.
    pub(super) fn callable_name(&self, number: u32) -> Option<&'a str> {
        self.store.directory().texts.get(*self.process.callables.get(&number)?)
    }

    fn callable(&self, number: u32) -> u64 {
        let mut callables = self.callables.borrow_mut();
        *callables.entry(number).or_insert_with(|| {
            self.callable_name(number).map_or(0, |name| hash::text(&without_addresses(name)))
        })
    }

    pub(super) fn variables(&self, code: u32) -> Option<&'a Variables> {
        self.store.variables(self.process, code)
    }

    /// The name of an argument, by its number.
    pub(super) fn argument(&self, code: u32, number: u32) -> Box<str> {
        let names =
            self.names.borrow_mut().entry(code).or_insert_with(|| self.arguments(code)).clone();
        names.get(number as usize).cloned().unwrap_or_else(|| format!(".{number}").into())
    }

    fn arguments(&self, code: u32) -> Rc<[Box<str>]> {
        let directory = self.store.directory();
        let code = self.process.codes.get(&code).and_then(|index| directory.codes.get(*index));
        let Some(code) = code else { return Rc::default() };
        let sql = "SELECT argument_names FROM code_objects WHERE code_id = ?";
        let names = self.store.connection().prepare_cached(sql).and_then(|mut statement| {
            statement.query_row([code.code_id], |row| row.get::<_, String>(0))
        });
        let names = names.ok().and_then(|names| serde_json::from_str::<Vec<Box<str>>>(&names).ok());
        names.unwrap_or_default().into()
    }

    /// Whether a value does not count.
    pub(super) fn is_ignored(&self, found: &EventValue<'_>) -> bool {
        if found.label == Label::Result {
            let qualname = self.named(found.code).0;
            // Hashes depend on addresses, or on the random seed of the interpreter.
            return qualname.ends_with(".__hash__") || self.has_ignored(qualname);
        }
        if self.ignored.is_empty() {
            return false;
        }
        match found.label {
            Label::Argument(number) => self.has_ignored(&self.argument(found.code, number)),
            Label::Variable(slot) => {
                let name = self.variables(found.code).and_then(|variables| variables.name(slot));
                name.is_some_and(|name| self.has_ignored(name))
            }
            Label::Sent | Label::Raised => self.has_ignored(self.named(found.code).0),
            _ => false,
        }
    }

    fn has_ignored(&self, name: &str) -> bool {
        self.ignored.iter().any(|pattern| glob(pattern, name))
    }

    /// Whether values stored into an attribute or item do not count. `key` is written as by `repr`.
    pub(super) fn is_ignored_key(&self, key: &str) -> bool {
        let name = key.trim_matches('\'');
        name == NATIVE_ID || self.has_ignored(name)
    }
}

impl View {
    /// The kind of the event with an index; `None` if there is no such event.
    pub(super) fn kind(&self, index: usize) -> Option<EventKind> {
        EventKind::from_number(*self.chunk.kinds().ok()?.get(index)?)
    }

    pub(super) fn seq(&self, index: usize) -> i64 {
        self.first_seq + index as i64
    }

    /// The thread and code object of the event with an index.
    pub(super) fn context(&self, index: usize) -> Context {
        let context =
            self.chunk.contexts().ok().and_then(|of| self.contexts.get(*of.get(index)? as usize));
        context.copied().unwrap_or(NO_CONTEXT)
    }

    /// The thread and code object of a run of events, by the number of the context.
    pub(super) fn context_of_run(&self, context: u32) -> Context {
        self.contexts.get(context as usize).copied().unwrap_or(NO_CONTEXT)
    }

    pub(super) fn places(&self) -> Result<&Vec<u32>, Error> {
        self.chunk.places()
    }

    /// The code unit of the branch of an event with a target, the same for both directions.
    pub(super) fn branch(&self, index: usize) -> Result<Option<u32>, Error> {
        let Some(kind) = self.kind(index).filter(|kind| kind.has_target()) else { return Ok(None) };
        let place = self.chunk.places()?.get(index).copied();
        let target = self.chunk.targets()?.get(index).copied();
        Ok(match (place, target) {
            // This event is reported by the NOT_TAKEN after the branch and its cache.
            (Some(place), Some(target))
                if kind == EventKind::BRANCH_LEFT && target == place.wrapping_add(1) =>
            {
                Some(place.saturating_sub(2))
            }
            (place, _) => place,
        })
    }

    pub(super) fn ordinals(&self) -> Result<&Vec<u32>, Error> {
        self.chunk.ordinals()
    }

    pub(super) fn says_none(&self, index: usize) -> bool {
        self.chunk.says_none(index)
    }

    pub(super) fn has_ordinal(&self, index: usize) -> Result<bool, Error> {
        self.chunk.has_ordinal(index)
    }
}
