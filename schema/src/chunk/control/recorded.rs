//! The recorded events of a chunk, without writing out those that follow from them: what calls and
//! times depend on, for a tenth of what all events cost.

use super::{Control, Expander, Said};
use crate::derive::automaton::{Automaton, Codes, Edge};
use crate::error::FormatError;
use crate::event::{EventKind, kinds_that};

/// A recorded event.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    pub thread: u32,
    /// Its index among all events of the chunk, derived ones included.
    pub index: u32,
    /// The events derived before it, and itself.
    pub edge: &'a Edge,
    /// Nanoseconds since the run began: read at this event, or the last reading.
    pub time_ns: u64,
    /// Number of its exception; `u32::MAX` if its kind has none.
    pub exception: u32,
    /// The call it goes on in; 0 if its kind does not resume.
    pub resumed: u64,
}

impl Expander {
    /// Passes each recorded event of the chunk to `visit`, in order.
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
        let mut said = Said { steps: control.steps.iter(), wide: control.wide.iter() };
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
                let id = self.read(codes, *token, stacks.top(), &mut said)?;
                let edge = self.automaton.edge(id);
                events = events
                    .checked_add(edge.events)
                    .filter(|all| (1..=control.events).contains(all))
                    .ok_or_else(|| bad("more events than it says"))?;
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
                        let said =
                            *resumed.next().ok_or_else(|| bad("a resumed call is missing"))?;
                        let last = self.resumed.entry(id).or_insert(0);
                        if said != 0 {
                            *last = said - 1;
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
            return Err(bad("fewer events than it says"));
        }
        if times.next().is_some() || exceptions.next().is_some() || resumed.next().is_some() {
            return Err(bad("more times, exceptions or resumed calls than events that have one"));
        }
        Ok(())
    }
}
