//! The state of the callbacks: the ring of events, and what has been defined in it.

use super::audit;
use super::callables::{Behaviour, Callables, Doing, Effect, Special};
use super::clock::{self, monotonic_ns};
use super::code::{self, CodeRef, Codes, Watcher};
use super::cost::{self, Cost, Measured};
use super::exceptions::{Exceptions, FramePlace};
use super::ffi::{
    self, Frame, FrameFinder, Frames, HiddenTypes, Interpreter, Obj, RunningFrame, Stand, variable,
};
use super::memory;
use super::messages::Fate;
use super::reach::Does;
use super::sources::{Registered, Sources};
use super::threads::{self, Threads};
use super::values::Values;
use super::{follow, monitoring, neighbours};
use crate::boot::DEFAULT_MAX_WAIT;
use crate::filter::{Judge, Verdict};
use crate::ring::{self, Clock, Gone, Producer, Ring, Words};
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::branches::Branches;
use dashcam_schema::bytecode::code::Control;
use dashcam_schema::bytecode::opcodes::Version;
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::{self, CALLERS_MAX, Definition, EVENT_WORDS_MAX, PAYLOAD_MAX};
use dashcam_schema::value::GroupKind;
use rustc_hash::{FxHashMap, FxHashSet};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The number of code units of the longest instruction that calls, caches included.
pub(super) const CALL_UNITS: u32 = 4;

/// The recording in progress, or the idle state. Replaced under the GIL only.
static STATE: AtomicPtr<State> = AtomicPtr::new(ptr::null_mut());

/// The current state.
///
/// # Safety
/// The GIL is held, and the result is not used after the callback that called this. The GIL makes
/// it the only reference.
#[inline(always)]
pub(super) unsafe fn current<'a>() -> &'a mut State {
    let state = STATE.load(Ordering::Relaxed);
    debug_assert!(!state.is_null());
    // SAFETY: `init` stored a leaked box before any callback existed; see above for uniqueness.
    unsafe { &mut *state }
}

/// Makes the idle state, once. Must be called before anything else here is used.
pub(super) fn init(hidden: HiddenTypes) {
    if STATE.load(Ordering::Relaxed).is_null() {
        let idle = State::new(Ring::none(), Judge::nothing(), hidden, -1, 0, None);
        STATE.store(Box::into_raw(Box::new(idle)), Ordering::Relaxed);
    }
}

/// Frees everything that is kept of a recording that has ended.
pub(super) fn forget(hidden: HiddenTypes) {
    // SAFETY: the GIL is held, and no callback is running; see `init`.
    unsafe { *current() = State::new(Ring::none(), Judge::nothing(), hidden, -1, 0, None) }
}

/// Whether the program has imported greenlet.
pub(super) fn has_greenlets() -> bool {
    let name = |it: Interpreter| it.module_entry(c"greenlet", c"__name__");
    Interpreter::running().and_then(name).is_some()
}

/// Everything a callback needs.
pub(super) struct State {
    /// Address of the code object that the last record belongs to. 0 makes the next event take the
    /// slow path, [`State::enter`].
    last_code: usize,
    last_suspendable: bool,
    /// The number of that code object.
    last_number: u32,
    /// If the last event was a CALL of a Python function: the address of the event's code object,
    /// and its place. Otherwise 0.
    call: (usize, u32),
    /// At capture level `state`: the frame from which the last event entered another one.
    entered_from: Option<Frame>,
    producer: Producer,
    clock: Clock,
    cost: Cost,
    finder: Option<FrameFinder>,
    /// Only in modes whose records contain where frames stand.
    frames: Option<Frames>,
    /// The loss was recorded that a trace function is in use.
    reported_traced: bool,
    /// The loss was recorded that the program changed our events.
    reported_lost_events: bool,
    callables: Callables,
    exceptions: Exceptions,
    /// The last exception that was looked up is a new one.
    is_new_exception: bool,
    /// The ordinal of the next event: how many events there were of kinds other than LINE, JUMP and
    /// INSTRUCTION.
    ordinal: u64,
    /// Records values, if they are captured.
    values: Option<Box<Values>>,

    recording: bool,
    codes: Codes,
    threads: Threads,
    /// Number of the thread that the last record belongs to.
    thread: u32,
    judge: Judge,
    /// Keeps `codes` exact. Without one, code objects are kept alive instead.
    watcher: Option<Watcher>,
    control_fd: RawFd,
    recorder_pid: u32,
    /// The longest time that the program waits for room in a ring.
    max_wait_ns: u64,
    /// How many times [`State::wait_for_room`] was called.
    room_requests: u32,
    /// Why recording ended early, if the user was told so.
    failure: Option<&'static str>,
    /// The program was already running when recording began, so older frames may be running.
    began_midway: bool,
    /// Frames that were running when the recording began, by address, until they are recorded for
    /// their thread. Derived events are missing from there on.
    standing: FxHashMap<usize, RunningFrame>,
    /// See [`Derivation::jumps_in`].
    jumps_in: Option<Version>,
    /// By number of a code object: the branches whose events are not recorded but derived.
    branches: Vec<Branches>,
    /// Code objects that are alive and have local events, switched on or still in `new_watched`.
    watched: FxHashSet<usize>,
    /// Code objects that are alive and whose local events have to be switched on.
    new_watched: Vec<(usize, Watched)>,
    /// Code objects that are alive and whose calls start other processes, by address, recorded or
    /// not.
    launchers: FxHashMap<usize, Launcher>,
    sources: Sources,
    /// A buffer that is reused from one exception to the next.
    scratch: Vec<u8>,
}

/// The local events of a code object.
#[derive(Clone, Copy)]
pub(super) struct Watched {
    pub(super) jumps: bool,
    /// INSTRUCTION events, for the sites of stores.
    pub(super) sites: bool,
}

/// What is needed so that events can be derived.
pub(super) struct Derivation {
    pub(super) frames: Frames,
    /// If set, JUMP events are on only in code objects whose bytecode, of this version, has loops
    /// without any other event.
    pub(super) jumps_in: Option<Version>,
}

/// What to do with an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Enter {
    Record,
    /// The event is not recorded, and its location can be disabled.
    Skip,
    /// The event is not recorded, but its location has to stay enabled.
    Pass,
}

/// A function of the standard library that starts a Python process without an audit event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Launcher {
    /// Its first arguments are a program and its arguments.
    Program,
    /// Has a server start the process.
    Server,
}

impl Launcher {
    fn of(path: &str, qualname: &str) -> Option<Launcher> {
        let is_in = |file: &str| path.ends_with(file);
        match qualname {
            "spawnv_passfds" if is_in("multiprocessing/util.py") => Some(Launcher::Program),
            "ForkServer.connect_to_new_process" if is_in("multiprocessing/forkserver.py") => {
                Some(Launcher::Server)
            }
            _ => None,
        }
    }
}

impl State {
    pub(super) fn new(
        ring: Ring,
        judge: Judge,
        hidden: HiddenTypes,
        control_fd: RawFd,
        recorder_pid: u32,
        finder: Option<FrameFinder>,
    ) -> State {
        let clock = clock::choose();
        State {
            last_code: 0,
            last_suspendable: false,
            last_number: 0,
            call: (0, 0),
            entered_from: None,
            producer: Producer::new(ring, clock),
            clock,
            cost: Cost::new(clock),
            finder,
            frames: None,
            reported_traced: false,
            reported_lost_events: false,
            launchers: FxHashMap::default(),
            sources: Sources::default(),
            callables: Callables::new(hidden),
            exceptions: Exceptions::new(),
            is_new_exception: false,
            ordinal: 0,
            values: None,
            recording: false,
            codes: Codes::new(),
            threads: Threads::default(),
            thread: u32::MAX,
            judge,
            watcher: None,
            control_fd,
            recorder_pid,
            max_wait_ns: DEFAULT_MAX_WAIT.as_nanos() as u64,
            room_requests: 0,
            failure: None,
            began_midway: false,
            standing: FxHashMap::default(),
            jumps_in: None,
            branches: Vec::new(),
            watched: FxHashSet::default(),
            new_watched: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Sets the longest time to wait for room in a ring.
    pub(super) fn with_max_wait(mut self, max_wait_ns: u64) -> State {
        self.max_wait_ns = max_wait_ns;
        self
    }

    /// Makes this the current state and starts recording with it.
    pub(super) fn begin(
        mut self,
        began_midway: bool,
        interpreter: Definition,
        derivation: Option<Derivation>,
        values: Option<Box<Values>>,
    ) {
        self.values = values;
        let patience = self.patience();
        if let Some(values) = &mut self.values {
            values.set_patience(patience);
            if began_midway {
                values.note_midway();
            }
        }
        if self.values.as_deref().is_some_and(Values::has_calls) {
            self.callables.describe_arguments();
        }
        if self.has_state() {
            self.callables.follow_changes();
        }
        self.jumps_in = derivation.as_ref().and_then(|derivation| derivation.jumps_in);
        self.frames = derivation.map(|derivation| derivation.frames);
        self.watcher = Watcher::new();
        self.recording = true;
        self.began_midway = began_midway;
        let recorder = (self.control_fd, self.recorder_pid);
        self.define(&interpreter);
        self.producer.stop_after(0);
        threads::forget_last();
        if has_greenlets() {
            self.threads.follow_greenlets();
        }
        // SAFETY: the GIL is held. Nothing else drops the idle or ended state before this one, and
        // no callback is running.
        unsafe { *current() = self };
        // This comes last, because the state before this one undid it when it was dropped.
        watch_recorder(Some(recorder));
    }

    /// Records greenlets from now on.
    pub(super) fn follow_greenlets(&mut self) {
        self.threads.follow_greenlets();
    }

    pub(super) fn is_recording(&self) -> bool {
        self.recording
    }

    /// Why recording ended early, if the user was told so here.
    pub(super) fn failure(&self) -> Option<&'static str> {
        self.failure
    }

    /// Ends recording for good. Callbacks that are still called do nothing.
    pub(super) fn end(&mut self) {
        self.recording = false;
        watch_recorder(None);
        self.last_code = 0;
        threads::forget_last();
        self.watcher = None;
        // SAFETY: the producers were the mappings' only users in this process.
        unsafe {
            ring::unmap(self.producer.detach());
            if let Some(mut values) = self.values.take() {
                ring::unmap(values.producer().detach());
            }
        }
    }

    /// Ends recording in a forked child. Like [`State::end`], but touches nothing shared and
    /// nothing of Python's.
    pub(super) fn end_in_child(&mut self) {
        self.recording = false;
        watch_recorder(None);
        self.last_code = 0;
        threads::forget_last();
    }

    /// Whether an event of this code object can be pushed at once: there is room, the running
    /// thread pushed the last event, and the code object is that of the last event or can be
    /// switched to.
    #[inline(always)]
    pub(super) fn is_ready(&mut self, code: usize) -> bool {
        if !threads::is_last() || !self.producer.has_room() {
            return false;
        }
        if code == self.last_code {
            return true;
        }
        let Some(found) = self.codes.cached(code) else { return false };
        self.switch_to(code, found);
        true
    }

    #[inline(always)]
    fn switch_to(&mut self, address: usize, code: CodeRef) {
        self.last_code = address;
        self.last_suspendable = code.is_suspendable();
        self.last_number = code.number();
        self.producer.put(record::word(record::TAG_CODE, code.number()));
    }

    /// Prepares ring and tables for an event that [`State::is_ready`] does not cover, and decides
    /// what to do with it.
    pub(super) fn enter(&mut self, kind: EventKind, code: Obj<'_>) -> Enter {
        if !self.recording || !self.has_memory() {
            return Enter::Skip;
        }
        let Some(found) = self.find_or_define(code) else { return Enter::Skip };
        let launcher = self.launchers.get(&code.address()).copied();
        // If local events have to be switched on first, this function is called again.
        let begins = kind == EventKind::PY_START && self.new_watched.is_empty();
        if let Some(launcher) = launcher.filter(|_| begins) {
            self.lose_child(launcher, code);
        }
        if !self.make_room(EVENT_WORDS_MAX) || found == CodeRef::EXCLUDED {
            return if launcher.is_some() { Enter::Pass } else { Enter::Skip };
        }
        let is_last = threads::is_last();
        if !is_last {
            self.enter_thread(kind);
            if !self.make_room(EVENT_WORDS_MAX) {
                return Enter::Skip;
            }
        }
        if !is_last || code.address() != self.last_code {
            self.switch_to(code.address(), found);
        }
        if launcher.is_some() {
            // Every event of this code object takes this path.
            self.codes.forget_cached(code.address());
            self.last_code = 0;
        }
        Enter::Record
    }

    /// Records the loss of the process that the beginning call is about to start.
    fn lose_child(&mut self, launcher: Launcher, code: Obj<'_>) {
        let command = match launcher {
            Launcher::Server => Some("a process of multiprocessing's server".to_owned()),
            Launcher::Program => self.frames.or_else(Frames::find_any).and_then(|frames| {
                let mut arguments = frames.locals(frames.running_of(code)?, 2);
                audit::command(arguments.next()??, arguments.next()??)
            }),
        };
        self.lose(LossKind::ChildNotRecorded, 1, &command.unwrap_or_default());
    }

    fn enter_thread(&mut self, kind: EventKind) {
        if self.threads.is_last_stack() {
            return;
        }
        let running = self.threads.running();
        if running.is_new {
            let native_id = threads::native_id();
            self.define(&Definition::Thread { number: running.number, native_id });
        }
        if let Some(name) = running.name {
            self.define(&Definition::ThreadName { number: running.number, name });
        }
        if running.number != self.thread && self.make_room(EVENT_WORDS_MAX) {
            self.thread = running.number;
            self.call = (0, 0);
            self.producer.put(record::word(record::TAG_THREAD, running.number));
        }
        if running.is_new && self.began_midway {
            self.push_running_frames(kind);
        }
    }

    /// Records the calls that the running thread was in before it was recorded.
    fn push_running_frames(&mut self, kind: EventKind) {
        let mut frames = ffi::running_frames();
        if kind.enters() {
            // The innermost frame begins, or continues, with this event.
            frames.drain(..1.min(frames.len()));
        }
        for frame in frames.into_iter().rev() {
            // SAFETY: a frame on this thread's stack keeps its code object alive.
            let code = unsafe { Obj::borrowed(frame.code as *mut _) };
            // Where the frame stood before anything happened that is not recorded. Nothing recorded
            // can have happened in it, because this is its thread's first event.
            let lasti = match self.standing.remove(&frame.address) {
                Some(standing) if standing.code == frame.code => standing.lasti,
                _ => frame.lasti,
            };
            match self.find_or_define(code) {
                Some(found) if found != CodeRef::EXCLUDED && self.make_room(EVENT_WORDS_MAX) => {
                    let place = (lasti / 2).min(PAYLOAD_MAX);
                    self.producer.put(record::word(record::TAG_RUNNING, place));
                    self.producer.put(found.number());
                    self.producer.put(frame.address as u32);
                    self.producer.put((frame.address >> 32) as u32);
                    self.producer.publish();
                }
                _ => {}
            }
        }
    }

    /// Returns the number of a code object, and defines it if it has none. `None` if it is not a
    /// code object or there is no memory.
    fn find_or_define(&mut self, code: Obj<'_>) -> Option<CodeRef> {
        let address = code.address();
        if let Some(found) = self.codes.find(address) {
            return Some(found);
        }
        if !code.is_code() {
            self.lose(LossKind::ForeignCode, 1, "");
            return None;
        }
        memory::secure_for_code(code.code_units());
        if !self.has_memory() {
            return None;
        }
        if self.watcher.is_none() {
            code.keep();
        }
        // A debugger has code of its own, so it is enough to check when code is new.
        if !self.reported_traced && self.frames.is_some_and(|frames| frames.is_traced()) {
            self.reported_traced = true;
            self.lose(LossKind::Traced, 1, "");
        }
        let definition = code::read_definition(code);
        let module = ffi::current_globals()
            .and_then(|globals| globals.dict_get(c"__name__"))
            .and_then(|name| name.text(1 << 12));
        let module = module.map_or(String::new(), |(name, _)| name);
        if let Some(launcher) = Launcher::of(&definition.path, &definition.qualname)
            && !follow::is_on()
        {
            self.launchers.insert(address, launcher);
        }
        match self.judge.wants(&definition.path, &module) {
            Verdict::Record => {
                let found = self.codes.add(address, &definition);
                let Control { has_silent_cycle, branches } = self.control(&definition.bytecode);
                let mut has_sites = false;
                if let Some(values) = &mut self.values {
                    let is_cell = |variable: &(String, u8)| variable.1 & variable::CELL != 0;
                    let cells = code.code_variables().into_iter().filter(is_cell);
                    let cells: Vec<String> = cells.map(|(name, _)| name).collect();
                    values.define_code(&definition.argument_names, &cells);
                    has_sites = values.define_variables(code, &definition, &branches);
                }
                self.branches.push(branches);
                self.watch(address, Watched { jumps: has_silent_cycle, sites: has_sites });
                self.define_source(code, &definition.path);
                self.define(&Definition::Code(definition));
                Some(found)
            }
            verdict => {
                self.codes.exclude(address);
                if verdict == Verdict::Filtered {
                    // Such code may change any object, and there is no record of when it runs.
                    if let Some(values) = &mut self.values {
                        values.suspect();
                    }
                    self.lose(LossKind::Filtered, 1, "");
                }
                Some(CodeRef::EXCLUDED)
            }
        }
    }

    /// Which events of a code object are recorded differently from those of most others.
    fn control(&self, bytecode: &[u8]) -> Control {
        self.jumps_in.map_or_else(Control::default, |version| Control::of(version, bytecode))
    }

    /// Notes which local events of a code object have to be switched on.
    fn watch(&mut self, address: usize, watched: Watched) {
        if self.jumps_in.is_some()
            && (watched.jumps || watched.sites)
            && self.watched.insert(address)
        {
            self.new_watched.push((address, watched));
        }
    }

    /// Whether a branch event of the current code object is not recorded, because the direction of
    /// the branch follows from what comes next.
    #[inline(always)]
    pub(super) fn is_implied(&self, kind: EventKind, place: u32, target: u32) -> bool {
        let branches = self.branches.get(self.last_number as usize);
        branches.is_some_and(|branches| branches.implies(kind, place, target))
    }

    /// Takes the code objects whose local events have to be switched on. They are alive as long as
    /// the callback that calls this.
    #[inline(always)]
    pub(super) fn take_new_watched(&mut self) -> Vec<(usize, Watched)> {
        std::mem::take(&mut self.new_watched)
    }

    /// Takes the code objects that are alive and whose local events have to be switched off.
    pub(super) fn take_watched(&mut self) -> Vec<usize> {
        self.new_watched.clear();
        self.watched.drain().collect()
    }

    /// Remembers where all frames stand, if the recording needs that.
    pub(super) fn remember_frames(&mut self) {
        if !self.began_midway || self.frames.is_none() {
            return;
        }
        for frame in ffi::all_frames() {
            // SAFETY: a running frame keeps its code object alive.
            let code = unsafe { Obj::borrowed(frame.code as *mut _) };
            let jumps = self.control(&code.code_bytes(c"co_code")).has_silent_cycle;
            self.watch(frame.code, Watched { jumps, sites: self.has_state() });
            self.standing.insert(frame.address, frame);
        }
    }

    /// Forgets a code object that is destroyed.
    pub(super) fn code_died(&mut self, address: usize) {
        self.codes.forget(address);
        if self.watched.remove(&address) {
            self.new_watched.retain(|(other, _)| *other != address);
        }
        self.launchers.remove(&address);
        self.callables.forget(address);
        if self.last_code == address {
            self.last_code = 0;
        }
    }

    /// Whether calls of the current code object may be suspended.
    #[inline(always)]
    pub(super) fn is_suspendable(&self) -> bool {
        self.last_suspendable
    }

    /// Returns the number of the callable that an event carries, and makes room for the event.
    /// `None` if recording has ended. The event's arguments are the code object, the place, the
    /// callable and the callable's first argument.
    #[inline(always)]
    pub(super) fn callable(&mut self, kind: EventKind, arguments: [Obj<'_>; 4]) -> Option<u32> {
        match self.callables.number(arguments[2]) {
            Ok(number) => Some(number),
            Err(special) => self.special(kind, arguments, special),
        }
    }

    #[cold]
    fn special(
        &mut self,
        kind: EventKind,
        arguments: [Obj<'_>; 4],
        special: Special,
    ) -> Option<u32> {
        if let Some(name) = special.name {
            self.define(&Definition::Callable { name });
        }
        let first = arguments[3];
        if special.is_watched && kind == EventKind::CALL {
            neighbours::before_call(arguments, self.finder);
            if first.is_int() && monitoring::is_our_tool(first.small_int()) {
                self.lose_events(LossKind::EventsSwitchedOff);
            }
        }
        self.make_room(EVENT_WORDS_MAX).then_some(special.number)
    }

    /// How to find the running frame.
    pub(super) fn finder(&self) -> Option<FrameFinder> {
        self.finder
    }

    /// How to read frames, if the recording needs that.
    pub(super) fn frames(&self) -> Option<Frames> {
        self.frames
    }

    /// Returns the number of an exception, and makes room for an event. `None` if recording has
    /// ended.
    pub(super) fn exception(&mut self, kind: EventKind, exception: Obj<'_>) -> Option<u32> {
        let place = match kind {
            EventKind::RAISE | EventKind::PY_UNWIND => self.frame_place(kind),
            _ => None,
        };
        let number = self.exceptions.number(kind, exception, place);
        self.is_new_exception = number.is_err();
        match number {
            Ok(number) => Some(number),
            Err(new) => {
                if let Some(name) = new.type_name {
                    self.define(&Definition::ExceptionType { name });
                }
                match new.fate {
                    Fate::Whole => {}
                    Fate::Cut => self.lose(LossKind::MessageCut, 1, ""),
                    Fate::Unread => self.lose(LossKind::MessageUnread, 1, ""),
                }
                self.define_exception(new.exception_type, &new.message);
                self.make_room(EVENT_WORDS_MAX).then_some(new.number)
            }
        }
    }

    /// Where the running frame stands. For PY_UNWIND, where its caller stands.
    fn frame_place(&self, kind: EventKind) -> Option<FramePlace> {
        let frames = self.frames.as_ref()?;
        let running = frames.running()?;
        let frame = match kind {
            EventKind::PY_UNWIND => frames.caller(running)?,
            _ => running,
        };
        Some((frame.address, frame.unit))
    }

    /// Whether values are captured.
    #[inline(always)]
    pub(super) fn captures(&self) -> bool {
        self.values.is_some()
    }

    /// Whether variables and objects are captured.
    #[inline(always)]
    pub(super) fn has_state(&self) -> bool {
        self.values.as_ref().is_some_and(|values| values.has_state())
    }

    /// Whether unfinished instructions of the current code object may be changing objects.
    #[inline(always)]
    pub(super) fn is_changing(&self) -> bool {
        self.values.as_deref().is_some_and(|values| values.is_changing(self.last_number))
    }

    /// Records what instructions of the running frame have changed, if they end before this event.
    pub(super) fn record_changed(&mut self, kind: EventKind, code: Obj<'_>) {
        let (at, thread) = ((self.ordinal, self.last_number), self.thread);
        if let Some(values) = self.values_with_room() {
            values.record_changed_before(at, thread, kind, code);
        }
    }

    /// Whether derived events are left out of the recording.
    #[inline(always)]
    pub(super) fn derives_events(&self) -> bool {
        self.jumps_in.is_some()
    }

    /// Whether there may be something to record of variables and objects at an event. `callable` is
    /// the number of the callable that the event carries.
    #[inline(always)]
    pub(super) fn wants_state(
        &mut self,
        kind: EventKind,
        code: Obj<'_>,
        unit: u32,
        callable: u32,
    ) -> bool {
        let Some(values) = self.values.as_deref().filter(|values| values.has_state()) else {
            return false;
        };
        if kind.enters() {
            self.entered_from = values.caller_of_entered(code);
            if let Some(values) = &mut self.values {
                values.note_entered(code);
            }
            return true;
        }
        let is_handed = match kind {
            EventKind::CALL => {
                let Behaviour { effect, reaches, .. } = self.callables.behaviour(callable);
                effect == Effect::Sorts || reaches
            }
            kind => kind.has_callable(),
        };
        is_handed
            || values.has_reached()
            || values.has_unsure()
            || values.wants_variables((self.ordinal, self.last_number), kind, unit)
    }

    /// Records what the instruction at a code unit is about to change. False if this instruction
    /// never has anything to record.
    pub(super) fn record_site(&mut self, code: Obj<'_>, unit: u32) -> bool {
        let (at, thread) = ((self.ordinal, self.last_number), self.thread);
        let Some(values) = self.values_with_room() else { return false };
        values.record_site(at, thread, code, unit)
    }

    /// Records the variables of the running frame, and objects that may have been changed since its
    /// last event. `handed` has the number of a callable that is called, or that is written in C
    /// and returns, then the callable and its first argument.
    pub(super) fn record_state(
        &mut self,
        kind: EventKind,
        code: Obj<'_>,
        unit: u32,
        handed: Option<(u32, Obj<'_>, Obj<'_>)>,
    ) {
        let (at, thread) = ((self.ordinal, self.last_number), self.thread);
        let is_entered_otherwise = kind.enters()
            && self.entered_from.as_ref().is_some_and(|caller| !self.is_called(caller));
        let Some(values) = self.values_with_room() else { return };
        values.record_variables(at, thread, kind, code, unit);
        if values.has_unsure() {
            values.record_unsure(at, code);
        }
        if values.has_reached()
            && kind.leaves()
            && let Some(caller) = values.reached(code)
            && let Some(number) = self.codes.find(caller.code)
            && number != CodeRef::EXCLUDED
            && let Some(values) = self.values_with_room()
        {
            values.record_reached(at, caller, number.number());
        }
        if is_entered_otherwise
            && let Some(caller) = self.entered_from
            && let Some(number) = self.codes.find(caller.code)
            && number != CodeRef::EXCLUDED
            && let Some(values) = self.values_with_room()
        {
            values.record_callers_variables(at, caller, number.number());
        }
        if let Some((number, callable, first)) = handed {
            let Behaviour { effect, does, reaches, calls, may_call, ends_with_call, sets_tracer } =
                self.callables.behaviour(number);
            let is_suspicious = may_call && self.callables.changes_when_called(first);
            // For a bound method this is the object that it is bound to.
            let owner = self.callables.bound_to(callable);
            let changed = if is_suspicious { self.callables.bound_to(first) } else { None };
            let hidden = self.callables.hidden();
            if let Some(values) = self.values_with_room() {
                let list = owner.unwrap_or(first);
                if sets_tracer && kind != EventKind::CALL {
                    values.keep_tracing();
                }
                match changed.filter(|_| kind != EventKind::CALL) {
                    Some(container) if ends_with_call || !first.is_held_elsewhere() => {
                        values.note_method_called(at, first, container);
                    }
                    None if ends_with_call && kind != EventKind::CALL => {}
                    _ if is_suspicious => values.suspect_method(at, code, unit, first, changed),
                    _ => {}
                }
                if calls && kind != EventKind::CALL {
                    values.record_called_back(at, code, unit, &hidden);
                }
                if reaches {
                    values.note_reaching((code, at.1), unit, owner, first, kind == EventKind::CALL);
                }
                if effect == Effect::Sorts {
                    values.note_sorting(code, unit, list, kind == EventKind::CALL);
                }
                if kind == EventKind::CALL {
                    return;
                }
                if kind == EventKind::C_RETURN
                    && (effect == Effect::Appends && values.record_appended(at, thread, unit, list)
                        || does != Does::Other && values.record_done(at, thread, unit, list, does))
                {
                    return;
                }
                // A call that failed may have done a part of it. The object is examined to find
                // out.
                let doing = match effect {
                    _ if kind == EventKind::C_RAISE => None,
                    Effect::Does(doing) => Some(doing),
                    Effect::Appends => Some(Doing::Append),
                    _ => None,
                };
                let call = (callable, owner, first);
                if let Some(doing) = doing
                    && values.record_called(at, thread, code, unit, call, doing)
                {
                    return;
                }
                values.record_handed(at, code, unit, owner, first, effect);
            }
        }
    }

    /// Whether `caller` entered another frame by the CALL that was the last event.
    #[inline(always)]
    fn is_called(&self, caller: &Frame) -> bool {
        caller.code == self.call.0 && caller.unit.wrapping_sub(self.call.1) < CALL_UNITS
    }

    /// Records the arguments of the call that begins with the next event.
    pub(super) fn record_arguments(&mut self, code: Obj<'_>) {
        let at = (self.ordinal, self.last_number);
        let Some(values) = self.values_with_room() else { return };
        values.record_arguments(at, code);
    }

    /// Whether the arguments of a call are recorded. `number` is that of the callable, which is the
    /// last one that was looked up.
    #[inline(always)]
    pub(super) fn wants_call(&self, number: u32) -> bool {
        !self.callables.is_python()
            && !self.callables.forwards(number)
            && self.values.as_deref().is_some_and(Values::has_calls)
    }

    /// Records the arguments of the call of C code that begins with the next event.
    pub(super) fn record_call(&mut self, code: Obj<'_>, unit: u32, callable: Obj<'_>) {
        let at = (self.ordinal, self.last_number);
        let owner = self.callables.bound_to(callable);
        let Some(values) = self.values_with_room() else { return };
        values.record_call(at, code, unit, callable, owner);
    }

    /// Remembers where the running frame, which yields, will find the value that is sent to it.
    pub(super) fn note_yield(&mut self, code: Obj<'_>, unit: u32) {
        if let Some(values) = &mut self.values {
            values.note_yield(self.last_number, unit, code);
        }
    }

    /// The value that is sent to the frame that resumes with the next event.
    pub(super) fn sent<'a>(&self, code: Obj<'a>, unit: u32) -> Option<Obj<'a>> {
        self.values.as_ref()?.sent(self.last_number, unit, code)
    }

    /// Records the value that comes with the next event.
    #[inline]
    pub(super) fn record_value(&mut self, kind: GroupKind, value: Obj<'_>) {
        let at = (self.ordinal, self.last_number);
        let Some(values) = self.values_with_room() else { return };
        values.record(at, kind, 1, std::iter::once(Some(value)));
    }

    /// Whether the last exception that was looked up is a new one.
    pub(super) fn is_new_exception(&self) -> bool {
        self.is_new_exception
    }

    /// Counts an event that values may come with.
    #[inline(always)]
    pub(super) fn count_event(&mut self) {
        self.ordinal += 1;
    }

    #[inline]
    fn values_with_room(&mut self) -> Option<&mut Values> {
        if !self.values.as_ref()?.has_room() {
            self.make_room_for_values();
        }
        self.values.as_deref_mut()
    }

    #[cold]
    fn make_room_for_values(&mut self) {
        let Some(values) = &mut self.values else { return };
        if let Err(left_ns) = values.make_room() {
            // The recorder takes no more values.
            if let Some(mut values) = self.values.take() {
                // SAFETY: the producer was the mapping's only user in this process.
                unsafe { ring::unmap(values.producer().detach()) };
            }
            self.check_recorder(left_ns);
        }
    }

    /// Begins an event's record; [`State::end_event`] publishes it.
    #[inline(always)]
    pub(super) fn begin_event(&self) -> Words {
        self.producer.begin()
    }

    #[inline(always)]
    pub(super) fn end_event(&mut self, words: Words) {
        self.producer.end(words);
    }

    /// Records where frames stand, if the recording needs that: the callers of a frame that is
    /// entered, and the frame itself when an exception passes. True if the event begins the call
    /// whose CALL was the last event.
    #[inline(always)]
    pub(super) fn put_frames(&mut self, words: &mut Words, kind: EventKind, code: Obj<'_>) -> bool {
        let Some(frames) = self.frames else { return false };
        let mut is_called = false;
        if kind.enters() {
            let caller = match self.has_state() {
                true => self.entered_from,
                false => frames.caller_of_entered(code.address()),
            };
            is_called = caller.as_ref().is_some_and(|caller| self.is_called(caller));
            self.put_callers(words, &frames, caller);
        }
        if kind.has_exception()
            && let Some(own) = frames.running().filter(|frame| frame.code == code.address())
        {
            // This may be the first event of this frame.
            let is_raise = kind.number() == EventKind::RAISE.number();
            if is_raise && frames.stand(own) == Stand::Resuming {
                self.put_callers(words, &frames, frames.caller(own));
            }
            words.put(record::word(record::TAG_AT, own.unit.min(PAYLOAD_MAX)));
        }
        is_called
    }

    #[inline(always)]
    fn put_callers(&mut self, words: &mut Words, frames: &Frames, mut caller: Option<Frame>) {
        let mut count = 0;
        while let Some(frame) = caller {
            if let Some(code) =
                self.codes.find(frame.code).filter(|code| *code != CodeRef::EXCLUDED)
            {
                words.put(record::word(record::TAG_CALLER, frame.unit.min(PAYLOAD_MAX)));
                words.put(code.number());
                count += 1;
                if frames.stand(frame) == Stand::Within || count == CALLERS_MAX {
                    return;
                }
            }
            caller = frames.caller(frame);
        }
    }

    /// Notes for the next event whether this one is a CALL of a Python function, at this code unit.
    #[inline(always)]
    pub(super) fn note_call(&mut self, kind: EventKind, unit: u32) {
        let is_call = kind.number() == EventKind::CALL.number() && self.callables.is_python();
        self.call = if is_call { (self.last_code, unit) } else { (0, 0) };
    }

    /// Address of the running frame.
    pub(super) fn frame(&self) -> usize {
        match self.finder {
            Some(finder) => finder.current(),
            None => ffi::running_frames().first().map_or(0, |frame| frame.address),
        }
    }

    /// The clock of the records.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Begins a callback for which the ring reported no room at first. It may be time to measure
    /// one.
    pub(super) fn enter_callback(&mut self) {
        if self.recording && (self.cost.is_measuring() || self.producer.has_stopped()) {
            self.cost.enter();
        }
    }

    /// Ends a callback that recorded no event.
    #[inline(always)]
    pub(super) fn leave_callback(&mut self) {
        if self.cost.is_measuring() {
            self.cost.leave();
            // The next one is measured too.
            self.producer.stop_after(0);
        }
    }

    /// Ends a callback whose event is written, but not yet published.
    #[inline(always)]
    pub(super) fn leave_event(&mut self, words: &mut Words) {
        if self.cost.is_measuring() {
            let Measured { ticks, others } = self.end_interval();
            words.put(record::word(record::TAG_COST, others.min(PAYLOAD_MAX)));
            words.put(ticks);
        }
    }

    #[cold]
    #[inline(never)]
    fn end_interval(&mut self) -> Measured {
        self.producer.stop_after(self.cost.distance());
        self.cost.leave_event()
    }

    /// Reads the clock for the next event and returns the ticks since the last reading.
    #[inline(always)]
    pub(super) fn tick(&mut self, words: &mut Words) -> u32 {
        let now = clock::ticks(self.clock);
        let delta = cost::ticks_since_last(now);
        if delta > u64::from(u32::MAX) {
            let spent = cost::take_pending();
            if spent != 0 {
                words.put(record::word(record::TAG_SPENT, 0));
                words.put(spent as u32);
                words.put((spent >> 32) as u32);
            }
            words.put(record::word(record::TAG_CLOCK, 0));
            words.put(now as u32);
            words.put((now >> 32) as u32);
            return 0;
        }
        delta as u32
    }

    /// Records the source that the program registered for a code object's file.
    fn define_source(&mut self, code: Obj<'_>, path: &str) {
        let Some(interpreter) = Interpreter::running() else { return };
        // The cache is a dict. It can be read only in versions whose dicts have a known layout.
        if Version::from_magic(ffi::bytecode_magic()).is_none() {
            return;
        }
        match self.sources.read(interpreter, code, path) {
            Some(Registered::Text(text)) => {
                self.define(&Definition::Source { path: path.to_owned(), text });
            }
            Some(Registered::Unread) => self.lose(LossKind::SourceUnread, 1, path),
            None => {}
        }
    }

    /// Records a loss.
    pub(super) fn lose(&mut self, kind: LossKind, count: u64, detail: &str) {
        self.define(&Definition::Loss { kind, count, detail: detail.to_owned() });
    }

    /// Records, once, the loss that the program changed our events.
    pub(super) fn lose_events(&mut self, kind: LossKind) {
        if !self.reported_lost_events {
            self.reported_lost_events = true;
            self.lose(kind, 1, "");
        }
    }

    /// Pushes a definition.
    pub(super) fn define(&mut self, definition: &Definition) {
        // Invariant: encoding plain data into a Vec cannot fail.
        let bytes =
            bincode::encode_to_vec(definition, bincode::config::standard()).unwrap_or_default();
        if bytes.len() / 4 > self.producer.capacity() / 2 {
            // Only a code object can be this large. Without its tables it is not so large.
            if let Definition::Code(code) = definition {
                let slim = dashcam_schema::record::CodeDefinition {
                    line_table: Vec::new(),
                    variable_names: Vec::new(),
                    names: Vec::new(),
                    argument_names: Vec::new(),
                    bytecode: Vec::new(),
                    exception_table: Vec::new(),
                    ..code.clone()
                };
                if *code != slim {
                    self.define(&Definition::Code(slim));
                }
            }
            return;
        }
        self.push_definition(&bytes);
    }

    /// Pushes `Definition::Exception` without making one: exceptions are frequent in some programs.
    fn define_exception(&mut self, exception_type: u32, message: &str) {
        let mut bytes = std::mem::take(&mut self.scratch);
        bytes.clear();
        // A tuple of a variant's number and fields is encoded like the variant.
        let definition = (record::EXCEPTION_VARIANT, exception_type, message);
        // Invariant: writing plain data into a Vec cannot fail.
        let _ = bincode::encode_into_std_write(definition, &mut bytes, bincode::config::standard());
        self.push_definition(&bytes);
        self.scratch = bytes;
    }

    /// Records a loss without allocating memory.
    fn lose_at_end(&mut self, kind: LossKind, count: u64) {
        let loss = Definition::Loss { kind, count, detail: String::new() };
        let mut bytes = [0; 64];
        // Invariant: three numbers are no more bytes than that.
        let encoded = bincode::encode_into_slice(loss, &mut bytes, bincode::config::standard());
        let bytes = &bytes[..encoded.unwrap_or(0)];
        if self.wait_for_room(definition_words(bytes)) {
            self.put_definition(bytes);
        }
    }

    fn push_definition(&mut self, bytes: &[u8]) {
        if self.make_room(definition_words(bytes)) {
            self.put_definition(bytes);
        }
    }

    /// Writes a definition. There must be room.
    fn put_definition(&mut self, bytes: &[u8]) {
        let words = definition_words(bytes);
        self.producer.put(record::word(record::TAG_DEFINE, (words - 1) as u32));
        self.producer.put(bytes.len() as u32);
        let (whole, rest) = bytes.as_chunks::<4>();
        for word in whole {
            self.producer.put(u32::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            self.producer.put(u32::from_le_bytes(last));
        }
        self.producer.publish();
    }

    /// Waits for room if necessary. False if there will be none: recording has ended.
    fn make_room(&mut self, words: usize) -> bool {
        // The idle ring has no room to give.
        self.recording && self.has_memory() && self.wait_for_room(words)
    }

    /// Whether there is memory for what comes next. If not, there may not have been enough for what
    /// is being recorded either, and recording has ended.
    fn has_memory(&mut self) -> bool {
        memory::secure();
        if memory::is_short() {
            self.end_without_memory();
            return false;
        }
        true
    }

    #[cold]
    fn end_without_memory(&mut self) {
        if !self.recording {
            return;
        }
        self.lose_at_end(LossKind::OutOfMemory, 1);
        self.end();
        warn("the program ran out of memory; it goes on unrecorded");
    }

    fn patience(&self) -> Patience {
        let (fd, pid) = (self.control_fd, self.recorder_pid);
        Patience { fd, pid, left_ns: self.max_wait_ns, pauses: 0 }
    }

    fn wait_for_room(&mut self, words: usize) -> bool {
        let mut patience = self.patience();
        let began = cost::begin(self.clock);
        let room = self.producer.wait(words, patience.pause()).is_ok();
        cost::end(self.clock, began);
        self.room_requests = self.room_requests.wrapping_add(1);
        if !room || self.room_requests.is_multiple_of(REQUESTS_PER_CHECK) {
            self.check_recorder(if room { self.max_wait_ns.max(1) } else { patience.left_ns });
        }
        if !room {
            // If the recorder is all right, it has reported itself why it takes no more.
            self.end_in_child();
        }
        self.recording
    }

    /// Ends the recording if the recorder process has died, or has taken nothing until the time to
    /// wait was over.
    #[cold]
    fn check_recorder(&mut self, left_ns: u64) {
        if !self.recording {
            return;
        }
        if recorder_is_gone(self.control_fd, self.recorder_pid) {
            self.end_in_child();
            // Otherwise it ended the recording itself, as when the program has ended.
            if !self.producer.is_closed() {
                self.failure = Some(RECORDER_DIED);
                warn(RECORDER_DIED);
            }
        } else if left_ns == 0 {
            self.producer.give_up();
            self.end_in_child();
            self.failure = Some(GAVE_UP);
            warn(GAVE_UP);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end();
        if self.control_fd >= 0 {
            // SAFETY: our own descriptor.
            unsafe { libc::close(self.control_fd) };
        }
    }
}

const RECORDER_DIED: &str = "the recorder process has died; the program goes on unrecorded";
const GAVE_UP: &str =
    "the recorder was held up for longer than --max-wait; the program goes on unrecorded";
/// Whether the recorder is alive is checked once for this many requests for room, because the check
/// is a system call.
const REQUESTS_PER_CHECK: u32 = 1 << 12;
/// The length of the first pauses. After as many of a length, those that follow are twice as long,
/// up to some 2 ms.
const PAUSE_US: u64 = 50;
const PAUSES_OF_A_LENGTH: u32 = 16;
const LONGER_MAX: u32 = 5;
/// At most this much of a pause counts as waiting. A longer pause was not the recorder's fault:
/// this process was stopped, or had no core.
const PAUSE_NS: u64 = 20_000_000;

/// The recorder that has to make room in a ring, and how long to wait for it.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// The control socket and the process id.
    fd: RawFd,
    pid: u32,
    /// The remaining time. When it is 0, the wait is over.
    pub(super) left_ns: u64,
    /// How many pauses there were.
    pauses: u32,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { fd: -1, pid: 0, left_ns: 0, pauses: 0 }
    }
}

impl Patience {
    /// Returns a function that pauses for a short time, so that the recorder can make room, and
    /// returns how long the pause was. The GIL stays held, because other threads would put their
    /// events into the middle of this one.
    pub(super) fn pause(&mut self) -> impl FnMut() -> Result<u64, Gone> + '_ {
        move || {
            let start = monotonic_ns();
            if self.left_ns == 0 || recorder_is_gone(self.fd, self.pid) {
                return Err(Gone);
            }
            // Where many processes wait, short pauses would take the time that the recorder needs.
            let longer = (self.pauses / PAUSES_OF_A_LENGTH).min(LONGER_MAX);
            self.pauses = self.pauses.saturating_add(1);
            std::thread::sleep(std::time::Duration::from_micros(PAUSE_US << longer));
            let ns = monotonic_ns() - start;
            self.left_ns = self.left_ns.saturating_sub(ns.min(PAUSE_NS));
            Ok(ns)
        }
    }
}

/// The recorder that must be alive until recording ends: descriptor and process id, or 0 for none.
/// Read at exit, when the GIL may not be held.
static WATCHED: AtomicU64 = AtomicU64::new(0);

fn watch_recorder(watched: Option<(RawFd, u32)>) {
    // The program's first process reports it for those that have joined.
    let watched = watched.filter(|(fd, _)| *fd >= 0);
    let packed = watched.map_or(0, |(fd, pid)| u64::from(fd as u32) << 32 | u64::from(pid));
    WATCHED.store(packed, Ordering::Relaxed);
}

/// Warns that the recorder has died, if the program ends before the shim could notice.
pub(super) extern "C" fn at_exit() {
    let packed = WATCHED.swap(0, Ordering::Relaxed);
    let (fd, pid) = ((packed >> 32) as RawFd, packed as u32);
    if packed != 0 && recorder_is_gone(fd, pid) {
        warn("the recorder process has died; the end of the program was not recorded");
    }
}

/// Whether the process at the other end of the control socket has died.
fn recorder_is_gone(fd: RawFd, pid: u32) -> bool {
    if fd < 0 {
        // SAFETY: signal 0 only checks whether the process exists.
        return unsafe { libc::kill(pid as i32, 0) } != 0;
    }
    let mut poll = libc::pollfd { fd, events: 0, revents: 0 };
    // SAFETY: one valid pollfd.
    let answered = unsafe { libc::poll(&mut poll, 1, 0) };
    if answered > 0 && poll.revents & libc::POLLNVAL != 0 {
        // The program closed all descriptors that it did not know.
        // SAFETY: signal 0 only checks whether the process exists.
        return unsafe { libc::kill(pid as i32, 0) } != 0;
    }
    answered > 0 && poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
}

/// How many words a definition takes in the ring.
fn definition_words(bytes: &[u8]) -> usize {
    2 + bytes.len().div_ceil(4)
}

/// Writes one line to the program's stderr, without any buffer.
pub(super) fn warn(text: &str) {
    let parts = ["dashcam: ", text, "\n"];
    let parts = parts
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() });
    // SAFETY: buffers of these lengths, which are only read. An error, as of a closed stderr, is
    // ignored.
    unsafe { libc::writev(2, parts.as_ptr(), parts.len() as i32) };
}
