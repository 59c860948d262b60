//! The recorded events of a chunk, without the derived ones. Calls and times depend only on them,
//! and reading them costs a tenth of reading all events.

use super::{Control, Expander, StepColumns};
use crate::derive::automaton::{Automaton, Codes, Edge};
use crate::error::FormatError;
use crate::event::{EventKind, kinds_that};

/// A recorded event.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub thread: u32,
    /// Its index among all events of the chunk, recorded and derived.
    pub index: u32,
    /// The edge with the event itself and the events derived before it.
    pub edge: &'a Edge,
    /// Nanoseconds since the run began: read at this event, or the last reading.
    pub time_ns: u64,
    /// Number of its exception; `u32::MAX` if its kind has none.
    pub exception: u32,
    /// The call that goes on with it; 0 if its kind resumes no call.
    pub resumed: u64,
}

impl Expander {
    /// Calls `visit` with each recorded event of the chunk, in order.
    ///
    /// # Errors
    /// If the columns contradict each other.
    pub fn recorded(
        &mut self,
        codes: &(impl Codes + ?Sized),
        control: &Control,
        mut visit: impl FnMut(&Automaton, &Recorded<'_>),
    ) -> Result<(), FormatError> {
        let bad = |what| FormatError::invalid("chunk", 0, what);
        self.begin();
        let mut stacks = self.stacks(&control.walks);
        let mut tokens = control.tokens.iter();
        let mut step_columns =
            StepColumns { steps: control.steps.iter(), wide: control.wide.iter() };
        let mut times = control.times.iter();
        let mut exceptions = control.exceptions.iter();
        let mut resumed = control.resumed.iter();
        let is_timed = kinds_that(EventKind::is_timed);
        let has_exception = kinds_that(EventKind::has_exception);
        let is_resuming = kinds_that(EventKind::resumes);
        let (mut events, mut time_ns) = (0_u32, control.first_ns);
        for (length, thread) in &control.switches {
            stacks.set_thread(*thread);
            for token in tokens.by_ref().take(*length as usize) {
                let id = self.read(codes, *token, stacks.top(), &mut step_columns)?;
                let edge = self.automaton.edge(id);
                events = events
                    .checked_add(edge.events)
                    .filter(|all| (1..=control.events).contains(all))
                    .ok_or_else(|| bad("more events than the header says"))?;
                let index = events - 1;
                let kind = edge.step.kind;
                if is_timed >> kind & 1 == 1 {
                    let delta = times.next().ok_or_else(|| bad("a time is missing"))?;
                    let delta = delta.saturating_mul(control.time_unit.into());
                    time_ns = time_ns.saturating_add(delta);
                }
                let exception = match has_exception >> kind & 1 {
                    0 => u32::MAX,
                    _ => *exceptions.next().ok_or_else(|| bad("an exception is missing"))?,
                };
                let resumed = match is_resuming >> kind & 1 {
                    0 => 0,
                    _ => {
                        let stored =
                            *resumed.next().ok_or_else(|| bad("a resumed call is missing"))?;
                        let last = self.resumed.entry(id).or_insert(0);
                        if stored != 0 {
                            *last = stored - 1;
                        }
                        *last
                    }
                };
                let event = Recorded { thread: *thread, index, edge, time_ns, exception, resumed };
                visit(&self.automaton, &event);
                stacks.apply(edge, &self.automaton);
            }
        }
        if events != control.events {
            return Err(bad("fewer events than the header says"));
        }
        if times.next().is_some() || exceptions.next().is_some() || resumed.next().is_some() {
            return Err(bad("more times, exceptions or resumed calls than events that have one"));
        }
        Ok(())
    }
}
