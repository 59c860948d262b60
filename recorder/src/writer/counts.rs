//! What a chunk adds to the summary tables: events by kind, lines, branches. Counted here in the
//! encoder, a whole chunk at a time, so that the drain has less to do per event.

use dashcam_schema::EventKind;
use dashcam_schema::bytecode::lines::LineTable;
use dashcam_schema::chunk::{Columns, has_target};
use dashcam_schema::record::CodeDefinition;
use rustc_hash::{FxHashMap, FxHashSet};

/// The sums of one chunk.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// (thread, code, kind) and events.
    pub(super) events: Vec<(u32, u32, u8, u64)>,
    /// (code, line) and LINE events.
    pub(super) lines: Vec<(u32, u32, u64)>,
    /// (code, unit), times taken and not taken.
    pub(super) branches: Vec<(u32, u32, u64, u64)>,
}

/// How much room a code object's counters take.
#[derive(Clone, Copy)]
struct Extent {
    first_line: u32,
    lines: u32,
    units: u32,
    /// Chunk in which the places below are valid.
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
    lines_met: Vec<(u32, u32)>,
    branches: Vec<[u32; 2]>,
    branches_met: Vec<(u32, u32)>,
    /// Places outside of what the line table promises.
    odd_lines: FxHashMap<(u32, u32), u64>,
    odd_branches: FxHashMap<(u32, u32), [u64; 2]>,
    /// (code, unit) of each.
    short_branches: FxHashSet<(u32, u32)>,
    /// (code, unit) where the end of a loop is reported → unit of the loop's branch.
    loop_ends: FxHashMap<(u32, u32), u32>,
}

impl Counter {
    /// The next code object.
    pub(super) fn define(&mut self, code: &CodeDefinition) {
        let number = self.extents.len() as u32;
        self.loop_ends.extend(code.loop_ends.iter().map(|(end, unit)| ((number, *end), *unit)));
        self.short_branches.extend(code.short_branches.iter().map(|unit| (number, *unit)));
        let table = LineTable::decode(&code.line_table, code.first_line);
        let (first, last) = table.range().unwrap_or((0, 0));
        // A table may lie; beyond a sensible size its places are counted as odd ones.
        let lines = (last - first).saturating_add(1).min(1 << 20);
        let units = (table.by_unit().len() as u32).min(1 << 22);
        let extent = Extent { first_line: first, lines, units, stamp: 0, line_at: 0, unit_at: 0 };
        self.extents.push(extent);
    }

    /// The sums of these columns.
    pub(super) fn count(&mut self, columns: &Columns) -> Counts {
        self.prepare(columns);
        self.add_up(columns);
        self.take(columns)
    }

    /// Gives every code object of the chunk its counters.
    fn prepare(&mut self, columns: &Columns) {
        self.stamp += 1;
        let (mut lines, mut units) = (0, 0);
        for context in &columns.contexts {
            // Invariant: the drain lets no undefined code object pass.
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
        let mut from = 0;
        for run in &columns.runs {
            let context = run.context as usize;
            let code = columns.contexts[context].code;
            let extent = self.extents[code as usize];
            let to = from + run.events as usize;
            let counters = &mut self.kinds[context];
            for (&kind, &place) in columns.kinds[from..to].iter().zip(&columns.places[from..to]) {
                counters[kind as usize % KINDS] += 1;
                if SPECIAL >> kind & 1 == 0 {
                    continue;
                }
                if kind == EventKind::LINE.number() {
                    let index = place.wrapping_sub(extent.first_line);
                    if index < extent.lines {
                        let counter = &mut self.lines[(extent.line_at + index) as usize];
                        if *counter == 0 {
                            self.lines_met.push((code, place));
                        }
                        *counter += 1;
                    } else {
                        *self.odd_lines.entry((code, place)).or_insert(0) += 1;
                    }
                } else {
                    let target = targets.next().unwrap_or(0);
                    let is_short = || self.short_branches.contains(&(code, place));
                    let Some(way) = way(kind, place, target, is_short) else { continue };
                    let place = match kind {
                        // Reported by the NOT_TAKEN behind the branch and its cache.
                        LEFT if target == place.wrapping_add(1) => place.saturating_sub(2),
                        RIGHT => *self.loop_ends.get(&(code, place)).unwrap_or(&place),
                        _ => place,
                    };
                    if place < extent.units {
                        let counter = &mut self.branches[(extent.unit_at + place) as usize];
                        if *counter == [0; 2] {
                            self.branches_met.push((code, place));
                        }
                        counter[way] += 1;
                    } else {
                        self.odd_branches.entry((code, place)).or_insert([0; 2])[way] += 1;
                    }
                }
            }
            from = to;
        }
    }

    fn take(&mut self, columns: &Columns) -> Counts {
        let mut counts = Counts::default();
        for (context, counters) in columns.contexts.iter().zip(&self.kinds) {
            for (kind, count) in counters.iter().enumerate().filter(|(_, count)| **count > 0) {
                counts.events.push((context.thread, context.code, kind as u8, (*count).into()));
            }
        }
        for (code, line) in self.lines_met.drain(..) {
            let extent = self.extents[code as usize];
            let counter = &mut self.lines[(extent.line_at + line - extent.first_line) as usize];
            counts.lines.push((code, line, std::mem::take(counter).into()));
        }
        for (code, unit) in self.branches_met.drain(..) {
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

/// LINE and the kinds with a target: those whose place or target is counted.
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

/// Which way a branch went: 0 for its target, 1 for on; `None` for what is not a branch. BRANCH
/// itself does not say, but to go on is to go to the next instruction: one unit further, or two
/// behind an inline cache, unless the branch is a short one.
fn way(kind: u8, unit: u32, target: u32, is_short: impl Fn() -> bool) -> Option<usize> {
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
