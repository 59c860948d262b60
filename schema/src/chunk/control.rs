//! A chunk of a derived recording: the path that control took, from which its events follow.
//!
//! Recorder and replayer follow the same [`Automaton`](crate::derive::automaton::Automaton) of the
//! process. When a recorded event first leads from a node by a certain step, the chunk contains the
//! step. From then on the step is one number, counted among the steps of its node in the order of
//! their first occurrence in the chunk. So a return, which has only one step, is a 0 each time, a
//! branch is a 0 or a 1, and a loop repeats the same few numbers.
//!
//! | column | entries |
//! |---|---|
//! | tokens | one per recorded event: a step's number, [`WIDE`] or [`NEW`] |
//! | wide | one per [`WIDE`]: the step's number |
//! | steps | one per [`NEW`]: kind, code object, place, [`Step::with`] and [`Step::also`] |
//! | switches | one per sequence of tokens of one thread: number of tokens, thread |
//! | times | one per timed event: time since the one before, in units |
//! | exceptions | one per event with an exception: the number of the exception |
//! | resumed | one per event that resumes a call: 0 if its step last resumed the same call, else the call + 1 |
//!
//! A step's code object is 0 if it is the one of the activation on top, else its number + 1.
//! Numbers that may be missing are stored + 1; 0 is [`NO_UNIT`](crate::bytecode::code::NO_UNIT).

mod recorded;

pub use recorded::Recorded;

use super::{
    CONTROL, CONTROL_MAGIC, Column, Columns, Context, EVENTS_MAX, Header, OpenChunk, Run, Sealer,
    State, encoded,
};
use crate::derive::automaton::{
    Automaton, BLOCK, Codes, EDGES_MAX, Edge, EdgeId, NodeId, ROOT, is_branch,
};
use crate::derive::stacks::Stacks;
use crate::derive::{Activation, Step};
use crate::error::FormatError;
use crate::event::{EventKind, kinds_that};
use rustc_hash::FxHashMap;

/// Token: the step's number is in the column of wide tokens.
pub const WIDE: u8 = 254;
/// Token: a step that did not occur earlier in the chunk.
pub const NEW: u8 = 255;

/// The columns of a chunk, as the recorder collects them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// The number of events, recorded and derived.
    pub events: u32,
    /// See [`Columns::first_ns`].
    pub first_ns: u64,
    /// The unit of `times`, in nanoseconds.
    pub time_unit: u32,
    pub tokens: Vec<u8>,
    pub wide: Vec<u32>,
    pub steps: Vec<Step>,
    /// For each sequence of tokens of one thread: the number of tokens, and the thread.
    pub switches: Vec<(u32, u32)>,
    pub times: Vec<u64>,
    pub exceptions: Vec<u32>,
    pub resumed: Vec<u64>,
    pub state: State,
    /// The activations of each thread when the chunk begins, outermost first.
    pub walks: Vec<(u32, Vec<Activation>)>,
}

/// Encodes a number that may be missing: [`NO_UNIT`](crate::bytecode::code::NO_UNIT) becomes 0.
fn plus_one(number: u32) -> u32 {
    number.wrapping_add(1)
}

impl Sealer {
    /// Returns the bytes of a chunk of a derived recording.
    ///
    /// # Errors
    /// If the columns contradict each other or are larger than a chunk may be.
    pub fn seal_control(&mut self, control: &Control) -> Result<Vec<u8>, FormatError> {
        let of_threads: u64 = control.switches.iter().map(|(tokens, _)| u64::from(*tokens)).sum();
        if control.events as usize > EVENTS_MAX || of_threads != control.tokens.len() as u64 {
            return Err(FormatError::invalid("chunk", 0, "columns of unequal length"));
        }
        self.body.clear();
        let steps = &control.steps;
        let switches = &control.switches;
        let kinds: Vec<u8> = steps.iter().map(|step| step.kind).collect();
        let state = encoded(&control.state)?;
        let walks = encoded(&control.walks)?;
        // In the order of `CONTROL`.
        let headers = vec![
            self.put(&control.tokens, control.tokens.len())?,
            self.put_ints(&control.wide)?,
            self.put(&kinds, kinds.len())?,
            self.put_each(steps.iter().map(|step| step.code))?,
            self.put_each(steps.iter().map(|step| step.place))?,
            self.put_each(steps.iter().map(|step| plus_one(step.with)))?,
            self.put_each(steps.iter().map(|step| plus_one(step.also)))?,
            self.put_each(switches.iter().map(|(tokens, _)| *tokens))?,
            self.put_each(switches.iter().map(|(_, thread)| *thread))?,
            self.put_ints(&control.times)?,
            self.put_ints(&control.exceptions)?,
            self.put_ints(&control.resumed)?,
            self.put(&state, 1)?,
            self.put(&walks, 1)?,
        ];
        debug_assert_eq!(headers.len(), CONTROL.len());
        let Control { events, first_ns, time_unit, .. } = *control;
        self.finish(CONTROL_MAGIC, &Header { events, first_ns, time_unit, columns: headers })
    }
}

impl OpenChunk<'_> {
    /// Returns the columns of a chunk of a derived recording.
    pub fn control(&self) -> Result<Control, FormatError> {
        let (tokens, _) = self.raw(Column::Tokens)?;
        let (kinds, _) = self.raw(Column::StepKinds)?;
        let codes: Vec<u32> = self.ints(Column::StepCodes)?;
        let places: Vec<u32> = self.ints(Column::StepPlaces)?;
        let withs: Vec<u32> = self.ints(Column::StepWiths)?;
        let alsos: Vec<u32> = self.ints(Column::StepAlsos)?;
        let misfit = |column: Column, what: &str| {
            FormatError::invalid(column.name(), self.offsets[column as usize], what)
        };
        if [codes.len(), places.len(), withs.len(), alsos.len()] != [kinds.len(); 4] {
            return Err(misfit(Column::StepKinds, "columns of unequal length"));
        }
        if kinds.iter().any(|kind| *kind >= EventKind::LIMIT) {
            return Err(misfit(Column::StepKinds, "not the number of an event kind"));
        }
        let steps = (0..kinds.len()).map(|i| Step {
            kind: kinds[i],
            code: codes[i],
            place: places[i],
            with: withs[i].wrapping_sub(1),
            also: alsos[i].wrapping_sub(1),
        });
        let steps = steps.collect();
        let lengths: Vec<u32> = self.ints(Column::SwitchTokens)?;
        let threads: Vec<u32> = self.ints(Column::SwitchThreads)?;
        let total: u64 = lengths.iter().map(|n| u64::from(*n)).sum();
        if lengths.len() != threads.len() || total != tokens.len() as u64 {
            return Err(misfit(Column::SwitchTokens, "does not match the tokens"));
        }
        Ok(Control {
            events: self.header.events,
            first_ns: self.header.first_ns,
            time_unit: self.header.time_unit,
            tokens,
            wide: self.ints(Column::Wide)?,
            steps,
            switches: lengths.into_iter().zip(threads).collect(),
            times: self.ints(Column::Times)?,
            exceptions: self.exceptions()?,
            resumed: self.resumed()?,
            state: self.state()?,
            walks: self.decoded(Column::Walks)?,
        })
    }
}

/// Numbers the steps of one chunk, for the recorder.
#[derive(Default)]
pub struct Numbering {
    chunk: u32,
    edges: Vec<Numbered>,
    nodes: Vec<Numbered>,
}

#[derive(Clone, Copy, Default)]
struct Numbered {
    /// The chunk in which the number is valid.
    chunk: u32,
    /// Of an edge: its number among the edges of its node. Of a node: how many edges have a number.
    number: u32,
    /// How often an edge was put into the chunk.
    count: u32,
    /// The call that the edge resumed last, + 1.
    resumed: u64,
}

fn entry(list: &mut Vec<Numbered>, index: u32, chunk: u32) -> (&mut Numbered, bool) {
    let index = index as usize;
    if index >= list.len() {
        list.resize(index + 1 + list.len() / 2, Numbered::default());
    }
    let entry = &mut list[index];
    let is_new = entry.chunk != chunk;
    if is_new {
        *entry = Numbered { chunk, ..Numbered::default() };
    }
    (entry, is_new)
}

impl Numbering {
    /// Begins another chunk: no step has a number.
    pub fn begin(&mut self) {
        self.chunk += 1;
    }

    /// Adds a step to the chunk. Returns true if it is the first one since its count was last
    /// taken.
    #[inline(always)]
    pub fn put(&mut self, control: &mut Control, edge: &Edge, id: EdgeId) -> bool {
        if let Some(known) = self.edges.get_mut(id as usize)
            && known.chunk == self.chunk
            && known.number < u32::from(WIDE)
        {
            control.tokens.push(known.number as u8);
            known.count += 1;
            return known.count == 1;
        }
        self.put_slowly(control, edge, id)
    }

    #[cold]
    fn put_slowly(&mut self, control: &mut Control, edge: &Edge, id: EdgeId) -> bool {
        let (known, is_new) = entry(&mut self.edges, id, self.chunk);
        known.count += 1;
        if !is_new {
            control.tokens.push(WIDE);
            control.wide.push(known.number);
            return known.count == 1;
        }
        let (node, _) = entry(&mut self.nodes, edge.from, self.chunk);
        known.number = node.number;
        node.number += 1;
        control.tokens.push(NEW);
        let is_own = edge.from != ROOT && edge.code == edge.step.code;
        let code = if is_own { 0 } else { edge.step.code + 1 };
        control.steps.push(Step { code, ..edge.step });
        true
    }

    /// Returns how often a step was put since the last call of this method, and resets the count.
    /// It has to be called before the next chunk begins.
    pub fn take_count(&mut self, id: EdgeId) -> u32 {
        std::mem::take(&mut self.edges[id as usize].count)
    }

    /// Adds the call that a step resumes.
    pub fn put_resumed(&mut self, control: &mut Control, id: EdgeId, call: u64) {
        let (known, _) = entry(&mut self.edges, id, self.chunk);
        let is_same = known.resumed == call + 1;
        known.resumed = call + 1;
        control.resumed.push(if is_same { 0 } else { call + 1 });
    }
}

/// Returns the events of a process's chunks. The edges worked out for one chunk are reused for the
/// others.
#[derive(Default)]
pub struct Expander {
    automaton: Automaton,
    generation: u32,
    /// Counts chunks, to distinguish entries of the current one from older ones.
    chunk: u32,
    /// By node: its steps, in the order of their first occurrence in the chunk.
    steps: Vec<Steps>,
    /// Steps from the fifth on, by node and number.
    more: FxHashMap<(NodeId, u32), EdgeId>,
    /// By code object: the index of the context with the current thread.
    contexts: Vec<Numbered>,
    /// Counts sequences of tokens of one thread.
    stretch: u32,
    resumed: FxHashMap<EdgeId, u64>,
}

/// The columns that are read when a token requires it.
struct StepColumns<'a> {
    steps: std::slice::Iter<'a, Step>,
    wide: std::slice::Iter<'a, u32>,
}

const INLINE: usize = 4;

#[derive(Clone, Copy, Default)]
struct Steps {
    chunk: u32,
    count: u32,
    first: [EdgeId; INLINE],
}

impl Expander {
    /// Returns the columns of the chunk as if every event had been stored.
    ///
    /// # Errors
    /// If the columns contradict each other.
    pub fn expand(
        &mut self,
        codes: &(impl Codes + ?Sized),
        control: Control,
    ) -> Result<Columns, FormatError> {
        let bad = |what| FormatError::invalid("chunk", 0, what);
        self.begin();
        let total = control.events as usize;
        // There is room for one block more; the end is cut off later.
        let mut kinds = vec![0; total + BLOCK];
        let mut places = vec![0; total + BLOCK];
        let mut at = 0;
        let mut columns = Columns {
            first_ns: control.first_ns,
            targets: Vec::with_capacity(total / 4),
            callables: Vec::with_capacity(control.tokens.len()),
            times: control.times,
            exceptions: control.exceptions,
            state: control.state,
            ..Columns::default()
        };
        for time in &mut columns.times {
            *time = time.saturating_mul(control.time_unit.into());
        }
        let mut stacks = self.stacks(&control.walks);
        let mut tokens = control.tokens.iter();
        let mut step_columns =
            StepColumns { steps: control.steps.iter(), wide: control.wide.iter() };
        let mut resumed = control.resumed.iter();
        let has_callable = kinds_that(EventKind::has_callable);
        let is_resuming = kinds_that(EventKind::resumes);
        let mut contexts = FxHashMap::default();
        for (length, thread) in control.switches {
            stacks.set_thread(thread);
            self.stretch += 1;
            for token in tokens.by_ref().take(length as usize) {
                let id = self.read(codes, *token, stacks.top(), &mut step_columns)?;
                let edge = self.automaton.edge(id);
                let end = at + edge.events as usize;
                if end > total {
                    return Err(bad("more events than the header says"));
                }
                let (of_kinds, of_places, targets) = self.automaton.events(edge);
                match self.automaton.block(edge) {
                    Some((block, of_places)) if end - at <= BLOCK => {
                        kinds[at..at + BLOCK].copy_from_slice(block);
                        places[at..at + BLOCK].copy_from_slice(of_places);
                    }
                    _ => {
                        kinds[at..end].copy_from_slice(of_kinds);
                        places[at..end].copy_from_slice(of_places);
                    }
                }
                if edge.branches > 0 {
                    let before = of_kinds[..of_kinds.len() - 1].iter().zip(at as u32..);
                    let branches = before.filter(|(kind, _)| is_branch(**kind));
                    columns.implied.extend(branches.map(|(_, index)| index));
                }
                at = end;
                if edge.says_none {
                    columns.nones.push(at as u32 - 1);
                }
                for target in targets {
                    columns.targets.push(*target);
                }
                let kind = edge.step.kind;
                if has_callable >> kind & 1 == 1 {
                    columns.callables.push(edge.step.with);
                }
                if is_resuming >> kind & 1 == 1 {
                    let stored = *resumed.next().ok_or_else(|| bad("a resumed call is missing"))?;
                    let last = self.resumed.entry(id).or_insert(0);
                    if stored != 0 {
                        *last = stored - 1;
                    }
                    columns.resumed.push(*last);
                }
                let (own, events, entered) = (edge.code, edge.events, edge.step.code);
                stacks.apply(edge, &self.automaton);
                if own == entered {
                    self.run(&mut columns, &mut contexts, thread, own, events);
                } else {
                    if events > 1 {
                        self.run(&mut columns, &mut contexts, thread, own, events - 1);
                    }
                    self.run(&mut columns, &mut contexts, thread, entered, 1);
                }
            }
        }
        if at != total {
            return Err(bad("fewer events than the header says"));
        }
        kinds.truncate(total);
        places.truncate(total);
        (columns.kinds, columns.places) = (kinds, places);
        Ok(columns)
    }

    /// Returns the edges that occur in the chunk, each once, in no particular order. This shows
    /// what can have happened in the chunk and costs a fraction of its events.
    ///
    /// # Errors
    /// If the columns contradict each other.
    pub fn edges(
        &mut self,
        codes: &(impl Codes + ?Sized),
        control: &Control,
    ) -> Result<Vec<EdgeId>, FormatError> {
        self.begin();
        let mut stacks = self.stacks(&control.walks);
        let mut tokens = control.tokens.iter();
        let mut step_columns =
            StepColumns { steps: control.steps.iter(), wide: control.wide.iter() };
        // The token is `NEW` where a step occurs first.
        let mut edges = Vec::with_capacity(control.steps.len());
        for (length, thread) in &control.switches {
            stacks.set_thread(*thread);
            for token in tokens.by_ref().take(*length as usize) {
                let id = self.read(codes, *token, stacks.top(), &mut step_columns)?;
                if *token == NEW {
                    edges.push(id);
                }
                stacks.apply(self.automaton.edge(id), &self.automaton);
            }
        }
        Ok(edges)
    }

    /// Calls `visit` with the thread, number and contents of each of the chunk's edges, in order.
    /// It makes no events: this is enough to count them, and costs a fraction of
    /// [`Expander::expand`]. Check [`Expander::is_full`] before the call.
    ///
    /// # Errors
    /// If the columns contradict each other, as [`Expander::expand`].
    pub fn follow(
        &mut self,
        codes: &(impl Codes + ?Sized),
        control: &Control,
        mut visit: impl FnMut(u32, EdgeId, &Edge),
    ) -> Result<(), FormatError> {
        let bad = |what| FormatError::invalid("chunk", 0, what);
        self.begin();
        let total = u64::from(control.events);
        let is_resuming = kinds_that(EventKind::resumes);
        let mut stacks = self.stacks(&control.walks);
        let mut tokens = control.tokens.iter();
        let mut step_columns =
            StepColumns { steps: control.steps.iter(), wide: control.wide.iter() };
        let (mut events, mut resumed) = (0_u64, 0);
        for (length, thread) in &control.switches {
            stacks.set_thread(*thread);
            for token in tokens.by_ref().take(*length as usize) {
                let id = self.read(codes, *token, stacks.top(), &mut step_columns)?;
                let edge = self.automaton.edge(id);
                events += u64::from(edge.events);
                if events > total {
                    return Err(bad("more events than the header says"));
                }
                resumed += (is_resuming >> edge.step.kind & 1) as usize;
                visit(*thread, id, edge);
                stacks.apply(edge, &self.automaton);
            }
        }
        if resumed > control.resumed.len() {
            return Err(bad("a resumed call is missing"));
        }
        if events != total {
            return Err(bad("fewer events than the header says"));
        }
        Ok(())
    }

    /// Whether the edges get new numbers at the next chunk.
    pub fn is_full(&self) -> bool {
        self.automaton.len() > EDGES_MAX
    }

    /// The automaton that the edges are of.
    pub fn automaton(&self) -> &Automaton {
        &self.automaton
    }

    /// A number that changes whenever the edges get new numbers.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    fn begin(&mut self) {
        if self.is_full() {
            *self = Expander { generation: self.generation + 1, ..Expander::default() };
        }
        self.chunk += 1;
        self.more.clear();
        self.resumed.clear();
    }

    fn stacks(&mut self, walks: &[(u32, Vec<Activation>)]) -> Stacks {
        let mut stacks = Vec::with_capacity(walks.len());
        for (thread, activations) in walks {
            let nodes = activations.iter().map(|activation| self.automaton.node(*activation));
            stacks.push((*thread, nodes.collect()));
        }
        Stacks::new(stacks.into_iter())
    }

    /// Returns the edge of a token.
    #[inline(always)]
    fn read(
        &mut self,
        codes: &(impl Codes + ?Sized),
        token: u8,
        top: NodeId,
        step_columns: &mut StepColumns<'_>,
    ) -> Result<EdgeId, FormatError> {
        let bad = |what| FormatError::invalid("chunk", 0, what);
        match token {
            NEW => {
                let mut step =
                    *step_columns.steps.next().ok_or_else(|| bad("a step is missing"))?;
                step.code = match step.code {
                    0 => self.automaton.activation(top).code,
                    code => code - 1,
                };
                let id = self.automaton.find(codes, top, &step);
                self.append(top, id);
                Ok(id)
            }
            WIDE => {
                let number =
                    *step_columns.wide.next().ok_or_else(|| bad("a wide token is missing"))?;
                self.known(top, number).ok_or_else(|| bad("a step that was not defined"))
            }
            number => {
                self.known(top, number.into()).ok_or_else(|| bad("a step that was not defined"))
            }
        }
    }

    /// Returns the step of a node with this number, if it occurred in the chunk.
    #[inline(always)]
    fn known(&self, node: NodeId, number: u32) -> Option<EdgeId> {
        let steps = self.steps.get(node as usize)?;
        if steps.chunk != self.chunk || number >= steps.count {
            return None;
        }
        match steps.first.get(number as usize) {
            Some(id) => Some(*id),
            None => self.more.get(&(node, number)).copied(),
        }
    }

    fn append(&mut self, node: NodeId, id: EdgeId) {
        let index = node as usize;
        if index >= self.steps.len() {
            self.steps.resize(index + 1 + self.steps.len() / 2, Steps::default());
        }
        let steps = &mut self.steps[index];
        if steps.chunk != self.chunk {
            *steps = Steps { chunk: self.chunk, ..Steps::default() };
        }
        let number = steps.count;
        steps.count += 1;
        match steps.first.get_mut(number as usize) {
            Some(slot) => *slot = id,
            None => {
                self.more.insert((node, number), id);
            }
        }
    }

    /// Appends this many events of a context.
    #[inline(always)]
    fn run(
        &mut self,
        columns: &mut Columns,
        indexes: &mut FxHashMap<(u32, u32), u32>,
        thread: u32,
        code: u32,
        events: u32,
    ) {
        let contexts = &mut columns.contexts;
        let mut index = || {
            *indexes.entry((thread, code)).or_insert_with(|| {
                contexts.push(Context { thread, code });
                contexts.len() as u32 - 1
            })
        };
        // A damaged number may be too large for a list of code objects.
        let context = if code >= 1 << 22 {
            index()
        } else {
            let (known, is_new) = entry(&mut self.contexts, code, self.stretch);
            if is_new {
                known.number = index();
            }
            known.number
        };
        match columns.runs.last_mut() {
            Some(last) if last.context == context => last.events += events,
            _ => columns.runs.push(Run { events, context }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytecode::code::NO_UNIT;

    #[test]
    fn missing_numbers_survive() {
        assert_eq!(plus_one(NO_UNIT), 0);
        assert_eq!(0u32.wrapping_sub(1), NO_UNIT);
    }
}
