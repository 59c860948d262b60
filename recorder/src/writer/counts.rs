//! Counts what a chunk adds to the summary tables: events by kind, lines, branches. The encoder
//! counts a whole chunk at a time, so that the drain has less to do per event.

use super::outlet::{EdgeCount, EdgeEvents};
use dashcam_schema::EventKind;
use dashcam_schema::bytecode::code::{NO_UNIT, plain_instructions};
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::bytecode::opcodes::{Op, Version};
use dashcam_schema::chunk::{Columns, Context, has_target};
use dashcam_schema::record::CodeDefinition;
use rustc_hash::{FxHashMap, FxHashSet};

/// The sums of one chunk.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// (thread, code, kind) and the number of events.
    pub(super) events: Vec<(u32, u32, u8, u64)>,
    /// (code, line) and the number of LINE events.
    pub(super) lines: Vec<(u32, u32, u64)>,
    /// (code, unit), times taken and not taken.
    pub(super) branches: Vec<(u32, u32, u64, u64)>,
    /// The number of derived branches.
    implied: u64,
}

impl Counts {
    /// The number of events that have an ordinal.
    pub(super) fn with_ordinals(&self) -> u64 {
        let has_ordinal = |kind| EventKind::from_number(kind).is_some_and(EventKind::has_ordinal);
        let events = self.events.iter().filter(|(_, _, kind, _)| has_ordinal(*kind));
        events.map(|(.., count)| count).sum::<u64>() - self.implied
    }
}

/// The size and place of a code object's counters.
#[derive(Clone, Copy)]
struct Extent {
    first_line: u32,
    lines: u32,
    units: u32,
    /// The chunk in which the places below are valid.
    stamp: u32,
    /// Where its counters begin in the chunk's arenas.
    line_at: u32,
    unit_at: u32,
}

const LEFT: u8 = EventKind::BRANCH_LEFT.number();
const RIGHT: u8 = EventKind::BRANCH_RIGHT.number();
const KINDS: usize = EventKind::LIMIT as usize;

/// Counts chunk after chunk; the arenas keep their memory.
#[derive(Default)]
pub(super) struct Counter {
    extents: Vec<Extent>,
    stamp: u32,
    /// Per context of the chunk: counters by kind.
    kinds: Vec<[u32; KINDS]>,
    lines: Vec<u32>,
    /// (code, line) whose counter is not 0.
    lines_counted: Vec<(u32, u32)>,
    branches: Vec<[u32; 2]>,
    /// (code, unit) whose counter is not 0.
    branches_counted: Vec<(u32, u32)>,
    /// Counters of places outside of the line table's range.
    odd_lines: FxHashMap<(u32, u32), u64>,
    odd_branches: FxHashMap<(u32, u32), [u64; 2]>,
    version: Option<Version>,
    /// (code, unit) of branches that jump over a single code unit. The instruction after a branch
    /// is one or two units on; for these branches, two means that the branch was taken. Only 3.12
    /// has such branches.
    short_branches: FxHashSet<(u32, u32)>,
    /// From 3.14 on, the end of a loop is reported at a POP_ITER: (code, unit) of each → unit of
    /// the FOR_ITER to which the branch belongs.
    loop_ends: FxHashMap<(u32, u32), u32>,
    edges: Vec<EdgeEvents>,
}

impl Counter {
    /// Adds the next code object.
    pub(super) fn define(&mut self, code: &CodeDefinition) {
        self.find_branches(self.extents.len() as u32, code);
        let table = LineTable::decode(&code.line_table, code.first_line);
        let (first, last) = table.range().unwrap_or((0, 0));
        // A table may be wrong. Places beyond a sensible size are counted as odd ones.
        let lines = (last - first).saturating_add(1).min(1 << 20);
        let units = (table.by_unit().len() as u32).min(1 << 22);
        let extent = Extent { first_line: first, lines, units, stamp: 0, line_at: 0, unit_at: 0 };
        self.extents.push(extent);
    }

    /// Sets the bytecode version of the code objects that follow.
    pub(super) fn interpreter(&mut self, magic: u16) {
        self.version = Version::from_magic(magic);
    }

    /// Finds the branches that are reported in a special way.
    fn find_branches(&mut self, number: u32, code: &CodeDefinition) {
        let (Some(version), false) = (self.version, code.bytecode.is_empty()) else { return };
        if version == Version::V3_13 {
            return;
        }
        let units = plain_instructions(version, &code.bytecode);
        for unit in units.iter().filter(|unit| unit.is_start) {
            match (version, unit.op) {
                (Version::V3_12, Op::PopJump) if unit.target == unit.start + 2 => {
                    self.short_branches.insert((number, unit.start));
                }
                (_, Op::ForIter) if version >= Version::V3_14 && unit.target != NO_UNIT => {
                    self.loop_ends.insert((number, unit.target), unit.start);
                }
                _ => {}
            }
        }
    }

    /// Removes all edges, because they are numbered from 0 again.
    pub(super) fn forget_edges(&mut self) {
        self.edges.clear();
    }

    /// Returns the sums of a chunk of a derived recording.
    pub(super) fn count_edges(
        &mut self,
        counts: &[EdgeCount],
        new_edges: Vec<EdgeEvents>,
    ) -> Counts {
        self.edges.extend(new_edges);
        let edges = std::mem::take(&mut self.edges);
        // `prepare` and `take` only use the contexts.
        let mut columns = Columns::default();
        let mut contexts = FxHashMap::default();
        let mut context = |thread, code| {
            *contexts.entry((thread, code)).or_insert_with(|| {
                columns.contexts.push(Context { thread, code });
                columns.contexts.len() - 1
            })
        };
        let placed: Vec<(usize, usize)> = counts
            .iter()
            .map(|EdgeCount { thread, edge, .. }| {
                let edge = &edges[*edge as usize];
                let last = context(*thread, edge.last_code);
                (if edge.kinds.len() > 1 { context(*thread, edge.code) } else { last }, last)
            })
            .collect();
        self.prepare(&columns);
        let mut implied = 0;
        for (EdgeCount { edge, count, .. }, (own, last)) in counts.iter().zip(placed) {
            let edge = &edges[*edge as usize];
            let mut targets = edge.targets.iter().copied();
            let before = edge.kinds.len() - 1;
            implied += u64::from(edge.branches) * u64::from(*count);
            for (i, (kind, place)) in edge.kinds.iter().zip(&edge.places).enumerate() {
                let (context, code) =
                    if i == before { (last, edge.last_code) } else { (own, edge.code) };
                self.kinds[context][usize::from(*kind) % KINDS] += count;
                if SPECIAL >> kind & 1 == 1 {
                    let extent = self.extents[code as usize];
                    self.special(code, &extent, *kind, *place, &mut targets, *count);
                }
            }
        }
        self.edges = edges;
        Counts { implied, ..self.take(&columns) }
    }

    /// Returns the sums of these columns.
    pub(super) fn count(&mut self, columns: &Columns) -> Counts {
        self.prepare(columns);
        self.add_up(columns);
        self.take(columns)
    }

    /// Assigns counters to every code object of the chunk.
    fn prepare(&mut self, columns: &Columns) {
        self.stamp += 1;
        let (mut lines, mut units) = (0, 0);
        for context in &columns.contexts {
            // Invariant: the drain rejects undefined code objects.
            let extent = &mut self.extents[context.code as usize];
            if extent.stamp != self.stamp {
                (extent.stamp, extent.line_at, extent.unit_at) = (self.stamp, lines, units);
                lines += extent.lines;
                units += extent.units;
            }
        }
        // Counters are 0 again after each chunk, see `take`.
        if self.lines.len() < lines as usize {
            self.lines.resize(lines as usize, 0);
        }
        if self.branches.len() < units as usize {
            self.branches.resize(units as usize, [0; 2]);
        }
        self.kinds.clear();
        self.kinds.resize(columns.contexts.len(), [0; KINDS]);
    }

    fn add_up(&mut self, columns: &Columns) {
        let mut targets = columns.targets.iter().copied();
        let mut kinds = std::mem::take(&mut self.kinds);
        let mut from = 0;
        for run in &columns.runs {
            let context = run.context as usize;
            let code = columns.contexts[context].code;
            let extent = self.extents[code as usize];
            let to = from + run.events as usize;
            let counters = &mut kinds[context];
            for (&kind, &place) in columns.kinds[from..to].iter().zip(&columns.places[from..to]) {
                counters[kind as usize % KINDS] += 1;
                if SPECIAL >> kind & 1 == 0 {
                    continue;
                }
                self.special(code, &extent, kind, place, &mut targets, 1);
            }
            from = to;
        }
        self.kinds = kinds;
    }

    /// Counts a LINE or an event with a target `count` times.
    #[inline(always)]
    fn special(
        &mut self,
        code: u32,
        extent: &Extent,
        kind: u8,
        place: u32,
        targets: &mut impl Iterator<Item = u32>,
        count: u32,
    ) {
        if kind == EventKind::LINE.number() {
            let index = place.wrapping_sub(extent.first_line);
            if index < extent.lines {
                let counter = &mut self.lines[(extent.line_at + index) as usize];
                if *counter == 0 {
                    self.lines_counted.push((code, place));
                }
                *counter += count;
            } else {
                *self.odd_lines.entry((code, place)).or_insert(0) += u64::from(count);
            }
            return;
        }
        let target = targets.next().unwrap_or(0);
        let is_short = || self.short_branches.contains(&(code, place));
        let Some(side) = side(kind, place, target, is_short) else { return };
        let place = match kind {
            // Reported at the NOT_TAKEN behind the branch and its cache.
            LEFT if target == place.wrapping_add(1) => place.saturating_sub(2),
            RIGHT => *self.loop_ends.get(&(code, place)).unwrap_or(&place),
            _ => place,
        };
        if place < extent.units {
            let counter = &mut self.branches[(extent.unit_at + place) as usize];
            if *counter == [0; 2] {
                self.branches_counted.push((code, place));
            }
            counter[side] += count;
        } else {
            self.odd_branches.entry((code, place)).or_insert([0; 2])[side] += u64::from(count);
        }
    }

    fn take(&mut self, columns: &Columns) -> Counts {
        let mut counts = Counts::default();
        for (context, counters) in columns.contexts.iter().zip(&self.kinds) {
            for (kind, count) in counters.iter().enumerate().filter(|(_, count)| **count > 0) {
                counts.events.push((context.thread, context.code, kind as u8, (*count).into()));
            }
        }
        for (code, line) in self.lines_counted.drain(..) {
            let extent = self.extents[code as usize];
            let counter = &mut self.lines[(extent.line_at + line - extent.first_line) as usize];
            counts.lines.push((code, line, std::mem::take(counter).into()));
        }
        for (code, unit) in self.branches_counted.drain(..) {
            let counter = &mut self.branches[(self.extents[code as usize].unit_at + unit) as usize];
            let [taken, not_taken] = std::mem::take(counter);
            counts.branches.push((code, unit, taken.into(), not_taken.into()));
        }
        counts.lines.extend(self.odd_lines.drain().map(|((code, line), n)| (code, line, n)));
        let odd = self.odd_branches.drain();
        counts.branches.extend(odd.map(|((code, unit), n)| (code, unit, n[0], n[1])));
        counts
    }
}

/// LINE and the kinds with a target: the kinds whose place or target is counted.
const SPECIAL: u32 = {
    let mut bits = 1 << EventKind::LINE.number();
    let mut number = 0;
    while let Some(kind) = EventKind::from_number(number) {
        if has_target(kind) {
            bits |= 1 << number;
        }
        number += 1;
    }
    bits
};

/// Returns 0 if a branch was taken, 1 if it was not; `None` for an event that is not a branch. A
/// BRANCH event does not tell which it was. But a branch that is not taken leads to the next
/// instruction: one unit further, or two behind an inline cache, unless the branch is a short one.
fn side(kind: u8, unit: u32, target: u32, is_short: impl Fn() -> bool) -> Option<usize> {
    const BRANCH: u8 = EventKind::BRANCH.number();
    match kind {
        BRANCH => Some(match target.wrapping_sub(unit) {
            1 => 1,
            2 => (!is_short()).into(),
            _ => 0,
        }),
        LEFT => Some(1),
        RIGHT => Some(0),
        _ => None,
    }
}
