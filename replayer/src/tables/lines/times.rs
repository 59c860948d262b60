//! How long each line of a file took.
//!
//! The clock is read where functions are entered and left and where they call, not at every line.
//! The time between two readings is divided equally among the lines that began in between. If none
//! began, it belongs to the line of the later event, or to the line of the earlier event if the
//! later one enters a function.

use super::super::question::code;
use crate::store::texts::TextId;
use crate::store::{Error, Process, Step, Store};
use dashcam_schema::calls::Site;
use dashcam_schema::event::{EventKind, kinds_that};
use rustc_hash::{FxHashMap, FxHashSet};

/// Nanoseconds by path and line.
pub(super) type Times = FxHashMap<(TextId, i64), u64>;

const LINE: u8 = EventKind::LINE.number();

/// The times of the lines of these files.
pub(super) fn of_files(store: &Store, run_id: i64, paths: &[TextId]) -> Result<Times, Error> {
    let mut times = Times::default();
    let mut clocks: FxHashMap<i64, Clock> = FxHashMap::default();
    let chunks = store.chunks();
    let of_run: Vec<usize> =
        (0..chunks.len()).filter(|index| chunks[*index].run_id == run_id).collect();
    for (done, index) in of_run.iter().enumerate() {
        store.progress(done, of_run.len());
        let header = &chunks[*index];
        let process = store.process(header);
        let clock = clocks.entry(header.process_id).or_insert_with(|| {
            let numbers = process
                .codes
                .iter()
                .filter(|(_, index)| paths.contains(&store.directory().codes[**index].path));
            Clock::new(numbers.map(|(number, _)| *number).collect())
        });
        if !header.has_code(clock.codes.iter().copied()) {
            clock.forget();
            continue;
        }
        let read =
            store.recorded(*index).and_then(|recorded| recorded.each(|step| clock.take(step)));
        if let Err(error) = read {
            clock.forget();
            store.note(*index, error)?;
        }
    }
    for (process_id, clock) in clocks {
        clock.add_to(&mut times, store, &store.directory().processes[&process_id]);
    }
    Ok(times)
}

/// The time that passed between clock readings in one process.
struct Clock {
    /// Numbers of the code objects whose lines are wanted.
    codes: FxHashSet<u32>,
    /// The last reading, and the event where it was made.
    last: Option<(u64, Site)>,
    /// Wanted lines that began since then: code object, line, how often. Other lines are only
    /// counted.
    begun: Vec<(u32, u32, u64)>,
    index: FxHashMap<(u32, u32), usize>,
    others: u64,
    /// Nanoseconds by code object and line.
    times: FxHashMap<(u32, u32), u64>,
    /// Nanoseconds by site, where no line began.
    sites: FxHashMap<(u32, u8, u32), u64>,
    timed: u32,
    enters: u32,
}

/// Up to this many lines are searched in order; more are looked up in `index`.
const LISTED: usize = 16;

impl Clock {
    fn new(codes: FxHashSet<u32>) -> Clock {
        let enters = [EventKind::PY_START, EventKind::PY_RESUME, EventKind::PY_THROW];
        Clock {
            codes,
            last: None,
            begun: Vec::new(),
            index: FxHashMap::default(),
            others: 0,
            times: FxHashMap::default(),
            sites: FxHashMap::default(),
            timed: kinds_that(EventKind::is_timed),
            enters: enters.iter().fold(0, |mask, kind| mask | 1 << kind.number()),
        }
    }

    fn forget(&mut self) {
        self.last = None;
        self.clear();
    }

    fn clear(&mut self) {
        self.begun.clear();
        self.index.clear();
        self.others = 0;
    }

    fn take(&mut self, step: &Step<'_>) {
        let mut lines = 0;
        let is_wanted = self.codes.contains(&step.derived_code);
        for (kind, line) in step.derived_kinds.iter().zip(step.derived_places) {
            if *kind == LINE {
                lines += 1;
                if is_wanted {
                    self.begin(step.derived_code, *line);
                }
            }
        }
        if !is_wanted {
            self.others += lines;
        }
        if step.site.kind == LINE {
            match self.codes.contains(&step.site.code) {
                true => self.begin(step.site.code, step.site.place),
                false => self.others += 1,
            }
        }
        if self.timed >> step.site.kind & 1 == 0 {
            return;
        }
        if let Some((before, site)) = self.last {
            let passed = step.time_ns.saturating_sub(before);
            let is_entered = self.enters >> step.site.kind & 1 == 1;
            self.share(passed, if is_entered { site } else { step.site });
        }
        self.last = Some((step.time_ns, step.site));
        self.clear();
    }

    /// Notes that a wanted line begins.
    fn begin(&mut self, code: u32, line: u32) {
        let known = match self.begun.len() {
            0..=LISTED => self.begun.iter().rposition(|(c, l, _)| (*c, *l) == (code, line)),
            _ => self.index.get(&(code, line)).copied(),
        };
        if let Some(at) = known {
            self.begun[at].2 += 1;
            return;
        }
        self.begun.push((code, line, 1));
        if self.begun.len() > LISTED {
            let new = self.begun.iter().enumerate().skip(self.index.len());
            self.index.extend(new.map(|(at, (code, line, _))| ((*code, *line), at)));
        }
    }

    /// Divides the time among the lines that began, or adds it to the site if none did.
    fn share(&mut self, passed: u64, site: Site) {
        let all = self.begun.iter().map(|(.., count)| count).sum::<u64>() + self.others;
        if all == 0 {
            if self.codes.contains(&site.code) {
                *self.sites.entry((site.code, site.kind, site.place)).or_default() += passed;
            }
            return;
        }
        // The remainder of the division goes to the first lines, so that no time is lost.
        let (mut left, mut of) = (passed, all);
        for (code, line, count) in &self.begun {
            let part = (u128::from(left) * u128::from(*count) / u128::from(of)) as u64;
            *self.times.entry((*code, *line)).or_default() += part;
            (left, of) = (left - part, of - count);
        }
    }

    fn add_to(self, times: &mut Times, store: &Store, process: &Process) {
        let sites = self.sites.into_iter().filter_map(|((number, kind, place), passed)| {
            let line = store.line(process, Site { code: number, kind, place })?;
            Some((number, line, passed))
        });
        let begun = self.times.into_iter();
        let begun = begun.map(|((number, line), passed)| (number, i64::from(line), passed));
        for (number, line, passed) in begun.chain(sites) {
            if let Some(code) = code(store, process, number) {
                *times.entry((code.path, line)).or_default() += passed;
            }
        }
    }
}
