//! Everything one call does in a chunk, in order.

use super::within::Within;
use crate::store::Error;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;

/// An event of a call, by its index in the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) index: usize,
    pub(crate) what: Did,
}

/// What a call does at an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Did {
    /// It executes the instruction at this code unit.
    Execute(u32),
    /// An event of the call itself that has an ordinal, and its code unit.
    Event(EventKind, u32),
    /// Another call begins or continues from it.
    Enter(CallId, EventKind),
}

impl Within {
    /// The events of a call in the chunk, in order.
    pub(crate) fn own(&self, call: CallId) -> Result<Vec<Own>, Error> {
        let (kinds, places) = (self.chunk().kinds()?, self.chunk().places()?);
        let instruction = EventKind::INSTRUCTION.number();
        let mut found = Vec::new();
        for (thread, track) in &self.frames.tracks {
            let is_of = |frame: u32| track.frames[frame as usize].call_id == call;
            if !track.frames.iter().any(|frame| frame.call_id == call) {
                continue;
            }
            let mut low = 0;
            for event in 0..=track.events.len() {
                let high = track.events.get(event).map_or(kinds.len(), |index| *index as usize);
                if track.after(event).is_some_and(|(frame, _)| is_of(frame)) {
                    let events = self.frames.events_of(*thread, low, high)?;
                    let executed = events.filter(|index| kinds[*index] == instruction);
                    found.extend(
                        executed.map(|index| Own { index, what: Did::Execute(places[index]) }),
                    );
                }
                low = high + 1;
                let Some((frame, _)) = track.at(event as u32) else { continue };
                let Some(kind) = EventKind::from_number(kinds[high]) else { continue };
                if is_of(frame) {
                    found.push(Own { index: high, what: Did::Event(kind, places[high]) });
                } else if kind.enters() && track.frames[frame as usize].caller.is_some_and(is_of) {
                    let entered = track.frames[frame as usize].call_id;
                    found.push(Own { index: high, what: Did::Enter(entered, kind) });
                }
            }
        }
        found.sort_unstable_by_key(|own| own.index);
        Ok(found)
    }
}
