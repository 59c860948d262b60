//! Finds the nearest write of a variable in either direction.

use super::step::{Movement, OwnEvent, Wanted};
use super::{Direction, Position, Timeline};
use crate::state::{Wanted as Wants, Within};
use crate::store::{Error, Process, Search, Sought, Variables};
use dashcam_schema::bytecode::stores::{Place, Slot};
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use dashcam_schema::value::ObjectId;
use rustc_hash::FxHashSet;

/// A variable, as seen from a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// A variable of one call.
    Local { call: CallId, code: u32, slot: Slot },
    /// A variable in a cell that functions of one file share; `cell` if it is known.
    Cell { call: CallId, code: u32, slot: Slot, name: Box<str>, cell: Option<ObjectId> },
    /// A variable of the module of a code object, found by its path.
    Global { code: u32, name: Box<str> },
}

/// Where a variable is bound or unbound, or an object is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The INSTRUCTION that does it. For an argument, the PY_START of its call; for a change by a
    /// function in C, the function's return.
    pub at: Position,
    /// The variable is bound as an argument of a call.
    pub is_argument: bool,
}

const INSTRUCTION: u8 = EventKind::INSTRUCTION.number();

impl Timeline {
    /// The variable that a name means in a frame of a position's stack; depth 0 is the innermost
    /// frame. `None` if there is no such frame, or nothing in the recording binds such a variable.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn variable(
        &self,
        at: Position,
        depth: usize,
        name: &str,
    ) -> Result<Option<Variable>, Error> {
        let Some(spot) = self.spot(at, &mut Vec::new())? else { return Ok(None) };
        let Some(frame) = spot.within.stack(spot.index)?.nth(depth) else { return Ok(None) };
        let (call, Some(code)) = (spot.within.call_of(frame), spot.within.code_of(frame)) else {
            return Ok(None);
        };
        let process = self.process(spot.chunk);
        let global = || Variable::Global { code, name: name.into() };
        let Some(variables) = self.store.variables(process, code) else { return Ok(None) };
        let slots = variables.stores.all().iter().copied();
        let mut named = slots.filter(|slot| variables.name(*slot) == Some(name));
        if let Some(slot) = named.next() {
            return Ok(Some(match (variables.stores.place(slot), variables.scope(slot)) {
                (_, "global") => global(),
                (Place::Fast(_), "cell") => {
                    let cell = self.state().cell_at(self.run_id, at.seq(), depth, slot)?;
                    Variable::Cell { call, code, slot, name: name.into(), cell }
                }
                _ => Variable::Local { call, code, slot },
            }));
        }
        let found = self.sharing(process, code).any(|variables| {
            let slots = variables.stores.all().iter();
            let mut globals = slots.filter(|slot| variables.scope(**slot) == "global");
            globals.any(|slot| variables.name(*slot) == Some(name))
        });
        Ok(found.then(global))
    }

    /// The variables of all code objects in the file of `code`.
    fn sharing<'a>(
        &'a self,
        process: &'a Process,
        code: u32,
    ) -> impl Iterator<Item = &'a Variables> {
        let path = self.path_of(process, code);
        let numbers = process.codes.keys().copied();
        let of_file = numbers.filter(move |number| self.path_of(process, *number) == path);
        of_file.filter_map(|number| self.store.variables(process, number))
    }

    fn path_of(&self, process: &Process, code: u32) -> Option<crate::store::texts::TextId> {
        let index = process.codes.get(&code)?;
        Some(self.store.directory().codes.get(*index)?.path)
    }

    /// The nearest write of a variable before a position, or, forwards, after it.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damaged chunks on the way are
    /// skipped and added to `missing`.
    pub fn write_of(
        &self,
        variable: &Variable,
        at: Position,
        direction: Direction,
        missing: &mut Vec<String>,
    ) -> Result<Option<Write>, Error> {
        match variable {
            Variable::Local { call, code, slot } => {
                self.local_write(*call, *code, *slot, at, direction, missing)
            }
            Variable::Global { code, name } => {
                self.shared_write(*code, name, None, at, direction, missing)
            }
            Variable::Cell { call, code, slot, name, cell } => match cell {
                Some(cell) => self.shared_write(*code, name, Some(*cell), at, direction, missing),
                // Before its cell is made, it is like any other local variable.
                None => self.local_write(*call, *code, *slot, at, direction, missing),
            },
        }
    }

    /// The nearest write of a variable of one call.
    fn local_write(
        &self,
        call: CallId,
        code: u32,
        slot: Slot,
        at: Position,
        direction: Direction,
        missing: &mut Vec<String>,
    ) -> Result<Option<Write>, Error> {
        let Some(mut spot) = self.spot(at, missing)? else { return Ok(None) };
        let process_id = self.process(spot.chunk).process_id;
        let process = self.process(spot.chunk);
        let Some(variables) = self.store.variables(process, code) else { return Ok(None) };
        let stores = |unit: u32| variables.stores.stored(unit).any(|(stored, _)| stored == slot);
        let is_it = |kind: u8, place: u32| kind == INSTRUCTION && stores(place);
        let mut search = Search::new(&self.store, |sought| {
            sought.process.process_id == process_id
                && sought.code == code
                && match sought.kind {
                    EventKind::INSTRUCTION => stores(sought.place),
                    EventKind::PY_START => direction == Direction::Backward,
                    EventKind::PY_RETURN | EventKind::PY_UNWIND => direction == Direction::Forward,
                    _ => false,
                }
        });
        let mut may_be_in = |chunk: usize| self.noted(chunk, search.may_be_in(chunk));
        let mut wanted = Wanted { is_it: &is_it, may_be_in: &mut may_be_in };
        let mut movement = Movement { direction, missing: Vec::new() };
        let found = self.own_event(&mut spot, call, &mut wanted, &mut movement)?;
        missing.append(&mut movement.missing);
        Ok(match found {
            OwnEvent::At(at) => Some(Write { at, is_argument: false }),
            OwnEvent::Left if direction == Direction::Backward => {
                let is_argument = (slot as usize) < variables.arguments;
                is_argument.then(|| Write { at: Position::new(call.cast_signed()), is_argument })
            }
            OwnEvent::Left | OwnEvent::Unknown => None,
        })
    }

    /// What a write of a variable binds, as text. The outer `Option` is `None` if that is not
    /// known, the inner one if the write unbinds the variable.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn bound(&self, write: &Write, name: &str) -> Result<Option<Option<String>>, Error> {
        let Some((chunk, index)) = self.store.locate(self.run_id, write.at.seq()) else {
            return Ok(None);
        };
        let found = self.state().bindings(
            chunk,
            index..index + 1,
            &Wants::all(&|_, _| true, &|of| of == name),
        )?;
        Ok(found.into_iter().last().map(|binding| binding.value.map(String::from)))
    }

    /// Whether a chunk may have an event. True if it is damaged: reading the chunk then reports
    /// what is missing.
    fn noted(&self, chunk: usize, may_be: Result<bool, Error>) -> Result<bool, Error> {
        match may_be {
            Err(error) => self.store.note(chunk, error).map(|()| true),
            may_be => may_be,
        }
    }

    /// The nearest write of a name that the functions of one file share: among the globals, or in
    /// one cell.
    fn shared_write(
        &self,
        code: u32,
        name: &str,
        cell: Option<ObjectId>,
        at: Position,
        direction: Direction,
        missing: &mut Vec<String>,
    ) -> Result<Option<Write>, Error> {
        let Some((here, _)) = self.store.locate(self.run_id, at.seq()) else { return Ok(None) };
        let process = self.process(here);
        let path = self.path_of(process, code);
        let scope = if cell.is_some() { "cell" } else { "global" };
        let is_named = |variables: &Variables, slot: Slot| {
            variables.name(slot) == Some(name) && variables.scope(slot) == scope
        };
        let slot_of = |code: u32, unit: u32| -> Option<Slot> {
            let variables = self.store.variables(process, code)?;
            let mut stored = variables.stores.stored(unit).map(|(slot, _)| slot);
            stored.find(|slot| is_named(variables, *slot))
        };
        // No store instruction puts an argument into its cell.
        let argument_of = |code: u32| -> Option<Slot> {
            let variables = self.store.variables(process, code)?;
            let arguments = 0..variables.arguments as Slot;
            let mut cells = arguments.filter(|slot| variables.is_cell(*slot));
            cells.find(|slot| cell.is_some() && variables.name(*slot) == Some(name))
        };
        let stores = |code: u32| {
            let variables = self.store.variables(process, code);
            variables.is_some_and(|it| it.stores.all().iter().any(|slot| is_named(it, *slot)))
        };
        let of_file = process.codes.keys().copied();
        let of_file = of_file.filter(|code| self.path_of(process, *code) == path);
        let binders: FxHashSet<u32> =
            of_file.filter(|code| stores(*code) || argument_of(*code).is_some()).collect();
        let is_it = |kind: EventKind, code: u32, place: u32| match kind {
            _ if !binders.contains(&code) => None,
            EventKind::INSTRUCTION => slot_of(code, place).map(|slot| (slot, false)),
            EventKind::PY_START => argument_of(code).map(|slot| (slot, true)),
            _ => None,
        };
        let mut search = Search::new(&self.store, |sought: Sought<'_>| {
            sought.process.process_id == process.process_id
                && is_it(sought.kind, sought.code, sought.place).is_some()
        });
        let state = self.state();
        let chunks = state.chunks_of(process.process_id);
        let position = chunks.partition_point(|chunk| *chunk < here);
        let ahead: Box<dyn Iterator<Item = &usize>> = match direction {
            Direction::Forward => Box::new(chunks[position..].iter()),
            Direction::Backward => Box::new(chunks[..chunks.len().min(position + 1)].iter().rev()),
        };
        for chunk in ahead {
            let is_run = self.store.chunks()[*chunk].has_code(binders.iter().copied());
            if !is_run || !self.noted(*chunk, search.may_be_in(*chunk))? {
                continue;
            }
            let Some(within) = self.load(*chunk, missing)? else { continue };
            let mut found = self.shared_in(*chunk, &within, &is_it)?;
            let is_ahead = |(to, ..): &(Position, Slot, bool)| match direction {
                Direction::Forward => *to > at,
                Direction::Backward => *to < at,
            };
            found.retain(is_ahead);
            if direction == Direction::Backward {
                found.reverse();
            }
            for (to, slot, is_argument) in found {
                let is_same = match cell {
                    // An argument is moved into its cell right after the call begins.
                    Some(_) if is_argument => self.cell_of_call(to, slot)? == cell,
                    Some(_) => state.cell_at(self.run_id, to.seq(), 0, slot)? == cell,
                    None => true,
                };
                if is_same {
                    return Ok(Some(Write { at: to, is_argument }));
                }
            }
        }
        Ok(None)
    }

    /// The cell that an argument of a call is moved into, read at the call's first line.
    fn cell_of_call(&self, starts: Position, slot: Slot) -> Result<Option<ObjectId>, Error> {
        let moved =
            self.step(starts, super::Step::Over, Direction::Forward, super::Follow::Thread)?;
        self.state().cell_at(self.run_id, moved.to.seq(), 0, slot)
    }

    /// The events of a chunk that `is_it` accepts, with the slot and whether it is an argument.
    fn shared_in(
        &self,
        chunk: usize,
        within: &Within,
        is_it: &dyn Fn(EventKind, u32, u32) -> Option<(Slot, bool)>,
    ) -> Result<Vec<(Position, Slot, bool)>, Error> {
        let (kinds, places) = (within.chunk().kinds()?, within.chunk().places()?);
        let mut found = Vec::new();
        for (index, (kind, place)) in kinds.iter().zip(places).enumerate() {
            let Some(kind) = EventKind::from_number(*kind) else { continue };
            if kind != EventKind::INSTRUCTION && kind != EventKind::PY_START {
                continue;
            }
            let Some((_, code)) = within.context(index)? else { continue };
            if let Some((slot, is_argument)) = is_it(kind, code, *place) {
                found.push((self.at(chunk, index), slot, is_argument));
            }
        }
        Ok(found)
    }
}
