//! Which call a frame address stands for, while generators and coroutines come and go.
//!
//! PY_RESUME names a frame by its address; chunks name calls by the event that began them. Frames
//! of dropped generators are given to new ones without any event, so an address counts only until
//! the next call begins there.

use dashcam_schema::calls::{CallId, Calls, OpenCall};
use rustc_hash::FxHashMap;

#[derive(Default)]
pub(super) struct Suspended {
    by_address: FxHashMap<u64, CallId>,
    calls: FxHashMap<CallId, Frame>,
}

struct Frame {
    address: u64,
    /// Number of the chunk it last began or was suspended or resumed in.
    chunk: u64,
}

impl Suspended {
    /// A call that may be suspended begins. Whatever had this frame before is gone for good.
    pub(super) fn begin(&mut self, address: u64, call: CallId, chunk: u64, calls: &mut Calls) {
        if let Some(old) = self.by_address.insert(address, call) {
            self.calls.remove(&old);
            calls.forget(old);
        }
        self.calls.insert(call, Frame { address, chunk });
    }

    /// The suspended call of this frame, which goes on with an event of `code`; `None` if it began
    /// before the recording did. The flag says that the chunk has not met this call yet.
    pub(super) fn resume<'a>(
        &mut self,
        address: u64,
        code: u32,
        chunk: u64,
        calls: &'a Calls,
    ) -> Option<(&'a OpenCall, bool)> {
        let id = self.by_address.get(&address)?;
        let call = calls.suspended(*id).filter(|call| call.code == code)?;
        let frame = self.calls.get_mut(id)?;
        let is_new = frame.chunk != chunk;
        frame.chunk = chunk;
        Some((call, is_new))
    }

    /// A call yields. The chunk it does so in needs no word of it from before.
    pub(super) fn suspend(&mut self, call: CallId, chunk: u64) {
        if let Some(frame) = self.calls.get_mut(&call) {
            frame.chunk = chunk;
        }
    }

    /// A call ended.
    #[inline]
    pub(super) fn end(&mut self, call: CallId) {
        if !self.calls.is_empty()
            && let Some(frame) = self.calls.remove(&call)
            && self.by_address.get(&frame.address) == Some(&call)
        {
            self.by_address.remove(&frame.address);
        }
    }
}
