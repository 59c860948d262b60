//! Derived recording: a chunk contains the path along the automaton's edges in place of events; see
//! [`dashcam_schema::derive`].

use super::super::outlet::{EdgeCount, EdgeEvents, Form};
use super::patterns::Pattern;
use super::{Bad, Chunker};
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::code::{self, Code, NO_UNIT};
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_schema::calls::Site;
use dashcam_schema::chunk::control::{Control, Numbering};
use dashcam_schema::chunk::{Columns, DERIVED_EVENTS_MAX, code_xxh3};
use dashcam_schema::derive::automaton::{Automaton, EDGES_MAX, EdgeId};
use dashcam_schema::derive::stacks::Stacks;
use dashcam_schema::derive::{Activation, Called, Derived, Step, is_derived};
use dashcam_schema::loss::LossKind;
use dashcam_schema::record::{CALLERS_MAX, CodeDefinition, Mode};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Times are stored in units of 2^this nanoseconds, which is finer than the cost of recording an
/// event.
pub(super) const TIME_SHIFT: u32 = 4;

/// The state for deriving events, beside the chunk's columns.
pub(super) struct Derivation {
    version: Version,
    codes: Vec<Option<Arc<Code>>>,
    /// The same code objects by [`code_xxh3`]: code that is compiled again and again is kept once.
    by_content: FxHashMap<i64, Arc<Code>>,
    pub(super) automaton: Automaton,
    pub(super) stacks: Stacks,
    /// By edge.
    pub(super) patterns: Vec<Pattern>,
    /// The edge taken last.
    pub(super) last_edge: EdgeId,
    numbering: Numbering,
    pub(super) control: Control,
    /// The number of tokens before those of the current thread.
    switched_at: usize,
    /// Edges that the current thread took since `counted` was last added to.
    touched: Vec<EdgeId>,
    counted: Vec<EdgeCount>,
    /// The number of edges that have been sent to the encoder.
    sent_edges: usize,
    /// Edges are numbered from 0 again.
    is_renewed: bool,
    /// Code object and unit of the callers of the next event, nearest first.
    callers: Vec<(u32, u32)>,
    /// The unit at which the frame of the next event stands.
    at: Option<u32>,
    /// The value of the next event is None.
    says_none: bool,
    /// The last event that has not been applied to the call stacks yet.
    pub(super) unsettled: Unsettled,
    /// In mode `verify`: the recorded events of each thread that should be derived.
    verify: Option<FxHashMap<u32, Vec<Derived>>>,
}

/// An event, given by the edge it is on: noting the edge costs less than noting the event, and
/// most such events are never applied to the call stacks.
#[derive(Clone, Copy)]
pub(super) enum Unsettled {
    Nothing,
    /// The edge's last event, which was recorded.
    Recorded(EdgeId),
    /// The event before the edge's last one.
    Before(EdgeId),
}

impl Derivation {
    /// Returns the event that has not been applied to the call stacks, if there is one. The caller
    /// has to apply it.
    #[inline(always)]
    pub(super) fn take_unsettled(&mut self) -> Option<Site> {
        match std::mem::replace(&mut self.unsettled, Unsettled::Nothing) {
            Unsettled::Nothing => None,
            Unsettled::Recorded(id) => {
                let edge = self.automaton.edge(id);
                Some(Site { code: edge.step.code, kind: edge.step.kind, place: edge.place })
            }
            Unsettled::Before(id) => {
                let edge = self.automaton.edge(id);
                let (kind, place) = edge.before;
                Some(Site { code: edge.code, kind, place })
            }
        }
    }

    /// Returns the initial state; `None` if the rules do not know this interpreter, or if no events
    /// are to be derived.
    pub(super) fn new(mode: Mode, magic: u16) -> Option<Box<Derivation>> {
        let version = Version::from_magic(magic).filter(|_| mode.has_frames())?;
        Some(Box::new(Derivation {
            version,
            codes: Vec::new(),
            by_content: FxHashMap::default(),
            automaton: Automaton::default(),
            stacks: Stacks::default(),
            patterns: Vec::new(),
            last_edge: 0,
            numbering: Numbering::default(),
            control: Control::default(),
            switched_at: 0,
            touched: Vec::new(),
            counted: Vec::new(),
            sent_edges: 0,
            is_renewed: false,
            callers: Vec::new(),
            at: None,
            says_none: false,
            unsettled: Unsettled::Nothing,
            verify: (mode == Mode::Verify).then(FxHashMap::default),
        }))
    }

    /// Whether derived events are left out of the recording.
    pub(super) fn omits_derived(&self) -> bool {
        self.verify.is_none()
    }

    /// Whether no record that belongs to the next event has been read yet.
    #[inline(always)]
    pub(super) fn is_between_events(&self) -> bool {
        self.callers.is_empty() && self.at.is_none()
    }

    pub(super) fn define(&mut self, code: &CodeDefinition) {
        if code.bytecode.is_empty() {
            self.codes.push(None);
            return;
        }
        let parts = [&code.line_table[..], &code.bytecode, &code.exception_table];
        let hash = code_xxh3(code.first_line, parts);
        let version = self.version;
        let known = self.by_content.entry(hash).or_insert_with(|| {
            let lines = LineTable::decode(&code.line_table, code.first_line);
            Arc::new(Code::new(version, &code.bytecode, &code.exception_table, &lines))
        });
        self.codes.push(Some(Arc::clone(known)));
    }

    /// Replaces the automaton by a new one. Must be called at the beginning of a chunk.
    fn renew(&mut self) {
        let old = std::mem::take(&mut self.automaton);
        self.stacks.renew(&old, &mut self.automaton);
        self.numbering = Numbering::default();
        self.numbering.begin();
        self.patterns.clear();
        (self.sent_edges, self.last_edge, self.is_renewed) = (0, 0, true);
    }

    /// Takes an edge.
    #[inline(always)]
    pub(super) fn take_edge(&mut self, id: EdgeId) {
        let edge = self.automaton.edge(id);
        if self.numbering.put(&mut self.control, edge, id) {
            self.touched.push(id);
        }
        self.stacks.apply(edge, &self.automaton);
        if edge.events > 1 {
            self.unsettled = Unsettled::Before(id);
        }
    }

    /// Adds a call that began before the recording.
    pub(super) fn running(&mut self, code: u32, unit: u32) {
        let known = self.codes.get(code as usize).and_then(Option::as_deref);
        let start = known.and_then(|code| code.unit(unit)).map_or(unit, |unit| unit.start);
        let running = Activation { called: Called::Python, ..Activation::new(code, start, unit) };
        let node = self.automaton.node(running);
        self.stacks.push(node);
    }

    pub(super) fn set_thread(&mut self, thread: u32) {
        self.end_stretch();
        self.control.switches.push((0, thread));
        self.stacks.set_thread(thread);
    }

    /// Counts the tokens and edges of the current thread.
    fn end_stretch(&mut self) {
        let Some((tokens, thread)) = self.control.switches.last_mut() else { return };
        *tokens += (self.control.tokens.len() - self.switched_at) as u32;
        self.switched_at = self.control.tokens.len();
        if *tokens == 0 {
            self.control.switches.pop();
            return;
        }
        for edge in self.touched.drain(..) {
            let count = self.numbering.take_count(edge);
            self.counted.push(EdgeCount { thread: *thread, edge, count });
        }
    }

    /// Returns the edge that the next event takes.
    #[inline(always)]
    fn find(&mut self, kind: EventKind, code: u32, place: u32, with: u32) -> EdgeId {
        let also = if std::mem::take(&mut self.says_none) { 0 } else { NO_UNIT };
        let mut step = Step { kind: kind.number(), code, place, with, also };
        let top = self.stacks.top();
        if !self.callers.is_empty() || self.at.is_some() {
            let at = self.at.take().unwrap_or(NO_UNIT);
            let mut may_enter = true;
            match kind {
                EventKind::RAISE => {
                    let known = self.codes.get(code as usize).and_then(Option::as_deref);
                    let unit = known.and_then(|code| code.unit(at));
                    step.place = unit.map_or(place, |unit| unit.start);
                    let op = known.and_then(|code| code.unit(step.place)).map(|unit| unit.op);
                    may_enter = known.is_some_and(|code| code.may_begin_by_raising(step.place));
                    let standing = self.automaton.activation(top);
                    let is_thrown = standing.thrown && standing.at == step.place;
                    if op != Some(Op::Other) || is_thrown {
                        step.also = place;
                    }
                }
                EventKind::RERAISE => (step.with, may_enter) = (at, false),
                EventKind::PY_THROW => step.also = at,
                _ => {}
            }
            if may_enter && !self.callers.is_empty() {
                step.with = self.automaton.caller(&self.codes[..], top, &self.callers);
            }
            self.callers.clear();
        }
        self.automaton.find(&self.codes[..], top, &step)
    }
}

impl Chunker {
    /// Whether derived events are left out of the chunk.
    #[inline(always)]
    pub(in crate::writer) fn omits_derived(&self) -> bool {
        self.derivation.as_ref().is_some_and(|derivation| derivation.omits_derived())
    }

    /// Derives the events before an event that is about to be pushed. `with` has the meaning of
    /// [`Step::with`] for this kind. Returns the place that the event gets, and the edge it takes.
    #[inline(always)]
    pub(super) fn step(&mut self, kind: EventKind, place: u32, with: u32) -> (u32, EdgeId) {
        self.costs.charge(self.code, kind);
        match &self.derivation {
            None => (place, 0),
            Some(_) => self.derive(kind, place, with),
        }
    }

    fn derive(&mut self, kind: EventKind, place: u32, with: u32) -> (u32, EdgeId) {
        let Some(derivation) = &mut self.derivation else { return (place, 0) };
        if derivation.verify.is_some() {
            return (self.compare(kind, place, with), 0);
        }
        let id = derivation.find(kind, self.code, place, with);
        let events = derivation.automaton.edge(id).events as usize;
        if self.len > 0 && self.len + events > DERIVED_EVENTS_MAX {
            self.seal();
        }
        (self.take_edge(id), id)
    }

    /// Takes an edge for which the chunk has room, and adds all events of the edge but the last.
    /// Returns the place of the last event.
    pub(super) fn take_edge(&mut self, id: EdgeId) -> u32 {
        let Some(derivation) = &mut self.derivation else { return 0 };
        derivation.take_edge(id);
        derivation.last_edge = id;
        let edge = derivation.automaton.edge(id);
        let (place, is_desync) = (edge.place, edge.is_desync);
        self.len += edge.events as usize - 1;
        if is_desync {
            self.underived(id);
        }
        place
    }

    #[cold]
    fn underived(&mut self, id: EdgeId) {
        let why = self.derivation.as_ref().and_then(|d| d.automaton.desync(id));
        self.lose(LossKind::Underived, 1, why.map_or("", |desync| desync.0).to_owned());
    }

    /// In mode `verify`, notes a recorded event that should also be derived.
    #[cold]
    pub(super) fn note_derivable(&mut self, kind: u8, place: u32, target: u32) {
        if let Some(seen) = self.derivation.as_mut().and_then(|d| d.verify.as_mut()) {
            seen.entry(self.thread).or_default().push(Derived { kind, place, target });
        }
    }

    /// Compares the derived events with the recorded ones. Returns the place that was reported.
    fn compare(&mut self, kind: EventKind, place: u32, with: u32) -> u32 {
        let number = self.code;
        let Some(derivation) = &mut self.derivation else { return place };
        let known = derivation.codes.get(number as usize).and_then(Option::as_deref);
        let unknown = code::Control::default();
        let control = known.map_or(&unknown, |code| &code.control);
        let target = if kind.has_target() { with } else { NO_UNIT };
        if is_derived(kind, place, target, control) {
            self.note_derivable(kind.number(), place, target);
            return place;
        }
        let id = derivation.find(kind, number, place, with);
        let edge = *derivation.automaton.edge(id);
        let (kinds, places, targets) = derivation.automaton.events(&edge);
        let mut targets = targets.iter().copied();
        let derived: Vec<Derived> = kinds
            .iter()
            .zip(places)
            .map(|(kind, place)| {
                let has_target = EventKind::from_number(*kind).is_some_and(EventKind::has_target);
                let target = if has_target { targets.next().unwrap_or(NO_UNIT) } else { NO_UNIT };
                Derived { kind: *kind, place: *place, target }
            })
            .collect();
        derivation.stacks.apply(&edge, &derivation.automaton);
        let Some(seen) = &mut derivation.verify else { return place };
        let mut seen = seen.remove(&self.thread).unwrap_or_default();
        seen.push(Derived { kind: kind.number(), place, target });
        if edge.is_desync {
            self.underived(id);
        }
        if seen != derived {
            if is_without_instructions(&seen, &derived) {
                self.lose(LossKind::InstructionsTaken, 1, String::new());
                return place;
            }
            let what = difference(number, &seen, &derived, &edge.step);
            self.lose(LossKind::DerivedDiffers, 1, what);
        }
        place
    }

    pub(in crate::writer) fn caller(&mut self, unit: u32, code: u32) -> Result<(), Bad> {
        if code as usize >= self.code_flags.len() {
            return Err("a caller of an undefined code object");
        }
        if let Some(derivation) = &mut self.derivation {
            if derivation.callers.len() >= CALLERS_MAX {
                return Err("too many callers of one event");
            }
            derivation.callers.push((code, unit));
        }
        Ok(())
    }

    /// Notes that the value of the next event is None.
    pub(in crate::writer) fn says_none(&mut self) -> Result<(), Bad> {
        let derivation = self.derivation.as_mut().filter(|derivation| derivation.omits_derived());
        derivation.ok_or("a value left out of a recording of all events")?.says_none = true;
        Ok(())
    }

    pub(in crate::writer) fn at(&mut self, unit: u32) {
        if let Some(derivation) = &mut self.derivation {
            derivation.at = Some(unit);
        }
    }

    /// Begins the chunk's control data with the state of all threads.
    pub(super) fn open_control(&mut self) {
        let Some(derivation) = self.derivation.as_mut().filter(|d| d.omits_derived()) else {
            return;
        };
        let Derivation { automaton, stacks, numbering, control, .. } = &mut **derivation;
        numbering.begin();
        control.tokens.clear();
        control.wide.clear();
        control.steps.clear();
        control.switches.clear();
        control.resumed.clear();
        control.first_ns = self.last_ns;
        control.time_unit = 1 << TIME_SHIFT;
        control.walks.clear();
        control.walks.extend(stacks.all().map(|(thread, stack)| {
            let activations = stack.iter().map(|node| *automaton.activation(*node));
            (thread, activations.collect())
        }));
        derivation.switched_at = 0;
        if self.thread != super::NONE {
            derivation.control.switches.push((0, self.thread));
        }
    }

    /// Returns the chunk's data: its columns, or the path that control took with some of the
    /// columns.
    pub(super) fn form(&mut self, mut columns: Columns) -> Form {
        let Some(derivation) = self.derivation.as_mut().filter(|d| d.omits_derived()) else {
            columns.kinds.truncate(self.len);
            columns.places.truncate(self.len);
            return Form::Direct(columns);
        };
        derivation.end_stretch();
        let control = Control {
            events: self.len as u32,
            times: std::mem::take(&mut columns.times),
            exceptions: std::mem::take(&mut columns.exceptions),
            state: std::mem::take(&mut columns.state),
            ..std::mem::take(&mut derivation.control)
        };
        let automaton = &derivation.automaton;
        let new = derivation.sent_edges..automaton.len();
        derivation.sent_edges = automaton.len();
        let new = new.map(|id| {
            let edge = automaton.edge(id as EdgeId);
            let (kinds, places, targets) = automaton.events(edge);
            EdgeEvents {
                code: edge.code,
                last_code: edge.step.code,
                kinds: kinds.into(),
                places: places.into(),
                targets: targets.into(),
                branches: edge.branches,
            }
        });
        Form::Control {
            control,
            counts: std::mem::take(&mut derivation.counted),
            is_renewed: std::mem::take(&mut derivation.is_renewed),
            new_edges: new.collect(),
            columns,
        }
    }

    /// Replaces the automaton if it has too many edges. Must not be called while an event is read.
    pub(in crate::writer) fn tidy(&mut self) {
        if self.derivation.as_ref().is_some_and(|d| d.automaton.len() > EDGES_MAX) {
            self.seal();
            if let Some(derivation) = &mut self.derivation {
                derivation.renew();
            }
        }
    }

    /// Adds the call that `edge` resumes to the chunk's column of resumed calls.
    pub(super) fn put_resumed(&mut self, edge: EdgeId, call: u64) {
        match self.derivation.as_mut().filter(|d| d.omits_derived()) {
            Some(derivation) => {
                let Derivation { numbering, control, .. } = &mut **derivation;
                numbering.put_resumed(control, edge, call);
            }
            None => self.columns.resumed.push(call),
        }
    }
}

/// Whether the recorded events differ from the derived ones only by missing INSTRUCTION events.
fn is_without_instructions(seen: &[Derived], derived: &[Derived]) -> bool {
    let is_other = |event: &&Derived| event.kind != EventKind::INSTRUCTION.number();
    seen.iter().all(|event| is_other(&event)) && derived.iter().filter(is_other).eq(seen)
}

/// Describes the first difference between recorded and derived events.
fn difference(code: u32, seen: &[Derived], derived: &[Derived], step: &Step) -> String {
    let at = seen.iter().zip(derived).take_while(|(a, b)| a == b).count();
    let show = |events: &[Derived]| match events.get(at) {
        None => "nothing".to_owned(),
        Some(Derived { kind, place, target }) => {
            let kind = EventKind::from_number(*kind).and_then(EventKind::name).unwrap_or("?");
            match *target {
                NO_UNIT => format!("{kind} {place}"),
                target => format!("{kind} {place} to {target}"),
            }
        }
    };
    format!(
        "(code object {code}, event {at} of {} before {:?} at {}: {} was recorded, {} was derived)",
        seen.len(),
        EventKind::from_number(step.kind),
        step.place,
        show(seen),
        show(derived),
    )
}
