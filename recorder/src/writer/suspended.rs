//! Maps the frame addresses of generators and coroutines to calls.
//!
//! PY_RESUME identifies a frame by its address; chunks identify calls by the event that began them.
//! CPython gives the frame of a dropped generator to a new one without any event, so an address
//! stands for a call only until the next call begins there.

use dashcam_schema::calls::{CallId, Calls, OpenCall};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

#[derive(Default)]
pub(super) struct Suspended {
    by_address: FxHashMap<u64, Frame>,
}

struct Frame {
    call: CallId,
    code: u32,
    /// Number of the chunk in which the call began or was last resumed.
    chunk: u64,
}

impl Suspended {
    /// Notes that a call begins that may be suspended. The call that had this frame before is gone
    /// for good.
    pub(super) fn begin(
        &mut self,
        address: u64,
        call: CallId,
        code: u32,
        chunk: u64,
        calls: &mut Calls,
    ) {
        if let Some(old) = self.by_address.insert(address, Frame { call, code, chunk }) {
            calls.forget(old.call);
        }
    }

    /// Returns the suspended call of this frame, which goes on with an event of `code`; `None` if
    /// it began before the recording did. The second part is the state of the call, if it occurs
    /// for the first time in the chunk.
    pub(super) fn resume<'a>(
        &mut self,
        address: u64,
        code: u32,
        chunk: u64,
        calls: &'a Calls,
    ) -> Option<(CallId, Option<&'a OpenCall>)> {
        let frame = self.by_address.get_mut(&address).filter(|frame| frame.code == code)?;
        if frame.chunk == chunk {
            return Some((frame.call, None));
        }
        let call = calls.suspended(frame.call)?;
        frame.chunk = chunk;
        Some((frame.call, Some(call)))
    }

    /// Notes that a call ended.
    #[inline]
    pub(super) fn end(&mut self, call: &OpenCall) {
        if call.frame != 0 {
            self.end_frame(call);
        }
    }

    fn end_frame(&mut self, call: &OpenCall) {
        if let Entry::Occupied(entry) = self.by_address.entry(call.frame)
            && entry.get().call == call.call_id
        {
            entry.remove();
        }
    }
}
