//! Finds where one process was when another one was at a position.
//!
//! `time_ns` stands still while a process is being recorded, and processes are recorded at the same
//! time. So what happened at the same time in two processes is decided by the system's clock.

use super::{Position, Timeline};
use crate::store::Error;

impl Timeline {
    /// What the system's clock showed at a position, in nanoseconds since the run began. `None` if
    /// there is no such event or its chunk is damaged, which is noted in the store.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn wall_ns(&self, at: Position) -> Result<Option<i64>, Error> {
        let Some((chunk, index)) = self.store.locate(self.run_id, at.seq()) else {
            return Ok(None);
        };
        let Some(within) = self.state().within(chunk)? else { return Ok(None) };
        let time = within.chunk().times()?.get(index).copied().unwrap_or_default();
        let time = i64::try_from(time).unwrap_or(i64::MAX);
        Ok(Some(self.store.chunks()[chunk].wall_ns(index, time)))
    }

    /// The last event of a process up to what is the present at a position, which may be of another
    /// process. `None` if the process had not begun then, or has no events.
    ///
    /// # Errors
    /// If the file cannot be read, or reading was interrupted.
    pub fn last_of_process(
        &self,
        process_id: i64,
        at: Position,
    ) -> Result<Option<Position>, Error> {
        let Some(extent) = self.extent(process_id) else { return Ok(None) };
        if self.extent_at(at).process_id == process_id {
            return Ok(Some(at));
        }
        let Some(now) = self.wall_ns(at)? else { return Ok(Some(extent.first)) };
        let state = self.state();
        let headers = self.store.chunks();
        for &chunk in state.chunks_of(process_id).iter().rev() {
            let header = &headers[chunk];
            if header.first_wall_ns > now {
                continue;
            }
            if header.last_wall_ns <= now {
                return Ok(Some(Position::new(header.last_seq)));
            }
            let Some(within) = state.within(chunk)? else { continue };
            let times = within.chunk().times()?;
            let wall = |index: usize| {
                let time = times.get(index).copied().unwrap_or_default();
                header.wall_ns(index, i64::try_from(time).unwrap_or(i64::MAX))
            };
            // The clock does not go back.
            let (mut low, mut high) = (0, times.len());
            while low < high {
                let middle = low + (high - low) / 2;
                match wall(middle) <= now {
                    true => low = middle + 1,
                    false => high = middle,
                }
            }
            if let Some(last) = low.checked_sub(1) {
                return Ok(Some(self.at(chunk, last)));
            }
        }
        Ok(None)
    }
}
