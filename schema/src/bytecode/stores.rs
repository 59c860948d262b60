//! Finds the variables that a code object stores, and when each store is recorded.
//!
//! A variable need not be read as soon as it is stored: only its own frame can change it, so it
//! still has the value at the frame's next recorded event. The variable is *flushed* with that
//! event: its value is recorded. A variable is *pending* if it may have been stored since the last
//! flush. Which variables are pending follows from the bytecode. Some of them may not have been
//! stored; recording their values as well costs little, and the values are correct.
//!
//! An instruction that stores a variable that may be pending, or changes an object, has to be
//! recorded at once. Such an instruction is a *site*: its INSTRUCTION event is switched on.
//!
//! A branch that is not recorded ([`branches`](super::branches)) flushes nothing. Otherwise it
//! would have to be recorded.
//!
//! Recorder and replayer run the same code, since a flush records values, but not the variables
//! they belong to.

use super::branches::Branches;
use super::code::{Unit, handlers, plain_instructions};
use super::opcodes::{Op, StoreOp, Version};
use rustc_hash::FxHashMap;

/// A variable of a code object: its index among `co_varnames`, cells and free variables in their
/// order in a frame. After those there are two slots for each entry of `co_names`: in the namespace
/// the code runs in, and among the globals.
pub type Slot = u32;

/// More slots than any frame has.
const FAST_MAX: u32 = 1 << 16;

/// Where a slot's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the frame.
    Fast(u32),
    /// Under this entry of `co_names`, in the namespace that the code runs in: globals, or a class
    /// body.
    Name(u32),
    /// Under this entry of `co_names`, among the globals.
    Global(u32),
}

/// What an instruction does that has to be recorded before its frame's next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// It stores a variable that may be pending.
    Overwrite,
    SetAttribute,
    DeleteAttribute,
    SetItem,
    DeleteItem,
    SetSlice,
    /// An in-place operator.
    InPlace,
    /// A subscript, which may change the object it is applied to: `__missing__`.
    Subscript,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    op: StoreOp,
    operand: u32,
    /// The unit where the instruction that contains this unit begins.
    start: u32,
    /// Indexes into `sets`: slots pending before the instruction, and during it.
    pending: u32,
    within: u32,
    site: Option<Site>,
}

/// The stores of one code object.
#[derive(Debug, Clone)]
pub struct Stores {
    entries: Box<[Entry]>,
    /// Ascending slots.
    sets: Vec<Box<[Slot]>>,
    /// The number of slots in the frame.
    fast: u32,
    /// Slots whose variable is in a cell, ascending.
    cells: Vec<Slot>,
    all: Vec<Slot>,
    /// The entry of `co_names` that is `__annotations__`.
    annotations: Option<u32>,
    has_sites: bool,
}

impl Stores {
    /// Reads a code object whose frame has `fast` slots. `names` is its `co_names` if it binds any
    /// of them. Branches that are implied in `branches` are not recorded. Invalid bytes give
    /// meaningless stores, but no panic.
    pub fn new(
        version: Version,
        bytecode: &[u8],
        exception_table: &[u8],
        fast: u32,
        names: &[impl AsRef<str>],
        branches: &Branches,
    ) -> Stores {
        let units = plain_instructions(version, bytecode);
        let mut entries = Vec::with_capacity(units.len());
        for (unit, bytes) in units.iter().zip(bytecode.as_chunks::<2>().0) {
            let mut entry = Entry {
                op: StoreOp::Nothing,
                operand: unit.operand,
                start: unit.start,
                pending: 0,
                within: 0,
                site: None,
            };
            if unit.is_start {
                entry.op = version.store(bytes[0]);
            }
            entries.push(entry);
        }
        let mut stores = Stores {
            entries: entries.into(),
            sets: vec![Box::default()],
            fast,
            cells: Vec::new(),
            all: Vec::new(),
            annotations: names
                .iter()
                .position(|name| name.as_ref() == "__annotations__")
                .map(|at| at as u32),
            has_sites: false,
        };
        stores.find_cells();
        stores.find_all();
        stores.flow(version, &units, exception_table, branches);
        stores.find_sites(version);
        stores
    }

    /// The number of slots in the frame.
    pub fn fast(&self) -> u32 {
        self.fast
    }

    /// Where a slot's value is.
    pub fn place(&self, slot: Slot) -> Place {
        match slot.checked_sub(self.fast) {
            None => Place::Fast(slot),
            Some(name) if name % 2 == 0 => Place::Name(name / 2),
            Some(name) => Place::Global(name / 2),
        }
    }

    /// The slots whose variables are in cells, shared with other functions. Ascending.
    pub fn cells(&self) -> &[Slot] {
        &self.cells
    }

    /// The slots that may be pending before the instruction that contains this unit is executed,
    /// ascending.
    #[inline]
    pub fn pending(&self, unit: u32) -> &[Slot] {
        let set = self.entries.get(unit as usize).map_or(0, |entry| entry.pending);
        &self.sets[set as usize]
    }

    /// The slots that may be pending while the instruction that contains this unit is executed,
    /// including those that it stores. Ascending.
    #[inline]
    pub fn pending_within(&self, unit: u32) -> &[Slot] {
        let set = self.entries.get(unit as usize).map_or(0, |entry| entry.within);
        &self.sets[set as usize]
    }

    /// All slots in the frame, and the slots of names that the code stores. Ascending.
    pub fn all(&self) -> &[Slot] {
        &self.all
    }

    /// What the instruction at a unit does that has to be recorded at once; `None` if it is not a
    /// site.
    #[inline]
    pub fn site(&self, unit: u32) -> Option<Site> {
        self.entries.get(unit as usize)?.site
    }

    /// Whether any instruction is a site.
    pub fn has_sites(&self) -> bool {
        self.has_sites
    }

    /// The unit where the instruction that contains a unit begins.
    pub fn start(&self, unit: u32) -> u32 {
        self.entries.get(unit as usize).map_or(unit, |entry| entry.start)
    }

    /// The operand of the instruction at a unit.
    pub fn operand(&self, unit: u32) -> u32 {
        self.entries.get(unit as usize).map_or(0, |entry| entry.operand)
    }

    /// The slots that the instruction at a unit stores, in order, each with whether it is bound
    /// (true) or unbound.
    pub fn stored(&self, unit: u32) -> impl Iterator<Item = (Slot, bool)> + use<> {
        let entry = self.entries.get(unit as usize).copied();
        let none = (StoreOp::Nothing, 0);
        let (op, operand) = entry.map_or(none, |entry| (entry.op, entry.operand));
        let name = |global: u32| self.fast + 2 * operand.min(u32::MAX / 4) + global;
        let annotations = self.annotations.map(|name| (self.fast + 2 * name, true));
        let [first, second] = match op {
            StoreOp::Fast | StoreOp::Deref => [Some((operand, true)), None],
            StoreOp::FastLoadFast => [Some((operand >> 4, true)), None],
            StoreOp::FastStoreFast => [Some((operand >> 4, true)), Some((operand & 15, true))],
            StoreOp::FastAndClear | StoreOp::DeleteFast | StoreOp::DeleteDeref => {
                [Some((operand, false)), None]
            }
            StoreOp::Name => [Some((name(0), true)), None],
            StoreOp::DeleteName => [Some((name(0), false)), None],
            StoreOp::Global => [Some((name(1), true)), None],
            StoreOp::DeleteGlobal => [Some((name(1), false)), None],
            StoreOp::SetupAnnotations => [annotations, None],
            _ => [None, None],
        };
        first.into_iter().chain(second)
    }

    fn find_cells(&mut self) {
        let fast = self.fast;
        let mut cells = Vec::new();
        for entry in &self.entries {
            match entry.op {
                StoreOp::MakeCell => cells.push(entry.operand),
                StoreOp::CopyFreeVars => cells.extend(fast.saturating_sub(entry.operand)..fast),
                _ => {}
            }
        }
        cells.retain(|slot| *slot < fast);
        cells.sort_unstable();
        cells.dedup();
        self.cells = cells;
    }

    fn find_all(&mut self) {
        let units = 0..self.entries.len() as u32;
        let names = units.flat_map(|unit| self.stored(unit)).map(|(slot, _)| slot);
        let names = names.filter(|slot| *slot >= self.fast);
        let mut all: Vec<Slot> = (0..self.fast.min(FAST_MAX)).chain(names).collect();
        all.sort_unstable();
        all.dedup();
        self.all = all;
    }

    /// The slots that become pending with the instruction at a unit.
    fn made_pending(&self, unit: u32) -> Vec<Slot> {
        let Entry { op, operand, .. } = self.entries[unit as usize];
        match op {
            StoreOp::MakeCell => vec![operand],
            StoreOp::CopyFreeVars => (self.fast.saturating_sub(operand)..self.fast).collect(),
            _ => self.stored(unit).map(|(slot, _)| slot).collect(),
        }
    }

    /// Finds the slots that are pending at each instruction, by forward data flow to a fixed point.
    fn flow(
        &mut self,
        version: Version,
        units: &[Unit],
        exception_table: &[u8],
        branches: &Branches,
    ) {
        let is_flush =
            |at: u32| is_flush(version, units[at as usize].op) && !branches.is_implied(at);
        // Only slots that the code stores take part.
        let mut numbers: FxHashMap<Slot, usize> = FxHashMap::default();
        let mut slots = Vec::new();
        let mut made: Vec<Vec<usize>> = Vec::with_capacity(units.len());
        for at in 0..units.len() as u32 {
            let number = |slot| {
                *numbers.entry(slot).or_insert_with(|| {
                    slots.push(slot);
                    slots.len() - 1
                })
            };
            made.push(self.made_pending(at).into_iter().map(number).collect());
        }
        let words = slots.len().div_ceil(64);
        let mut before = vec![0u64; words * units.len()];
        let mut is_reached = vec![false; units.len()];
        let mut queue = vec![0u32];
        // Raising is an event of its frame, so nothing is pending at the beginning of a handler.
        queue.extend(handlers(exception_table).map(|(unit, _)| unit));
        queue.retain(|unit| (*unit as usize) < units.len());
        queue.iter().for_each(|unit| is_reached[*unit as usize] = true);
        let mut state = vec![0u64; words];
        while let Some(at) = queue.pop() {
            let unit = &units[at as usize];
            state.copy_from_slice(&before[words * at as usize..][..words]);
            let is_overwrite = made[at as usize].iter().any(|slot| is_in(&state, *slot));
            if is_flush(at) || is_overwrite {
                state.fill(0);
            }
            for slot in &made[at as usize] {
                state[slot / 64] |= 1 << (slot % 64);
            }
            for to in unit.successors() {
                let Some(reached) = is_reached.get_mut(to as usize) else { continue };
                let known = &mut before[words * to as usize..][..words];
                let grows = known.iter().zip(&state).any(|(known, new)| new & !known != 0);
                if grows || !*reached {
                    known.iter_mut().zip(&state).for_each(|(known, new)| *known |= new);
                    *reached = true;
                    queue.push(to);
                }
            }
        }
        let mut sets: FxHashMap<Box<[Slot]>, u32> = FxHashMap::from_iter([(Box::default(), 0)]);
        let mut number = |mut set: Vec<Slot>, all: &mut Vec<Box<[Slot]>>| {
            set.sort_unstable();
            set.dedup();
            let next = all.len() as u32;
            *sets.entry(set.into()).or_insert_with_key(|set| {
                all.push(set.clone());
                next
            })
        };
        for at in 0..units.len() {
            let state = &before[words * at..][..words];
            let set = (0..slots.len()).filter(|slot| is_in(state, *slot));
            let set: Vec<Slot> = set.map(|slot| slots[slot]).collect();
            if made[at].iter().any(|slot| is_in(state, *slot)) {
                self.entries[at].site = Some(Site::Overwrite);
            }
            // When a call enters another frame, the CALL was reported before, and has flushed.
            let op = units[at].op;
            let is_call = is_flush(at as u32) && !matches!(op, Op::PopJump | Op::ForIter);
            let own = made[at].iter().map(|slot| slots[*slot]);
            let within =
                if is_call { Vec::new() } else { set.iter().copied().chain(own).collect() };
            self.entries[at].pending = number(set, &mut self.sets);
            self.entries[at].within = number(within, &mut self.sets);
        }
        // Events may be at the units of an instruction's cache, too.
        for (at, unit) in units.iter().enumerate().filter(|(_, unit)| !unit.is_start) {
            let Entry { pending, within, .. } = self.entries[unit.start as usize];
            (self.entries[at].pending, self.entries[at].within) = (pending, within);
        }
    }

    fn find_sites(&mut self, version: Version) {
        for entry in &mut self.entries {
            let site = match entry.op {
                StoreOp::Attr => Site::SetAttribute,
                StoreOp::DeleteAttr => Site::DeleteAttribute,
                StoreOp::Subscr => Site::SetItem,
                StoreOp::DeleteSubscr => Site::DeleteItem,
                StoreOp::Slice => Site::SetSlice,
                StoreOp::BinarySubscr => Site::Subscript,
                StoreOp::BinaryOp if version.is_in_place(entry.operand) => Site::InPlace,
                StoreOp::BinaryOp if version.is_subscript(entry.operand) => Site::Subscript,
                _ => continue,
            };
            entry.site = Some(site);
        }
        self.has_sites = self.entries.iter().any(|entry| entry.site.is_some());
    }
}

fn is_in(state: &[u64], slot: usize) -> bool {
    state[slot / 64] >> (slot % 64) & 1 == 1
}

/// Whether this instruction always has a recorded event before it stores anything.
fn is_flush(version: Version, op: Op) -> bool {
    match op {
        Op::Resume | Op::YieldValue | Op::Return | Op::RaiseVarargs | Op::Reraise => true,
        Op::Call | Op::CallKw | Op::LoadSuperAttr => true,
        // 3.12 does not report it when the callable is a Python function.
        Op::CallFunctionEx => version > Version::V3_12,
        // In 3.14 one of the two sides is reported by the instruction it leads to.
        Op::PopJump | Op::ForIter => version < Version::V3_14,
        Op::NotTaken | Op::PopIter => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytecode::code::Control;

    const NO_NAMES: [&str; 0] = [];

    /// `def f(a):\n    x = a\n    x = a\n    y = x\n    return g(y)` of 3.13.
    #[test]
    fn a_second_store_is_a_site() {
        let code = [
            149, 0, // RESUME
            85, 0, 110, 1, // LOAD_FAST a, STORE_FAST x
            85, 0, 110, 1, // LOAD_FAST a, STORE_FAST x
            85, 1, 110, 2, // LOAD_FAST x, STORE_FAST y
            91, 1, 0, 0, 0, 0, 0, 0, 0, 0, // LOAD_GLOBAL g
            85, 2, // LOAD_FAST y
            53, 1, 0, 0, 0, 0, 0, 0, // CALL
            36, 0, // RETURN_VALUE
        ];
        let stores = Stores::new(Version::V3_13, &code, &[], 3, &NO_NAMES, &Branches::default());
        assert_eq!(stores.site(2), None);
        assert_eq!(stores.site(4), Some(Site::Overwrite));
        assert_eq!(stores.pending(4), [1]);
        assert_eq!(stores.site(6), None);
        assert_eq!(stores.pending(13), [1, 2], "before the CALL");
        assert_eq!(stores.pending(14), [1, 2], "within its cache");
        assert!(stores.pending(17).is_empty());
        assert_eq!(stores.stored(4).collect::<Vec<_>>(), [(1, true)]);
        assert_eq!((stores.pending(2), stores.pending_within(2)), (&[][..], &[1][..]));
        assert_eq!(stores.all(), [0, 1, 2]);
        assert!(stores.has_sites());
    }

    /// `def f(a):\n    x = a\n    if a:\n        x = 1\n        g()\n    return x` of 3.13.
    #[test]
    fn a_branch_that_is_not_recorded_flushes_nothing() {
        let code = [
            149, 0, // RESUME
            85, 0, 110, 1, // LOAD_FAST a, STORE_FAST x
            85, 0, 97, 11, 0, 0, // LOAD_FAST a, POP_JUMP_IF_FALSE
            83, 1, 110, 1, // LOAD_CONST 1, STORE_FAST x
            91, 1, 0, 0, 0, 0, 0, 0, 0, 0, // LOAD_GLOBAL g
            53, 0, 0, 0, 0, 0, 0, 0, // CALL
            85, 1, 36, 0, // LOAD_FAST x, RETURN_VALUE
        ];
        let of =
            |branches: &Branches| Stores::new(Version::V3_13, &code, &[], 2, &NO_NAMES, branches);
        let stores = of(&Branches::default());
        assert_eq!((stores.site(7), stores.pending(6)), (None, &[][..]));
        let branches = Control::of(Version::V3_13, &code).branches;
        assert!(branches.is_implied(4));
        let stores = of(&branches);
        assert_eq!((stores.site(7), stores.pending(6)), (Some(Site::Overwrite), &[1][..]));
        assert_eq!(stores.pending(18), [1], "where the branch leads without the call");
    }

    #[test]
    fn names_have_slots_behind_those_of_the_frame() {
        // RESUME, STORE_NAME 1, STORE_GLOBAL 1, RETURN_CONST.
        let stores = Stores::new(
            Version::V3_13,
            &[149, 0, 114, 1, 113, 1, 103, 0],
            &[],
            2,
            &NO_NAMES,
            &Branches::default(),
        );
        assert_eq!(stores.pending(3), [4, 5]);
        assert_eq!([stores.place(1), stores.place(4)], [Place::Fast(1), Place::Name(1)]);
        assert_eq!(stores.place(5), Place::Global(1));
    }

    #[test]
    fn garbage_makes_no_panic() {
        for seed in 0..2000u32 {
            let bytes: Vec<u8> =
                (0..40).map(|i| (seed.wrapping_mul(2_654_435_761 + i) >> 13) as u8).collect();
            for version in Version::ALL {
                let branches = Control::of(version, &bytes).branches;
                let stores =
                    Stores::new(version, &bytes, &bytes[..9], seed % 5, &NO_NAMES, &branches);
                assert!((0..21).all(|unit| stores.pending(unit).len() <= 40));
            }
        }
    }
}
