//! The batches that the drain passes to the encoder, and the empty columns that come back.

use super::totals::FunctionTotal;
use crossbeam_channel::{Receiver, Sender};
use dashcam_schema::chunk::control::Control;
use dashcam_schema::chunk::{Columns, DIRECT_EVENTS};
use dashcam_schema::loss::{DETAIL_MAX, LossKind};
use dashcam_schema::record::Definition;

/// A chunk, and everything that must be in the database with it or before it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) definitions: Vec<Definition>,
    /// When recording of the process began, in nanoseconds since the run began.
    pub(super) began_ns: Option<u64>,
    pub(super) chunk: Option<RawChunk>,
    /// Calls that ended in the chunk, by code object.
    pub(super) totals: Vec<(u32, FunctionTotal)>,
    pub(super) losses: Vec<LossDelta>,
    /// Notified once this batch and all before it are in the database.
    pub(super) stored: Option<Sender<()>>,
}

pub(super) struct RawChunk {
    pub(super) first_seq: u64,
    /// The number of events, derived ones included.
    pub(super) event_count: u64,
    /// The times of its first and last event.
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
    /// The same times by the system's clock.
    pub(super) first_wall_ns: u64,
    pub(super) last_wall_ns: u64,
    pub(super) form: Form,
}

/// A chunk's data: every event, or the events from which the others are derived.
#[allow(clippy::large_enum_variant)]
pub(super) enum Form {
    Direct(Columns),
    Control {
        control: Control,
        counts: Vec<EdgeCount>,
        /// Edges are numbered from 0 again.
        is_renewed: bool,
        /// The edges that occur for the first time. Their numbers go on from those of the last
        /// chunk.
        new_edges: Vec<EdgeEvents>,
        /// Columns to be reused.
        columns: Columns,
    },
}

/// How often a thread took an edge.
#[derive(Clone, Copy)]
pub(super) struct EdgeCount {
    pub(super) thread: u32,
    pub(super) edge: u32,
    pub(super) count: u32,
}

/// The events of an edge.
pub(super) struct EdgeEvents {
    /// The code object of all events but the last.
    pub(super) code: u32,
    pub(super) last_code: u32,
    pub(super) kinds: Box<[u8]>,
    pub(super) places: Box<[u32]>,
    pub(super) targets: Box<[u32]>,
    /// The number of branches among all events but the last.
    pub(super) branches: u32,
}

/// A batch's addition to a row of `losses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LossDelta {
    pub(super) kind: LossKind,
    pub(super) count: u64,
    pub(super) first_seq: u64,
    pub(super) detail: String,
}

impl LossDelta {
    /// Adds to the entry of this kind, or creates one.
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
    /// Returns columns without events. Their kinds and places are filled up to the largest size
    /// that a chunk may have: the chunker stores by index there and truncates them at the end. The
    /// columns of a full chunk come back full, so filling costs nothing when it matters.
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

    /// Sends a batch. Waits while the encoder is busy with earlier ones. Batches are dropped if the
    /// encoder has ended, which it only does early because of a bug of ours.
    pub(super) fn send(&self, batch: Batch) {
        let _ = self.batches.send(batch);
    }
}
