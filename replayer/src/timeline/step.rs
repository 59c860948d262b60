//! Steps: into, over, out and by instruction, forwards and backwards.

use super::position::Spot;
use super::{Moved, Position, Timeline, Why};
use crate::state::{Direction, Met, Within};
use crate::store::Error;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use std::cell::Cell;

/// How far to go. Steps stop at LINE events, except where noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next line of the thread, in any function.
    Into,
    /// The next line of the same call; if the call ends before that, the next line of its caller.
    /// Backwards, the previous line of the call, or the line it was called from. A call that is
    /// suspended and never goes on ends where it was suspended.
    Over,
    /// The event that ends the call; from that event, the one that ends the caller. Backwards, the
    /// line that the call was made from.
    Out,
    /// The next INSTRUCTION of the thread.
    Instruction,
}

/// Which events count for [`Step::Into`] and [`Step::Instruction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follow {
    /// Those of the same thread.
    Thread,
    /// Those of the same asyncio task; outside of a task, those of the thread.
    Task,
}

/// The result of a search for the next wanted event of a call.
pub(super) enum OwnEvent {
    At(Position),
    /// There is none, and the call is left: through its end or, backwards, its beginning.
    Left,
    /// There is none, and how the call went on is not known.
    Unknown,
}

/// Which events of a call are wanted.
pub(super) struct Wanted<'a> {
    /// Whether an event is wanted, by kind and place. Only for kinds without an ordinal.
    pub(super) is_it: &'a dyn Fn(u8, u32) -> bool,
    /// Whether a chunk may have a wanted event, or the beginning or end of the call.
    pub(super) may_be_in: &'a mut dyn FnMut(usize) -> Result<bool, Error>,
}

/// Where a movement leads.
enum Found {
    At(Position),
    /// There are no more events; the position where the followed thread or call ends, if known.
    Edge(Option<Position>),
}

impl From<Option<Position>> for Found {
    fn from(found: Option<Position>) -> Found {
        found.map_or(Found::Edge(None), Found::At)
    }
}

/// A movement in progress.
pub(super) struct Movement {
    pub(super) direction: Direction,
    pub(super) missing: Vec<String>,
}

impl Movement {
    fn arrived(self, to: Position) -> Moved {
        Moved { to, why: Why::Arrived, missing: self.missing }
    }

    fn no_more(self, to: Position) -> Moved {
        Moved { to, why: Why::NoMore, missing: self.missing }
    }
}

impl Timeline {
    /// Makes one step from a position. If there are no more events, it leads to the last event of
    /// what is followed: the thread, or for [`Step::Over`] and [`Step::Out`] its outermost call.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damaged chunks are skipped and
    /// reported in [`Moved::missing`].
    pub fn step(
        &self,
        from: Position,
        step: Step,
        direction: Direction,
        follow: Follow,
    ) -> Result<Moved, Error> {
        self.step_along(from, step, direction, follow, false)
    }

    /// As [`Timeline::step`], but skips lines of code that is not the user's own. From a position
    /// in such code, [`Step::Over`] and [`Step::Out`] still follow its call.
    ///
    /// # Errors
    /// As [`Timeline::step`].
    pub fn step_in_mine(
        &self,
        from: Position,
        step: Step,
        direction: Direction,
        follow: Follow,
    ) -> Result<Moved, Error> {
        let mut moved = self.step_along(from, step, direction, follow, true)?;
        let has_left = step == Step::Over
            && moved.why == Why::Arrived
            && self.is_in_mine(from)?
            && !self.is_in_mine(moved.to)?;
        if has_left {
            let mut on = self.step_along(moved.to, Step::Into, direction, follow, true)?;
            moved.missing.append(&mut on.missing);
            moved = Moved { missing: moved.missing, ..on };
        }
        Ok(moved)
    }

    /// Moves to the next line of this call whose number is greater than `beyond`; if the call ends
    /// before that, to the next line of its caller.
    ///
    /// # Errors
    /// As [`Timeline::step`].
    pub fn until(&self, from: Position, beyond: u32) -> Result<Moved, Error> {
        let mut movement = Movement { direction: Direction::Forward, missing: Vec::new() };
        let Some(spot) = self.spot(from, &mut movement.missing)? else {
            return self.out_of_damage(from, movement);
        };
        let Some(call) = spot.frame.map(|frame| spot.within.call_of(frame)) else {
            return self.step(from, Step::Over, Direction::Forward, Follow::Thread);
        };
        Ok(match self.over(spot, call, beyond, &mut movement)? {
            Found::At(to) => movement.arrived(to),
            Found::Edge(Some(to)) => movement.no_more(to),
            Found::Edge(None) => {
                let last = self.farthest_event(from, Direction::Forward)?;
                movement.no_more(last)
            }
        })
    }

    /// Whether the event at a position is of the user's own code.
    fn is_in_mine(&self, at: Position) -> Result<bool, Error> {
        let Some(spot) = self.spot(at, &mut Vec::new())? else { return Ok(false) };
        let context = spot.within.context(spot.index)?;
        Ok(context.is_some_and(|(_, code)| self.is_my_code(spot.chunk, code)))
    }

    /// Whether a code object, by its number in a chunk, is the user's own.
    fn is_my_code(&self, chunk: usize, code: u32) -> bool {
        let index = self.process(chunk).codes.get(&code);
        let code = index.and_then(|index| self.store.directory().codes.get(*index));
        code.is_some_and(|code| self.store.is_mine(code))
    }

    fn step_along(
        &self,
        from: Position,
        step: Step,
        direction: Direction,
        follow: Follow,
        only_mine: bool,
    ) -> Result<Moved, Error> {
        let mut movement = Movement { direction, missing: Vec::new() };
        let Some(spot) = self.spot(from, &mut movement.missing)? else {
            return self.out_of_damage(from, movement);
        };
        let call = spot.frame.map(|frame| spot.within.call_of(frame));
        let found = match (step, call) {
            (Step::Over, Some(call)) => self.over(spot, call, 0, &mut movement)?,
            (Step::Out, Some(call)) => self.out(spot, call, &mut movement)?,
            (Step::Instruction, _) => {
                self.along(&spot, EventKind::INSTRUCTION, follow, false, &mut movement)?.into()
            }
            (Step::Into | Step::Over | Step::Out, _) => {
                self.along(&spot, EventKind::LINE, follow, only_mine, &mut movement)?.into()
            }
        };
        Ok(match found {
            Found::At(to) => movement.arrived(to),
            Found::Edge(Some(to)) => movement.no_more(to),
            Found::Edge(None) => {
                let last = self.farthest_event(from, direction)?;
                movement.no_more(last)
            }
        })
    }

    /// The next event of a kind in the thread or task; with `only_mine`, in the user's own code.
    fn along(
        &self,
        spot: &Spot,
        kind: EventKind,
        follow: Follow,
        only_mine: bool,
        movement: &mut Movement,
    ) -> Result<Option<Position>, Error> {
        let task = match follow {
            Follow::Thread => None,
            Follow::Task => self.task(&spot.within, spot.chunk, spot.index)?,
        };
        let (thread, kind) = (spot.thread, kind.number());
        let from = match movement.direction {
            Direction::Forward => spot.index + 1,
            Direction::Backward => spot.index,
        };
        let mut chunk = spot.chunk;
        let mut from = Some(from);
        loop {
            let header = &self.store.chunks()[chunk];
            let may_be_here =
                !only_mine || header.codes.iter().any(|code| self.is_my_code(chunk, *code));
            let within = match may_be_here || task.is_some() {
                true => self.load(chunk, &mut movement.missing)?,
                false => None,
            };
            if let Some(within) = &within {
                let kinds = within.chunk().kinds()?;
                let is_wanted = |index: usize| {
                    let is_of_task = || Ok::<_, Error>(self.task(within, chunk, index)? == task);
                    let is_mine = || -> Result<bool, Error> {
                        let context = within.context(index)?;
                        Ok(context.is_some_and(|(_, code)| self.is_my_code(chunk, code)))
                    };
                    Ok(kinds[index] == kind
                        && (!only_mine || is_mine()?)
                        && (task.is_none() || is_of_task()?))
                };
                let from = from.take().unwrap_or(match movement.direction {
                    Direction::Forward => 0,
                    Direction::Backward => kinds.len(),
                });
                if let Some(index) = within.nearest(thread, from, movement.direction, is_wanted)? {
                    return Ok(Some(self.at(chunk, index)));
                }
            }
            from = None;
            let next = match (task, &within) {
                (Some(task), Some(_)) => self.reach(task, chunk, movement.direction)?,
                _ => self.neighbour(chunk, thread, movement.direction),
            };
            let Some(next) = next else { return Ok(None) };
            chunk = next;
        }
    }

    /// The next chunk, in a direction, with events of a thread.
    pub(super) fn neighbour(
        &self,
        chunk: usize,
        thread: u32,
        direction: Direction,
    ) -> Option<usize> {
        let state = self.state();
        let (mut before, mut after) = state.neighbours(chunk, thread);
        match direction {
            Direction::Forward => after.next(),
            Direction::Backward => before.next(),
        }
    }

    /// The next line of a call whose number is greater than `beyond`, or the next line of its
    /// caller.
    fn over(
        &self,
        spot: Spot,
        call: CallId,
        beyond: u32,
        movement: &mut Movement,
    ) -> Result<Found, Error> {
        let (mut spot, mut call) = (spot, call);
        let beyond = Cell::new(beyond);
        let is_line = |kind: u8, line: u32| kind == EventKind::LINE.number() && line > beyond.get();
        let mut wanted = Wanted { is_it: &is_line, may_be_in: &mut |_| Ok(true) };
        loop {
            match self.own_event(&mut spot, call, &mut wanted, movement)? {
                OwnEvent::At(found) => return Ok(Found::At(found)),
                OwnEvent::Left => beyond.set(0),
                OwnEvent::Unknown => return Ok(Found::Edge(None)),
            }
            let Some(caller) = spot.frame.and_then(|frame| spot.within.caller(frame)) else {
                return Ok(Found::Edge(Some(self.at(spot.chunk, spot.index))));
            };
            call = spot.within.call_of(caller);
            spot.frame = Some(caller);
        }
    }

    /// The next wanted event of a call. If there is none, `spot` becomes the event that ends or
    /// begins the call, with its frame.
    pub(super) fn own_event(
        &self,
        spot: &mut Spot,
        call: CallId,
        wanted: &mut Wanted<'_>,
        movement: &mut Movement,
    ) -> Result<OwnEvent, Error> {
        let forward = movement.direction == Direction::Forward;
        // Where the call was last suspended.
        let mut suspended = None;
        if let Some(own) = spot.within.frame_at(spot.index)?
            && spot.within.call_of(own) == call
        {
            match spot.within.kind(spot.index)? {
                Some(EventKind::PY_RETURN | EventKind::PY_UNWIND) if forward => {
                    return Ok(OwnEvent::Left);
                }
                Some(EventKind::PY_YIELD) if forward => {
                    suspended = Some(self.at(spot.chunk, spot.index));
                }
                _ if !forward && self.at(spot.chunk, spot.index).seq() == call.cast_signed() => {
                    return Ok(OwnEvent::Left);
                }
                _ => {}
            }
        }
        let mut from = if forward { spot.index + 1 } else { spot.index };
        loop {
            match spot.within.event_of(call, from, movement.direction, wanted.is_it)? {
                Some(Met::Event(index)) => return Ok(OwnEvent::At(self.at(spot.chunk, index))),
                Some(Met::End(index) | Met::Start(index)) => {
                    spot.index = index;
                    spot.frame = spot.within.frame_at(index)?;
                    spot.thread = spot.within.context(index)?.map_or(spot.thread, |(t, _)| t);
                    return Ok(OwnEvent::Left);
                }
                Some(Met::Suspended(index)) => suspended = Some(self.at(spot.chunk, index)),
                None => {}
            }
            let mut next = self.reach(call, spot.chunk, movement.direction)?;
            while let Some(chunk) = next
                && !(wanted.may_be_in)(chunk)?
            {
                next = self.reach(call, chunk, movement.direction)?;
            }
            let next = self.readable(next, movement)?;
            let Some((chunk, within)) = next else { break };
            (spot.chunk, spot.within) = (chunk, within);
            from = if forward { 0 } else { spot.within.events()? };
        }
        // The call never goes on.
        let Some(left) =
            suspended.map(|at| self.spot(at, &mut movement.missing)).transpose()?.flatten()
        else {
            return Ok(OwnEvent::Unknown);
        };
        *spot = left;
        Ok(OwnEvent::Left)
    }

    /// A chunk, or if it cannot be read the nearest in this direction that can: beyond the damage,
    /// any chunk may have events of the call.
    fn readable(
        &self,
        chunk: Option<usize>,
        movement: &mut Movement,
    ) -> Result<Option<(usize, Within)>, Error> {
        let Some(next) = chunk else { return Ok(None) };
        if let Some(within) = self.load(next, &mut movement.missing)? {
            return Ok(Some((next, within)));
        }
        let state = self.state();
        let chunks = state.chunks_of(self.store.chunks()[next].process_id);
        let here = chunks.partition_point(|index| *index < next);
        let beyond: Box<dyn Iterator<Item = &usize>> = match movement.direction {
            Direction::Forward => Box::new(chunks.iter().skip(here + 1)),
            Direction::Backward => Box::new(chunks[..here].iter().rev()),
        };
        for chunk in beyond {
            if let Some(within) = self.load(*chunk, &mut movement.missing)? {
                return Ok(Some((*chunk, within)));
            }
        }
        Ok(None)
    }

    /// The end of a call; backwards, the line it was made from.
    fn out(&self, spot: Spot, call: CallId, movement: &mut Movement) -> Result<Found, Error> {
        match movement.direction {
            Direction::Forward => self.end(spot, call, movement),
            Direction::Backward => self.call_site(&spot, call, movement),
        }
    }

    /// The event that ends a call; if `spot` is that event, the one that ends its caller.
    fn end(&self, spot: Spot, call: CallId, movement: &mut Movement) -> Result<Found, Error> {
        let (mut spot, mut call) = (spot, call);
        if let Some(EventKind::PY_RETURN | EventKind::PY_UNWIND) = spot.within.kind(spot.index)? {
            let Some(caller) = spot.frame.and_then(|frame| spot.within.caller(frame)) else {
                return Ok(Found::Edge(Some(self.at(spot.chunk, spot.index))));
            };
            call = spot.within.call_of(caller);
        }
        let mut from = spot.index + 1;
        loop {
            if let Some(index) = spot.within.end_of(call, from)? {
                return Ok(Found::At(self.at(spot.chunk, index)));
            }
            let next = self.reach_end(call, spot.chunk)?;
            let next = self.readable(next, movement)?;
            let Some((chunk, within)) = next else { return Ok(Found::Edge(None)) };
            (spot.chunk, spot.within, from) = (chunk, within, 0);
        }
    }

    /// The line a call was made from.
    fn call_site(
        &self,
        spot: &Spot,
        call: CallId,
        movement: &mut Movement,
    ) -> Result<Found, Error> {
        let begins = Position::new(call.cast_signed());
        let is_before = self.at(spot.chunk, spot.index) < begins;
        if is_before || self.store.locate(self.run_id, begins.seq()).is_none() {
            return Ok(Found::Edge(None));
        }
        let Some(mut start) = self.spot(begins, &mut movement.missing)? else {
            return Ok(Found::Edge(None));
        };
        let Some(caller) = start.frame.and_then(|frame| start.within.caller(frame)) else {
            return Ok(Found::Edge(Some(begins)));
        };
        let call = start.within.call_of(caller);
        start.frame = Some(caller);
        self.over(start, call, 0, movement)
    }

    /// The last event of a position's thread in a direction, which may be the position itself.
    fn farthest_event(&self, from: Position, direction: Direction) -> Result<Position, Error> {
        let Some(spot) = self.spot(from, &mut Vec::new())? else { return Ok(from) };
        let state = self.state();
        let (before, after) = state.neighbours(spot.chunk, spot.thread);
        let farthest = match direction {
            Direction::Forward => after.last(),
            Direction::Backward => before.last(),
        };
        let farthest = farthest.unwrap_or(spot.chunk);
        let Some(within) = state.within(farthest)? else { return Ok(from) };
        let start = match direction {
            Direction::Forward => within.events()?,
            Direction::Backward => 0,
        };
        let towards = match direction {
            Direction::Forward => Direction::Backward,
            Direction::Backward => Direction::Forward,
        };
        let found = within.nearest(spot.thread, start, towards, |_| Ok(true))?;
        Ok(found.map_or(from, |index| self.at(farthest, index)))
    }

    /// Moves from a position in a damaged chunk to the nearest event that can be read.
    fn out_of_damage(&self, from: Position, mut movement: Movement) -> Result<Moved, Error> {
        let Some((chunk, _)) = self.store.locate(self.run_id, from.seq()) else {
            return Ok(movement.no_more(from));
        };
        let state = self.state();
        let chunks = state.chunks_of(self.store.chunks()[chunk].process_id);
        let here = chunks.partition_point(|index| *index < chunk);
        let beyond: Box<dyn Iterator<Item = &usize>> = match movement.direction {
            Direction::Forward => Box::new(chunks.iter().skip(here + 1)),
            Direction::Backward => Box::new(chunks[..here].iter().rev()),
        };
        for &next in beyond {
            if let Some(within) = self.load(next, &mut movement.missing)? {
                let index = match movement.direction {
                    Direction::Forward => 0,
                    Direction::Backward => within.events()?.saturating_sub(1),
                };
                return Ok(movement.arrived(self.at(next, index)));
            }
        }
        Ok(movement.no_more(from))
    }
}
