//! The cells of variables that functions share.

use super::bindings::Held;
use super::caches::State;
use super::{id_of, slots};
use crate::store::Error;
use dashcam_schema::bytecode::stores::Slot;
use dashcam_schema::value::{ObjectId, Sort};

impl State<'_> {
    /// The cell that a slot of a frame holds at an event. `None` if it is not known, or the slot
    /// holds no cell yet.
    pub(crate) fn cell_at(
        &self,
        run_id: i64,
        seq: i64,
        depth: usize,
        slot: Slot,
    ) -> Result<Option<ObjectId>, Error> {
        if !self.is_there(run_id, seq) {
            return Ok(None);
        }
        let Some(position) = self.position(run_id, seq)? else { return Ok(None) };
        let Some((frame, link)) = position.stack().nth(depth) else { return Ok(None) };
        let Some(frame) = position.track().map(|track| track.frames[frame as usize]) else {
            return Ok(None);
        };
        let process = self.process(position.chunk);
        let Some(variables) = self.store.variables(process, frame.code) else { return Ok(None) };
        let window = self.window_of(&position)?;
        let window = window.as_ref().map(|window| (&**window, window.executed_before(seq)));
        let Some(viewpoint) = self.viewpoint_of(&position, window)? else { return Ok(None) };
        let element = self.element(position.chunk, position.thread, frame.call_id, link)?;
        let base = element.map(|element| self.base(element, variables)).transpose()?;
        let held = slots(variables, base.as_deref(), window.filter(|_| depth == 0));
        let at = variables.stores.all().binary_search(&slot).ok();
        let Some((Held { value, .. }, until)) = at.and_then(|at| held.get(at).copied().flatten())
        else {
            return Ok(None);
        };
        let Some(id) = id_of(value) else { return Ok(None) };
        let Some(description) = self.description(&viewpoint, id, until)? else { return Ok(None) };
        let class = description.object(id).map(|object| object.class as usize);
        let class = class.and_then(|class| description.groups.values.classes().get(class));
        Ok(class.filter(|class| class.sort == Sort::Cell).map(|_| id))
    }
}
