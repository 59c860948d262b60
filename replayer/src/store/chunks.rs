//! The rows of `chunks` without their data: what a scan can decide on without decompressing.

use super::Directory;
use dashcam_schema::chunk::{EVENTS_MAX, Statistics};
use rusqlite::{Connection, Row};

/// One row of `chunks`.
#[derive(Debug)]
pub struct ChunkHeader {
    pub chunk_id: i64,
    pub run_id: i64,
    pub process_id: i64,
    pub first_seq: i64,
    /// `first_seq + events - 1`
    pub last_seq: i64,
    pub events: usize,
    pub first_ns: i64,
    pub last_ns: i64,
    /// What the clock showed at these times: the program's own time plus what recording took
    /// before.
    pub first_wall_ns: i64,
    pub last_wall_ns: i64,
    /// A bit for each event kind that occurs.
    pub kinds: u32,
    /// Number of events with an ordinal in its process before the chunk.
    pub first_ordinal: i64,
    /// Ties the row to its data.
    pub header_xxh3: i64,
    /// Numbers of its threads and code objects, ascending.
    pub threads: Box<[u32]>,
    pub codes: Box<[u32]>,
}

/// The chunks of all runs, by run and position.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) chunks: Vec<ChunkHeader>,
    /// Chunks whose row is invalid: the id, and what is wrong.
    pub(super) impossible: Vec<(i64, String)>,
}

impl Headers {
    pub(super) fn load(
        connection: &Connection,
        directory: &Directory,
    ) -> rusqlite::Result<Headers> {
        let sql = "SELECT chunk_id, run_id, process_id, first_seq, event_count, first_ns, last_ns,
                          kinds, first_ordinal, threads, codes, row_xxh3, header_xxh3,
                          first_wall_ns, last_wall_ns
                   FROM main.chunks ORDER BY run_id, first_seq";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut headers = Headers::default();
        let mut end = (i64::MIN, 0);
        while let Some(row) = rows.next()? {
            let chunk_id = row.get(0)?;
            match header(row) {
                Ok(chunk) if directory.run_of(chunk.process_id) != Some(chunk.run_id) => {
                    let what = format!("no process {} in run {}", chunk.process_id, chunk.run_id);
                    headers.impossible.push((chunk_id, what));
                }
                Ok(chunk) if (chunk.run_id, chunk.first_seq) > end => {
                    end = (chunk.run_id, chunk.last_seq);
                    headers.chunks.push(chunk);
                }
                Ok(chunk) => headers.impossible.push((
                    chunk_id,
                    format!("events {}.. overlap the chunk before", chunk.first_seq),
                )),
                Err(what) => headers.impossible.push((chunk_id, what)),
            }
        }
        Ok(headers)
    }
}

fn header(row: &Row<'_>) -> Result<ChunkHeader, String> {
    let integer = |column: usize, name: &str, max: i64| {
        let value: i64 = row.get(column).map_err(|_| format!("{name} is not a number"))?;
        if (0..=max).contains(&value) { Ok(value) } else { Err(format!("{name} is {value}")) }
    };
    let numbers = |column: usize, name: &str| {
        let value = row.get_ref(column).map_err(|_| format!("no {name}"))?;
        let bytes = value.as_blob().map_err(|_| format!("{name} is not a blob"))?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        let numbers: Box<[u32]> = numbers.iter().map(|n| u32::from_le_bytes(*n)).collect();
        if rest.is_empty() && numbers.is_sorted() {
            Ok(numbers)
        } else {
            Err(format!("{name} is not a list of ascending numbers"))
        }
    };

    let first_seq = integer(3, "first_seq", i64::MAX >> 1)?;
    let events = integer(4, "event_count", EVENTS_MAX as i64)?;
    if events == 0 {
        return Err("event_count is 0".to_owned());
    }
    let header = ChunkHeader {
        chunk_id: integer(0, "chunk_id", i64::MAX)?,
        run_id: integer(1, "run_id", i64::MAX)?,
        process_id: integer(2, "process_id", i64::MAX)?,
        first_seq,
        last_seq: first_seq + events - 1,
        events: events as usize,
        first_ns: integer(5, "first_ns", i64::MAX)?,
        last_ns: integer(6, "last_ns", i64::MAX)?,
        first_wall_ns: integer(13, "first_wall_ns", i64::MAX)?,
        last_wall_ns: integer(14, "last_wall_ns", i64::MAX)?,
        kinds: integer(7, "kinds", u32::MAX.into())? as u32,
        first_ordinal: integer(8, "first_ordinal", i64::MAX)?,
        header_xxh3: row.get(12).map_err(|_| "header_xxh3 is not a number".to_owned())?,
        threads: numbers(9, "threads")?,
        codes: numbers(10, "codes")?,
    };
    check(row)?;
    Ok(header)
}

/// Checks that the row is as it was written, because a scan skips chunks by their rows.
fn check(row: &Row<'_>) -> Result<(), String> {
    let integer = |column: usize| row.get::<_, i64>(column);
    let blob = |column: usize| row.get::<_, Vec<u8>>(column);
    let fits = || -> rusqlite::Result<bool> {
        let statistics = Statistics {
            run_id: integer(1)?,
            process_id: integer(2)?,
            first_seq: integer(3)?,
            event_count: integer(4)?,
            first_ns: integer(5)?,
            last_ns: integer(6)?,
            first_wall_ns: integer(13)?,
            last_wall_ns: integer(14)?,
            kinds: integer(7)?,
            first_ordinal: integer(8)?,
            header_xxh3: integer(12)?,
            threads: &blob(9)?,
            codes: &blob(10)?,
        };
        Ok(statistics.xxh3() == integer(11)?)
    };
    if fits().unwrap_or(false) { Ok(()) } else { Err("row: checksum mismatch".to_owned()) }
}

impl ChunkHeader {
    /// What the clock showed at the chunk's event with this index, whose own time is `time_ns`. The
    /// time that recording took is spread evenly over the events.
    pub fn wall_ns(&self, index: usize, time_ns: i64) -> i64 {
        let took_before = self.first_wall_ns.saturating_sub(self.first_ns);
        let took_within =
            self.last_wall_ns.saturating_sub(self.last_ns).saturating_sub(took_before);
        let last = self.events.saturating_sub(1).max(1) as i128;
        let share = i128::from(took_within) * index as i128 / last;
        time_ns.saturating_add(took_before).saturating_add(share as i64)
    }

    /// Whether any of these numbers, which ascend, is that of one of its code objects.
    pub fn has_code(&self, numbers: impl IntoIterator<Item = u32>) -> bool {
        numbers.into_iter().any(|number| self.codes.binary_search(&number).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_time_is_spread_over_a_chunk() {
        let header = ChunkHeader {
            chunk_id: 1,
            run_id: 1,
            process_id: 1,
            first_seq: 1,
            last_seq: 11,
            events: 11,
            first_ns: 1000,
            last_ns: 2000,
            first_wall_ns: 1500,
            last_wall_ns: 7500,
            kinds: 0,
            first_ordinal: 0,
            header_xxh3: 0,
            threads: [0].into(),
            codes: [0].into(),
        };
        let walls = [(0, 1000), (5, 1100), (10, 2000)].map(|(at, ns)| header.wall_ns(at, ns));
        assert_eq!(walls, [1500, 1100 + 500 + 2500, 7500]);
    }
}
