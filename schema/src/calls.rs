//! The call stacks that follow from events.
//!
//! Recorder and replayer both run [`Calls`] over events. The recorder stores the state of every
//! stack at each chunk's start, so that a chunk can be read by itself. The replayer gets back the
//! calls and exceptions that end in a chunk.
//!
//! A *call* is one execution of a Python function from PY_START to PY_RETURN or PY_UNWIND. A
//! generator, coroutine or asynchronous generator is one call however often it is suspended. The
//! `call_id` is the `seq` of the event that began the call, so ids never change and never clash.

use crate::event::EventKind;
use rustc_hash::FxHashMap;

/// `seq` of the event that began a call. 0 means "no call".
pub type CallId = u64;

/// A place that is not known.
pub const UNKNOWN: u32 = u32::MAX;

/// The place of an event in a code object. See [`crate::event::Place`] for the unit of `place`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct Site {
    /// The recording's number of the code object.
    pub code: u32,
    /// The event's kind, which determines the unit of `place`.
    pub kind: u8,
    pub place: u32,
}

/// A call that has begun and not ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, bincode::Encode, bincode::Decode)]
pub struct OpenCall {
    pub call_id: CallId,
    /// The call this one was made from; 0 for a thread's outermost.
    pub parent: CallId,
    /// Number of calls below it on the stack when it began.
    pub depth: u32,
    pub code: u32,
    /// Thread it began in.
    pub thread: u32,
    /// Where the caller stood; `None` if no recorded call was running.
    pub called_from: Option<Site>,
    /// Nanoseconds since the run began.
    pub start_ns: u64,
    /// Nanoseconds spent on top of its stack so far.
    pub self_ns: u64,
    /// A call of the same code object was already on the stack.
    pub recursive: bool,
    /// The address of its frame, by which PY_RESUME refers to it, if the call may be suspended;
    /// else 0.
    pub frame: u64,
    /// The place of the event that began it; [`UNKNOWN`] if it was running before recording began.
    pub began_at: u32,
    /// The site of the last event inside it.
    pub last: Site,
    /// Exceptions in flight in this call, and the last few handled in it.
    pub exceptions: Vec<OpenException>,
}

/// An exception that was raised and may still be handled, or raised again.
#[derive(Clone, PartialEq, Eq, Debug, bincode::Encode, bincode::Decode)]
pub struct OpenException {
    /// The recording's number of the exception object.
    pub exception: u32,
    /// `seq` of the event that raised it.
    pub seq: u64,
    /// The call it was raised in.
    pub call_id: CallId,
    pub site: Site,
    pub time_ns: u64,
    pub thread: u32,
    /// `seq` and site of the EXCEPTION_HANDLED that handled it, unless it was raised again since.
    pub handled: Option<(u64, Site)>,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// PY_RETURN.
    Return,
    /// PY_UNWIND, with the number of the exception.
    Unwind(u32),
    /// No end was recorded: the run ended first, or a generator was dropped unfinished.
    Open,
}

/// Receives the results of [`Calls`].
pub trait Sink {
    /// A call ended.
    fn call(&mut self, call: &OpenCall, end_seq: u64, end_ns: u64, exit: Exit);
    /// An exception is over: it was handled for good, or left its last call unhandled.
    fn exception(&mut self, exception: &OpenException);
    /// The stack did not match the event at `seq`, and this number of `calls` had to be closed.
    fn desync(&mut self, seq: u64, calls: u64);
}

/// One event, with what [`Calls`] needs of it.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub seq: u64,
    pub time_ns: u64,
    pub kind: EventKind,
    pub place: u32,
    pub code: u32,
    /// Meaningful if the kind has an exception.
    pub exception: u32,
    /// For PY_RESUME and PY_THROW: the call that goes on; 0 if not known.
    pub resumed: CallId,
    /// See [`OpenCall::frame`].
    pub frame: u64,
}

/// One thread's stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, bincode::Encode, bincode::Decode)]
pub struct Stack {
    pub thread: u32,
    /// Outermost first.
    pub calls: Vec<OpenCall>,
    /// When the top call last began to run, in nanoseconds.
    pub since_ns: u64,
}

/// The state of all stacks at one instant.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// All open calls. The places of calls that ended are in `free`.
    open: Vec<Held>,
    free: Vec<Place>,
    stacks: Vec<Live>,
    by_thread: FxHashMap<u32, usize>,
    /// The calls that were suspended at least once. They stay here while they run, since most of
    /// them are suspended again and again.
    suspendable: FxHashMap<CallId, Place>,
    /// The active calls of the current thread.
    active: Active,
    current: usize,
}

/// Index into [`Calls::open`].
type Place = u32;

/// An open call, and whether it is suspended.
#[derive(Clone, Debug, Default)]
struct Held {
    call: OpenCall,
    is_suspended: bool,
    /// Whether it is in [`Calls::suspendable`], or was until another call of the same id replaced
    /// it.
    is_listed: bool,
}

/// A [`Stack`] whose calls are places in [`Calls::open`].
#[derive(Clone, Debug)]
struct Live {
    thread: u32,
    calls: Vec<Place>,
    since_ns: u64,
}

/// How many calls of each code object are on a stack.
#[derive(Clone, Debug, Default)]
struct Active {
    by_code: Vec<u32>,
    /// Counts of code objects whose numbers are too large for a list.
    odd: FxHashMap<u32, u32>,
}

impl Active {
    #[cold]
    fn add_first(&mut self, code: u32) -> bool {
        const LISTED: usize = 1 << 20;
        let index = code as usize;
        let count = if index >= LISTED {
            self.odd.entry(code).or_insert(0)
        } else {
            self.by_code.resize(index + 1, 0);
            &mut self.by_code[index]
        };
        *count += 1;
        *count > 1
    }

    /// Counts one more call. Returns true if there was one already.
    #[inline]
    fn add(&mut self, code: u32) -> bool {
        let Some(count) = self.by_code.get_mut(code as usize) else { return self.add_first(code) };
        *count += 1;
        *count > 1
    }

    #[inline]
    fn remove(&mut self, code: u32) {
        match self.by_code.get_mut(code as usize) {
            Some(count) => *count = count.saturating_sub(1),
            None => self.remove_odd(code),
        }
    }

    #[cold]
    fn remove_odd(&mut self, code: u32) {
        let Some(count) = self.odd.get_mut(&code) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.odd.remove(&code);
        }
    }
}

impl Calls {
    /// Returns the state with these stacks and suspended calls, with which a chunk begins.
    pub fn resume_from(stacks: Vec<Stack>, suspended: Vec<OpenCall>) -> Calls {
        let mut calls = Calls::default();
        for stack in stacks {
            let Stack { thread, calls: open, since_ns } = stack;
            calls.by_thread.insert(thread, calls.stacks.len());
            let open = open.into_iter().map(|call| calls.place(call)).collect();
            calls.stacks.push(Live { thread, calls: open, since_ns });
        }
        for call in suspended {
            let id = call.call_id;
            let place = calls.place(call);
            let held = &mut calls.open[place as usize];
            (held.is_suspended, held.is_listed) = (true, true);
            calls.suspendable.insert(id, place);
        }
        if let Some(first) = calls.stacks.first() {
            for place in &first.calls {
                calls.active.add(calls.open[*place as usize].call.code);
            }
        }
        calls
    }

    fn place(&mut self, call: OpenCall) -> Place {
        self.open.push(Held { call, ..Held::default() });
        self.open.len() as Place - 1
    }

    /// The stacks that are not empty.
    pub fn stacks(&self) -> impl Iterator<Item = Stack> {
        self.stacks.iter().filter(|stack| !stack.calls.is_empty()).map(|stack| {
            let calls = stack.calls.iter().map(|place| self.open[*place as usize].call.clone());
            Stack { thread: stack.thread, calls: calls.collect(), since_ns: stack.since_ns }
        })
    }

    /// The place of a call that is suspended now.
    #[inline]
    fn suspended_place(&self, call_id: CallId) -> Option<Place> {
        let place = *self.suspendable.get(&call_id)?;
        self.open[place as usize].is_suspended.then_some(place)
    }

    /// A call that is suspended now.
    pub fn suspended(&self, call_id: CallId) -> Option<&OpenCall> {
        self.suspended_place(call_id).map(|place| &self.open[place as usize].call)
    }

    /// All calls that are on a stack or suspended now.
    pub fn all(&self) -> impl Iterator<Item = &OpenCall> {
        let on_stacks = self.stacks.iter().flat_map(|stack| &stack.calls);
        let suspended = self.suspendable.values();
        let suspended = suspended.filter(|place| self.open[**place as usize].is_suspended);
        on_stacks.chain(suspended).map(|place| &self.open[*place as usize].call)
    }

    /// Removes a suspended call that can never go on, because its frame's memory is used by
    /// another.
    pub fn forget(&mut self, call_id: CallId) {
        if let Some(place) = self.suspended_place(call_id) {
            self.suspendable.remove(&call_id);
            self.free.push(place);
        }
    }

    /// Sets the thread of the events that follow.
    pub fn set_thread(&mut self, thread: u32) {
        if let Some(left) = self.stacks.get(self.current) {
            if left.thread == thread {
                return;
            }
            for place in &left.calls {
                self.active.remove(self.open[*place as usize].call.code);
            }
            // Threads come and go, so nothing is kept for a thread that may have ended.
            if left.calls.is_empty() {
                self.by_thread.remove(&left.thread);
                self.stacks.swap_remove(self.current);
                if let Some(moved) = self.stacks.get(self.current) {
                    self.by_thread.insert(moved.thread, self.current);
                }
            }
        }
        self.current = *self.by_thread.entry(thread).or_insert_with(|| {
            self.stacks.push(Live { thread, calls: Vec::new(), since_ns: 0 });
            self.stacks.len() - 1
        });
        for place in &self.stacks[self.current].calls {
            self.active.add(self.open[*place as usize].call.code);
        }
    }

    /// The current thread.
    pub fn thread(&self) -> Option<u32> {
        self.stacks.get(self.current).map(|stack| stack.thread)
    }

    /// The innermost call of the current thread.
    pub fn innermost(&self) -> Option<&OpenCall> {
        let place = self.stacks.get(self.current)?.calls.last()?;
        Some(&self.open[*place as usize].call)
    }

    /// As [`Self::innermost`], mutable.
    #[inline]
    fn top(&mut self) -> Option<&mut OpenCall> {
        let place = self.stacks.get(self.current)?.calls.last()?;
        Some(&mut self.open[*place as usize].call)
    }

    /// Sets the site of the last event inside the current thread's innermost call. It is cheaper
    /// than [`apply`], for the kinds that do not touch the stack.
    ///
    /// [`apply`]: Calls::apply
    #[inline]
    pub fn at(&mut self, site: Site) {
        if let Some(top) = self.top()
            && top.code == site.code
        {
            top.last = site;
        }
    }

    /// Marks the innermost call of the current thread as running before recording began.
    pub fn ran_before(&mut self) {
        if let Some(top) = self.top() {
            top.began_at = UNKNOWN;
        }
    }

    /// Applies one event of the current thread. Call it for every event of a kind that
    /// [`EventKind::touches_stack`]; for others, [`Calls::at`] is enough.
    ///
    /// # Panics
    /// If [`Calls::set_thread`] was never called.
    pub fn apply(&mut self, event: &Event, sink: &mut impl Sink) {
        self.apply_after(|| None, event, sink);
    }

    /// Calls [`at`] with the result of `before`, then [`apply`]. `before` is seldom called for
    /// events that leave a call.
    ///
    /// # Panics
    /// As [`apply`].
    ///
    /// [`at`]: Calls::at
    /// [`apply`]: Calls::apply
    #[inline(always)]
    pub fn apply_after(
        &mut self,
        before: impl FnOnce() -> Option<Site>,
        event: &Event,
        sink: &mut impl Sink,
    ) {
        let site = Site { code: event.code, kind: event.kind.number(), place: event.place };
        match event.kind {
            EventKind::PY_START => self.begin(before(), event, site),
            EventKind::PY_RETURN | EventKind::PY_UNWIND | EventKind::PY_YIELD => {
                self.leave(before, event, site, sink);
            }
            EventKind::PY_RESUME | EventKind::PY_THROW => self.resume(before(), event, site),
            _ => {
                if let Some(before) = before() {
                    self.at(before);
                }
                self.apply_exception(event, site, sink);
            }
        }
    }

    /// Applies an event that neither enters nor leaves a frame.
    #[inline(never)]
    fn apply_exception(&mut self, event: &Event, site: Site, sink: &mut impl Sink) {
        match event.kind {
            EventKind::RAISE | EventKind::RERAISE => {
                if self.begins_by_raising(event) {
                    let in_flight = self.top().and_then(|caller| caller.take(event.exception));
                    self.begin(None, event, site);
                    // The signal handler's call passed the exception to the call below it. The new
                    // call takes it over.
                    if let (Some(in_flight), Some(begun)) = (in_flight, self.top()) {
                        begun.hold(in_flight, sink);
                    }
                } else {
                    self.at_checked(event, site, sink);
                }
                let thread = self.stacks[self.current].thread;
                let Some(top) = self.top() else { return };
                match top.exceptions.iter_mut().rfind(|e| e.exception == event.exception) {
                    // It passes through this frame, or its handler raised it again.
                    Some(open) => open.handled = None,
                    None => {
                        let raised = OpenException {
                            exception: event.exception,
                            seq: event.seq,
                            call_id: top.call_id,
                            site,
                            time_ns: event.time_ns,
                            thread,
                            handled: None,
                        };
                        top.hold(raised, sink);
                    }
                }
            }
            EventKind::EXCEPTION_HANDLED => {
                self.at_checked(event, site, sink);
                let Some(top) = self.top() else { return };
                if let Some(open) =
                    top.exceptions.iter_mut().rfind(|e| e.exception == event.exception)
                {
                    open.handled = Some((event.seq, site));
                }
            }
            _ => self.at(site),
        }
    }

    /// Whether this is an exception at the first instruction of a call that began without an event:
    /// from 3.13 on, a signal handler that runs when a function is entered, and raises, comes
    /// before PY_START.
    fn begins_by_raising(&self, event: &Event) -> bool {
        if event.kind != EventKind::RAISE {
            return false;
        }
        let Some(stack) = self.stacks.get(self.current) else { return false };
        let mut calls = stack.calls.iter().rev().map(|place| &self.open[*place as usize].call);
        let is_of = |call: &&OpenCall| call.code == event.code;
        // A call is at its beginning only once, so a call that has gone on since is not the one of
        // this event.
        let went_on = |call: &OpenCall| {
            // The place of a LINE is a line.
            call.last.place != event.place || call.last.kind == EventKind::LINE.number()
        };
        match calls.find(is_of) {
            Some(call) => call.began_at == event.place && went_on(call),
            None => true,
        }
    }

    #[inline(always)]
    fn resume(&mut self, before: Option<Site>, event: &Event, site: Site) {
        let place = self.suspended_place(event.resumed);
        match place.filter(|place| self.open[*place as usize].call.code == event.code) {
            Some(place) => {
                if let Some(before) = before {
                    self.at(before);
                }
                self.switch(event.time_ns);
                let recursive = self.active.add(event.code);
                let held = &mut self.open[place as usize];
                held.is_suspended = false;
                (held.call.last, held.call.recursive) = (site, recursive);
                self.stacks[self.current].calls.push(place);
            }
            // The call began before the recording, or got an exception thrown in before it began.
            None => self.begin(before, event, site),
        }
    }

    #[inline(always)]
    fn begin(&mut self, before: Option<Site>, event: &Event, site: Site) {
        let stack = &mut self.stacks[self.current];
        let depth = stack.calls.len() as u32;
        let (mut parent, mut called_from) = (0, None);
        if let Some(place) = stack.calls.last() {
            let caller = &mut self.open[*place as usize].call;
            caller.self_ns += event.time_ns.saturating_sub(stack.since_ns);
            if let Some(before) = before
                && before.code == caller.code
            {
                caller.last = before;
            }
            (parent, called_from) = (caller.call_id, Some(caller.last));
        }
        stack.since_ns = event.time_ns;
        let place = self.free.pop().unwrap_or_else(|| {
            self.open.push(Held::default());
            self.open.len() as Place - 1
        });
        stack.calls.push(place);
        let held = &mut self.open[place as usize];
        (held.is_suspended, held.is_listed) = (false, false);
        // Field by field: a whole new call would be built elsewhere first, and then copied.
        let call = &mut held.call;
        call.call_id = event.seq;
        call.parent = parent;
        call.depth = depth;
        call.code = event.code;
        call.thread = stack.thread;
        call.called_from = called_from;
        call.start_ns = event.time_ns;
        call.self_ns = 0;
        call.recursive = self.active.add(event.code);
        call.frame = event.frame;
        call.began_at = match event.kind {
            EventKind::PY_START | EventKind::RAISE => event.place,
            _ => UNKNOWN,
        };
        call.last = site;
        call.exceptions.clear();
    }

    /// Makes the innermost call one of the event's code object, by closing the calls above it.
    /// Returns true if there is such a call.
    #[inline]
    fn at_checked(&mut self, event: &Event, site: Site, sink: &mut impl Sink) -> bool {
        match self.top() {
            Some(top) if top.code == event.code => {
                top.last = site;
                true
            }
            _ => self.close_above(event, site, sink),
        }
    }

    #[cold]
    fn close_above(&mut self, event: &Event, site: Site, sink: &mut impl Sink) -> bool {
        let calls = &self.stacks[self.current].calls;
        let is_of = |place: &Place| self.open[*place as usize].call.code == event.code;
        let Some(keep) = calls.iter().rposition(is_of) else { return false };
        let extra = calls.len() - keep - 1;
        for _ in 0..extra {
            self.switch(event.time_ns);
            if let Some(place) = self.stacks[self.current].calls.pop() {
                self.end(place, event, Exit::Open, sink);
            }
        }
        sink.desync(event.seq, extra as u64);
        if let Some(top) = self.top() {
            top.last = site;
        }
        true
    }

    /// Ends a call that was just taken from the current thread's stack.
    #[inline(always)]
    fn end(&mut self, place: Place, event: &Event, exit: Exit, sink: &mut impl Sink) {
        let Held { call, is_listed, .. } = &mut self.open[place as usize];
        self.active.remove(call.code);
        if *is_listed && self.suspendable.get(&call.call_id) == Some(&place) {
            self.suspendable.remove(&call.call_id);
        }
        if !call.exceptions.is_empty() {
            call.exceptions.drain(..).for_each(|exception| sink.exception(&exception));
        }
        sink.call(call, event.seq, event.time_ns, exit);
        self.free.push(place);
    }

    /// Adds the time since the last switch to the call on top.
    #[inline]
    fn switch(&mut self, now_ns: u64) {
        let stack = &mut self.stacks[self.current];
        if let Some(place) = stack.calls.last() {
            let call = &mut self.open[*place as usize].call;
            call.self_ns += now_ns.saturating_sub(stack.since_ns);
        }
        stack.since_ns = now_ns;
    }

    /// Takes the innermost call from its stack if it is of the event's code object.
    #[inline(always)]
    fn take_top(&mut self, event: &Event, site: Site) -> Option<Place> {
        let stack = &mut self.stacks[self.current];
        let place = *stack.calls.last()?;
        let call = &mut self.open[place as usize].call;
        if call.code != event.code {
            return None;
        }
        stack.calls.pop();
        call.last = site;
        call.self_ns += event.time_ns.saturating_sub(stack.since_ns);
        stack.since_ns = event.time_ns;
        Some(place)
    }

    /// As [`Self::take_top`], after closing the calls above the nearest one of the event's code
    /// object.
    #[cold]
    fn take_below(
        &mut self,
        before: Option<Site>,
        event: &Event,
        site: Site,
        sink: &mut impl Sink,
    ) -> Option<Place> {
        if let Some(before) = before {
            self.at(before);
        }
        if !self.close_above(event, site, sink) {
            sink.desync(event.seq, 0);
        }
        self.take_top(event, site)
    }

    #[inline(always)]
    fn leave(
        &mut self,
        before: impl FnOnce() -> Option<Site>,
        event: &Event,
        site: Site,
        sink: &mut impl Sink,
    ) {
        let place = match self.take_top(event, site) {
            Some(place) => place,
            None => match self.take_below(before(), event, site, sink) {
                Some(place) => place,
                None => return,
            },
        };
        match event.kind {
            EventKind::PY_YIELD => self.suspend(place),
            EventKind::PY_UNWIND => {
                self.hand_on(place, event, sink);
                self.end(place, event, Exit::Unwind(event.exception), sink);
            }
            _ => self.end(place, event, Exit::Return, sink),
        }
    }

    /// Suspends a call that was just taken from the current thread's stack.
    #[inline]
    fn suspend(&mut self, place: Place) {
        let Held { call, is_suspended, is_listed } = &mut self.open[place as usize];
        self.active.remove(call.code);
        *is_suspended = true;
        if !std::mem::replace(is_listed, true)
            && let Some(before) = self.suspendable.insert(call.call_id, place)
            && self.open[before as usize].is_suspended
        {
            self.free.push(before);
        }
    }

    /// Passes the exception that unwinds a call to its caller, if it is still in flight.
    fn hand_on(&mut self, place: Place, event: &Event, sink: &mut impl Sink) {
        if self.stacks[self.current].calls.is_empty() {
            return;
        }
        let in_flight = self.open[place as usize].call.take(event.exception);
        if let Some(in_flight) = in_flight
            && let Some(caller) = self.top()
        {
            caller.hold(in_flight, sink);
        }
    }
}

/// How many handled exceptions a call remembers. No event reports the end of a handler, so any
/// exception that was handled may be raised again; but a loop that handles one in each iteration
/// must not collect them all. An exception that is raised again after this many others counts as a
/// new one.
const HANDLED_MAX: usize = 8;

impl OpenCall {
    /// Removes and returns an exception that is in flight in this call.
    fn take(&mut self, exception: u32) -> Option<OpenException> {
        let is_it = |e: &OpenException| e.exception == exception && e.handled.is_none();
        let at = self.exceptions.iter().rposition(is_it)?;
        Some(self.exceptions.remove(at))
    }

    /// Adds an exception that is in flight in this call.
    fn hold(&mut self, exception: OpenException, sink: &mut impl Sink) {
        if self.exceptions.len() >= HANDLED_MAX
            && let Some(oldest) = self.exceptions.iter().position(|e| e.handled.is_some())
        {
            sink.exception(&self.exceptions.remove(oldest));
        }
        self.exceptions.push(exception);
    }
}
