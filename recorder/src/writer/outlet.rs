//! What the drain hands to the encoder, and how columns come back empty.

use super::totals::FunctionTotal;
use crossbeam_channel::{Receiver, Sender};
use dashcam_schema::chunk::control::Control;
use dashcam_schema::chunk::{Columns, DIRECT_EVENTS};
use dashcam_schema::loss::{DETAIL_MAX, LossKind};
use dashcam_schema::record::Definition;

/// A chunk and all that must be in the database with it, or before it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) definitions: Vec<Definition>,
    /// When recording the process began, in nanoseconds since the run did.
    pub(super) began_ns: Option<u64>,
    pub(super) chunk: Option<RawChunk>,
    /// Calls that ended in the chunk, by code object.
    pub(super) totals: Vec<(u32, FunctionTotal)>,
    pub(super) losses: Vec<LossDelta>,
    /// Told once this batch and all before it are in the database.
    pub(super) stored: Option<Sender<()>>,
}

pub(super) struct RawChunk {
    pub(super) first_seq: u64,
    /// Events that follow from others included.
    pub(super) event_count: u64,
    /// Times of its first and last event.
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    /// The same by the system's clock.
    pub(super) first_wall_ns: u64,
    pub(super) last_wall_ns: u64,
    pub(super) form: Form,
}

/// Every event, or those that the others follow from.
#[allow(clippy::large_enum_variant)]
pub(super) enum Form {
    Direct(Columns),
    Control {
        control: Control,
        counts: Vec<EdgeCount>,
        /// Edges are numbered from 0 again.
        is_renewed: bool,
        /// Edges that occur for the first time, by number from where the last chunk's ended.
        new_edges: Vec<EdgeEvents>,
        /// To be used again.
        columns: Columns,
    },
}

/// How often a thread went over an edge.
#[derive(Clone, Copy)]
pub(super) struct EdgeCount {
    pub(super) thread: u32,
    pub(super) edge: u32,
    pub(super) count: u32,
}

/// The events of an edge.
pub(super) struct EdgeEvents {
    /// Code object of all but the last.
    pub(super) code: u32,
    pub(super) last_code: u32,
    pub(super) kinds: Box<[u8]>,
    pub(super) places: Box<[u32]>,
    pub(super) targets: Box<[u32]>,
    /// Branches among all but the last.
    pub(super) branches: u32,
}

/// What a batch adds to a row of `losses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LossDelta {
    pub(super) kind: LossKind,
    pub(super) count: u64,
    pub(super) first_seq: u64,
    pub(super) detail: String,
}

impl LossDelta {
    /// Adds to the entry of this kind, or makes one.
    pub(super) fn add(
        losses: &mut Vec<LossDelta>,
        kind: LossKind,
        count: u64,
        first_seq: u64,
        detail: String,
    ) {
        match losses.iter_mut().find(|loss| loss.kind == kind) {
            Some(loss) => {
                loss.count += count;
                if loss.detail.is_empty() {
                    loss.detail = detail;
                } else if kind.lists_each() && !detail.is_empty() && loss.detail.len() < DETAIL_MAX
                {
                    loss.detail = format!("{}, {detail}", loss.detail);
                }
            }
            None => losses.push(LossDelta { kind, count, first_seq, detail }),
        }
    }
}

/// The drain's end of the channels.
pub(super) struct Outlet {
    pub(super) batches: Sender<Batch>,
    pub(super) spare: Receiver<Columns>,
}

impl Outlet {
    /// Columns without events, their kinds and places filled up to the largest size a chunk may
    /// have: the chunker stores by index there and cuts at the end. Those of a full chunk come
    /// back full, so filling up costs nothing when it matters.
    pub(super) fn columns(&self) -> Columns {
        let mut columns = self.spare.try_recv().unwrap_or_default();
        columns.kinds.resize(DIRECT_EVENTS, 0);
        columns.places.resize(DIRECT_EVENTS, 0);
        columns.runs.clear();
        columns.contexts.clear();
        columns.targets.clear();
        columns.times.clear();
        columns.callables.clear();
        columns.exceptions.clear();
        columns.resumed.clear();
        columns.state = Default::default();
        columns
    }

    /// Waits while the encoder is busy with earlier ones. Without an encoder (it only ends early
    /// by a bug of ours) batches go nowhere.
    pub(super) fn send(&self, batch: Batch) {
        let _ = self.batches.send(batch);
    }
}
