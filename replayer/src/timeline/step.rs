//! The eight steps.

use super::position::Spot;
use super::{Moved, Position, Timeline, Why};
use crate::state::{Direction, Met, Within};
use crate::store::Error;
use dashcam_schema::calls::CallId;
use dashcam_schema::event::EventKind;
use std::cell::Cell;

/// How far to go. Stops are LINE events, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The next line of the thread, in whatever function.
    Into,
    /// The next line of the same call; if it ends before, of the call it is left to. Backwards, the
    /// line before; if there is none, the line it was called from. A call that is suspended and never
    /// goes on ends where that is.
    Over,
    /// The event that ends the call, or the caller's if one stands there. Backwards, the line that
    /// the call was made from.
    Out,
    /// The next INSTRUCTION of the thread.
    Instruction,
}

/// Whose events count for [`Step::Into`] and [`Step::Instruction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Follow {
    /// The thread's.
    Thread,
    /// Those of the same asyncio task; outside of one, the thread's.
    Task,
}

/// What became of looking for a call's next event of some kind.
pub(super) enum Own {
    At(Position),
    /// It has none, and is left.
    Left,
    /// It has none, and how it went on is not known.
    Nowhere,
}

/// Which events of a call are looked for.
pub(super) struct Wanted<'a> {
    /// By kind and place. Of kinds without an ordinal.
    pub(super) is_it: &'a dyn Fn(u8, u32) -> bool,
    /// Whether a chunk may have one, or the call's beginning or end.
    pub(super) may_be_in: &'a mut dyn FnMut(usize) -> Result<bool, Error>,
}

/// Where a movement leads.
enum Found {
    At(Position),
    /// There is nothing more; where what was followed ends, if that is known.
    Edge(Option<Position>),
}

impl From<Option<Position>> for Found {
    fn from(found: Option<Position>) -> Found {
        found.map_or(Found::Edge(None), Found::At)
    }
}

/// A movement on its way.
pub(super) struct Way {
    pub(super) direction: Direction,
    pub(super) missing: Vec<String>,
}

impl Way {
    fn arrived(self, to: Position) -> Moved {
        Moved { to, why: Why::Arrived, missing: self.missing }
    }

    fn no_more(self, to: Position) -> Moved {
        Moved { to, why: Why::NoMore, missing: self.missing }
    }
}

impl Timeline {
    /// One step from a position. Where there is nothing more, it leads to the last event of what is
    /// followed: the thread, or for [`Step::Over`] and [`Step::Out`] its outermost call.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted. Damaged chunks are passed over and
    /// said.
    pub fn step(
        &self,
        from: Position,
        step: Step,
        direction: Direction,
        follow: Follow,
    ) -> Result<Moved, Error> {
        self.step_along(from, step, direction, follow, false)
    }

    /// As [`Timeline::step`], past the lines of code that is not one's own. Who stands in such goes along
    /// its call all the same.
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

    /// On to a line of this call beyond one; if it ends before, to the line it is left to.
    ///
    /// # Errors
    /// As [`Timeline::step`].
    pub fn until(&self, from: Position, beyond: u32) -> Result<Moved, Error> {
        let mut way = Way { direction: Direction::Forward, missing: Vec::new() };
        let Some(spot) = self.spot(from, &mut way.missing)? else {
            return self.out_of_damage(from, way);
        };
        let Some(call) = spot.frame.map(|frame| spot.within.call_of(frame)) else {
            return self.step(from, Step::Over, Direction::Forward, Follow::Thread);
        };
        Ok(match self.over(spot, call, beyond, &mut way)? {
            Found::At(to) => way.arrived(to),
            Found::Edge(Some(to)) => way.no_more(to),
            Found::Edge(None) => {
                let last = self.utmost(from, Direction::Forward)?;
                way.no_more(last)
            }
        })
    }

    /// Whether the event at a position is of one's own code.
    fn is_in_mine(&self, at: Position) -> Result<bool, Error> {
        let Some(spot) = self.spot(at, &mut Vec::new())? else { return Ok(false) };
        let context = spot.within.context(spot.index)?;
        Ok(context.is_some_and(|(_, code)| self.is_my_code(spot.chunk, code)))
    }

    /// Whether a code object, by its number in a chunk, is one's own.
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
        let mut way = Way { direction, missing: Vec::new() };
        let Some(spot) = self.spot(from, &mut way.missing)? else {
            return self.out_of_damage(from, way);
        };
        let call = spot.frame.map(|frame| spot.within.call_of(frame));
        let found = match (step, call) {
            (Step::Over, Some(call)) => self.over(spot, call, 0, &mut way)?,
            (Step::Out, Some(call)) => self.out(spot, call, &mut way)?,
            (Step::Instruction, _) => {
                self.along(&spot, EventKind::INSTRUCTION, follow, false, &mut way)?.into()
            }
            (Step::Into | Step::Over | Step::Out, _) => {
                self.along(&spot, EventKind::LINE, follow, only_mine, &mut way)?.into()
            }
        };
        Ok(match found {
            Found::At(to) => way.arrived(to),
            Found::Edge(Some(to)) => way.no_more(to),
            Found::Edge(None) => {
                let last = self.utmost(from, direction)?;
                way.no_more(last)
            }
        })
    }

    /// The next event of a kind in the thread or task; of one's own code only, if that is wanted.
    fn along(
        &self,
        spot: &Spot,
        kind: EventKind,
        follow: Follow,
        only_mine: bool,
        way: &mut Way,
    ) -> Result<Option<Position>, Error> {
        let task = match follow {
            Follow::Thread => None,
            Follow::Task => self.task(&spot.within, spot.chunk, spot.index)?,
        };
        let (thread, kind) = (spot.thread, kind.number());
        let from = match way.direction {
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
                true => self.look(chunk, &mut way.missing)?,
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
                let from = from.take().unwrap_or(match way.direction {
                    Direction::Forward => 0,
                    Direction::Backward => kinds.len(),
                });
                if let Some(index) = within.nearest(thread, from, way.direction, is_wanted)? {
                    return Ok(Some(self.at(chunk, index)));
                }
            }
            from = None;
            let next = match (task, &within) {
                (Some(task), Some(_)) => self.reach(task, chunk, way.direction)?,
                _ => self.neighbour(chunk, thread, way.direction),
            };
            let Some(next) = next else { return Ok(None) };
            chunk = next;
        }
    }

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

    /// The next line of a call beyond one, or any of whom it is left to.
    fn over(&self, spot: Spot, call: CallId, beyond: u32, way: &mut Way) -> Result<Found, Error> {
        let (mut spot, mut call) = (spot, call);
        let beyond = Cell::new(beyond);
        let is_line = |kind: u8, line: u32| kind == EventKind::LINE.number() && line > beyond.get();
        let mut wanted = Wanted { is_it: &is_line, may_be_in: &mut |_| Ok(true) };
        loop {
            match self.own(&mut spot, call, &mut wanted, way)? {
                Own::At(found) => return Ok(Found::At(found)),
                Own::Left => beyond.set(0),
                Own::Nowhere => return Ok(Found::Edge(None)),
            }
            let Some(caller) = spot.frame.and_then(|frame| spot.within.caller(frame)) else {
                return Ok(Found::Edge(Some(self.at(spot.chunk, spot.index))));
            };
            call = spot.within.call_of(caller);
            spot.frame = Some(caller);
        }
    }

    /// The next event of a call that is wanted. If there is none, `spot` becomes the event that ends
    /// or begins it, with its frame.
    pub(super) fn own(
        &self,
        spot: &mut Spot,
        call: CallId,
        wanted: &mut Wanted<'_>,
        way: &mut Way,
    ) -> Result<Own, Error> {
        let forward = way.direction == Direction::Forward;
        // Where it was suspended last.
        let mut suspended = None;
        if let Some(own) = spot.within.frame_at(spot.index)?
            && spot.within.call_of(own) == call
        {
            match spot.within.kind(spot.index)? {
                Some(EventKind::PY_RETURN | EventKind::PY_UNWIND) if forward => {
                    return Ok(Own::Left);
                }
                Some(EventKind::PY_YIELD) if forward => {
                    suspended = Some(self.at(spot.chunk, spot.index));
                }
                _ if !forward && self.at(spot.chunk, spot.index).seq() == call.cast_signed() => {
                    return Ok(Own::Left);
                }
                _ => {}
            }
        }
        let mut from = if forward { spot.index + 1 } else { spot.index };
        loop {
            match spot.within.event_of(call, from, way.direction, wanted.is_it)? {
                Some(Met::Event(index)) => return Ok(Own::At(self.at(spot.chunk, index))),
                Some(Met::End(index) | Met::Start(index)) => {
                    spot.index = index;
                    spot.frame = spot.within.frame_at(index)?;
                    spot.thread = spot.within.context(index)?.map_or(spot.thread, |(t, _)| t);
                    return Ok(Own::Left);
                }
                Some(Met::Suspended(index)) => suspended = Some(self.at(spot.chunk, index)),
                None => {}
            }
            let mut next = self.reach(call, spot.chunk, way.direction)?;
            while let Some(chunk) = next
                && !(wanted.may_be_in)(chunk)?
            {
                next = self.reach(call, chunk, way.direction)?;
            }
            let next = self.readable(next, way)?;
            let Some((chunk, within)) = next else { break };
            (spot.chunk, spot.within) = (chunk, within);
            from = if forward { 0 } else { spot.within.events()? };
        }
        // It never goes on.
        let Some(left) = suspended.map(|at| self.spot(at, &mut way.missing)).transpose()?.flatten()
        else {
            return Ok(Own::Nowhere);
        };
        *spot = left;
        Ok(Own::Left)
    }

    /// A chunk, or if it cannot be read the nearest that can: beyond the damage, any may know the call.
    fn readable(
        &self,
        chunk: Option<usize>,
        way: &mut Way,
    ) -> Result<Option<(usize, Within)>, Error> {
        let Some(next) = chunk else { return Ok(None) };
        if let Some(within) = self.look(next, &mut way.missing)? {
            return Ok(Some((next, within)));
        }
        let state = self.state();
        let chunks = state.chunks_of(self.store.chunks()[next].process_id);
        let here = chunks.partition_point(|index| *index < next);
        let beyond: Box<dyn Iterator<Item = &usize>> = match way.direction {
            Direction::Forward => Box::new(chunks.iter().skip(here + 1)),
            Direction::Backward => Box::new(chunks[..here].iter().rev()),
        };
        for chunk in beyond {
            if let Some(within) = self.look(*chunk, &mut way.missing)? {
                return Ok(Some((*chunk, within)));
            }
        }
        Ok(None)
    }

    /// The end of a call; backwards, the line it was made from.
    fn out(&self, spot: Spot, call: CallId, way: &mut Way) -> Result<Found, Error> {
        match way.direction {
            Direction::Forward => self.end(spot, call, way),
            Direction::Backward => self.call_site(&spot, call, way),
        }
    }

    fn end(&self, spot: Spot, call: CallId, way: &mut Way) -> Result<Found, Error> {
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
            let next = self.readable(next, way)?;
            let Some((chunk, within)) = next else { return Ok(Found::Edge(None)) };
            (spot.chunk, spot.within, from) = (chunk, within, 0);
        }
    }

    /// The line a call was made from.
    fn call_site(&self, spot: &Spot, call: CallId, way: &mut Way) -> Result<Found, Error> {
        let begins = Position::new(call.cast_signed());
        let is_before = self.at(spot.chunk, spot.index) < begins;
        if is_before || self.store.locate(self.run_id, begins.seq()).is_none() {
            return Ok(Found::Edge(None));
        }
        let Some(mut start) = self.spot(begins, &mut way.missing)? else {
            return Ok(Found::Edge(None));
        };
        let Some(caller) = start.frame.and_then(|frame| start.within.caller(frame)) else {
            return Ok(Found::Edge(Some(begins)));
        };
        let call = start.within.call_of(caller);
        start.frame = Some(caller);
        self.over(start, call, 0, way)
    }

    /// The last event of a position's thread in a direction; the position itself if that is it.
    fn utmost(&self, from: Position, direction: Direction) -> Result<Position, Error> {
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

    /// From a position whose chunk is damaged: the nearest event that can be read.
    fn out_of_damage(&self, from: Position, mut way: Way) -> Result<Moved, Error> {
        let Some((chunk, _)) = self.store.locate(self.run_id, from.seq()) else {
            return Ok(way.no_more(from));
        };
        let of_run = |index: &usize| self.store.chunks()[*index].run_id == self.run_id;
        let beyond: Box<dyn Iterator<Item = usize>> = match way.direction {
            Direction::Forward => Box::new(chunk + 1..self.store.chunks().len()),
            Direction::Backward => Box::new((0..chunk).rev()),
        };
        for next in beyond.take_while(of_run) {
            if let Some(within) = self.look(next, &mut way.missing)? {
                let index = match way.direction {
                    Direction::Forward => 0,
                    Direction::Backward => within.events()?.saturating_sub(1),
                };
                return Ok(way.arrived(self.at(next, index)));
            }
        }
        Ok(way.no_more(from))
    }
}
