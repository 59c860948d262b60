//! Which call a frame address stands for, while generators and coroutines come and go.
//!
//! PY_RESUME names a frame by its address; chunks name calls by the event that began them. Frames
//! of dropped generators are given to new ones without any event, so an address counts only until
//! the next call begins there.

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
    /// Number of the chunk it last began or was resumed in.
    chunk: u64,
}

impl Suspended {
    /// A call that may be suspended begins. Whatever had this frame before is gone for good.
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

    /// The suspended call of this frame, which goes on with an event of `code`; `None` if it began
    /// before the recording did. The second is the call as it is now, if the chunk has not met it
    /// yet.
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

    /// A call ended.
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
