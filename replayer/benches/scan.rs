//! The speed of SQL over a recording, compared with the same SQLite over `generate_series`.
//!
//! ```text
//! cargo bench -p dashcam-replayer --bench scan [-- EVENTS]
//! ```
//!
//! The recording is synthetic: loops over functions of some forty instructions, with occasional
//! calls, in the mix of kinds that a direct recording has.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use dashcam_replayer::Recording;
use dashcam_schema::chunk::EVENTS_MAX;
use dashcam_schema::event::EventKind as K;
use rusqlite::Connection;
use std::time::{Duration, Instant};
use support::{Ev, Maker, ev};

const EVENTS: usize = 50_000_000;
const FUNCTIONS: u32 = 40;
const UNITS: u32 = 60;

fn main() {
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let events: usize = asked.unwrap_or(EVENTS);
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let path = make(dir.path(), events);
    let bytes = std::fs::metadata(&path).unwrap().len() as f64;
    println!(
        "{events} events, {:.3} bytes each, made in {:.1?}",
        bytes / events as f64,
        begun.elapsed()
    );
    let begun = Instant::now();
    let recording = Recording::open(&path).unwrap();
    println!("opened in {:.2?}\n", begun.elapsed());
    let db = recording.connection();

    println!("{:<66} {:>9} {:>11} {:>6}", "", "seconds", "M events/s", "ratio");
    let n = events as f64;
    let line = format!("SELECT count(*) FROM events WHERE kind = 'LINE' AND line = {}", line(3, 8));
    report(db, &line, n);
    report(db, "SELECT count(*) FROM events WHERE kind = 'CALL' AND code_id = 5", n);
    report(db, "SELECT count(*) FROM events WHERE line = 512", n);
    report(db, "SELECT count(*) FROM events WHERE callable = 'len'", n);
    report(db, "SELECT count(*) FROM events", n);
    let series = Connection::open_in_memory().unwrap();
    rusqlite::vtab::series::load_module(&series).unwrap();
    for (ours, theirs) in [
        ("SELECT sum(time_ns) FROM events", "SELECT sum(value) FROM generate_series(1, {})"),
        (
            "SELECT kind, count(*) FROM events GROUP BY kind",
            "SELECT value % 19 AS k, count(*) FROM generate_series(1, {}) GROUP BY k",
        ),
        (
            "SELECT code_id, count(*) FROM events GROUP BY code_id",
            "SELECT value % 40 AS k, count(*) FROM generate_series(1, {}) GROUP BY k",
        ),
    ] {
        let theirs = theirs.replace("{}", &events.to_string());
        // Alternately, so that other load on the machine affects both.
        let (mut reference, mut best) = (Duration::MAX, Duration::MAX);
        for _ in 0..3 {
            reference = reference.min(time(&series, &theirs));
            best = best.min(time(db, ours));
        }
        show(ours, best, n, Some(reference));
        println!("{theirs:<66} {:>9.3} {:>11.1}", reference.as_secs_f64(), rate(n, reference));
    }
    report(db, "SELECT sum(self_ns) FROM calls", n);
    report(db, "SELECT sum(self_ns) FROM calls WHERE qualname = 'rare'", n);
    report(db, "SELECT count(*) FROM exceptions", n);
}

fn time(db: &Connection, sql: &str) -> Duration {
    let begun = Instant::now();
    support::rows(db, sql);
    begun.elapsed()
}

fn rate(events: f64, time: Duration) -> f64 {
    events / time.as_secs_f64() / 1e6
}

fn report(db: &Connection, sql: &str, events: f64) {
    let best = (0..3).map(|_| time(db, sql)).min().unwrap();
    show(sql, best, events, None);
}

fn show(sql: &str, time: Duration, events: f64, reference: Option<Duration>) {
    let ratio = reference.map_or(String::new(), |reference| {
        format!("{:.2}", reference.as_secs_f64() / time.as_secs_f64())
    });
    println!("{sql:<66} {:>9.3} {:>11.1} {ratio:>6}", time.as_secs_f64(), rate(events, time));
}

fn line(function: u32, unit: u32) -> u32 {
    100 * function + unit / 4 + 1
}

/// A cheap generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % n
    }
}

fn make(dir: &std::path::Path, events: usize) -> std::path::PathBuf {
    let mut maker = Maker::new(dir);
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, Some("MainThread"));
    maker.callable(&process, 0, "len");
    maker.callable(&process, 1, "list.append");
    for function in 0..=FUNCTIONS {
        let lines: Vec<u32> = (0..UNITS).map(|unit| line(function, unit)).collect();
        let name = if function == FUNCTIONS { "rare".to_owned() } else { format!("f{function}") };
        maker.code(&process, function, "/app/bench.py", &name, &lines);
    }
    let mut random = Random(88172645463325252);
    let mut buffer = Vec::with_capacity(EVENTS_MAX * 2);
    let mut made = 0;
    buffer.push(ev(K::PY_START, 0, 0).after(50));
    while made < events {
        while buffer.len() < EVENTS_MAX {
            let rare = made == EVENTS_MAX * 7 && buffer.len() < 1000;
            let function = if rare { FUNCTIONS } else { 1 + random.below(FUNCTIONS - 1) };
            call(&mut buffer, &mut random, 0, function);
        }
        let take = (events - made).min(EVENTS_MAX);
        maker.chunk(&mut process, &buffer[..take]);
        buffer.drain(..take);
        made += take;
    }
    maker.finish()
}

/// A call of `function` from `caller`: prologue, some iterations of a loop, return.
fn call(events: &mut Vec<Ev>, random: &mut Random, caller: u32, function: u32) {
    let mut some = |n| u64::from(random.below(n));
    events.push(ev(K::CALL, caller, 12).calls(2 + function).after(80 + some(200)));
    events.push(ev(K::PY_START, function, 0).after(40 + some(50)));
    for _ in 0..1 + some(6) {
        for unit in 4..30 {
            if unit % 4 == 0 {
                events.push(ev(K::LINE, function, line(function, unit)));
            }
            if unit % 5 != 3 {
                events.push(ev(K::INSTRUCTION, function, unit));
            }
            match unit {
                9 => {
                    events.push(ev(K::CALL, function, unit).calls(some(2) as u32).after(30));
                    events.push(ev(K::C_RETURN, function, unit).calls(0).after(20 + some(100)));
                }
                15 => events.push(ev(K::BRANCH, function, unit).target(17 + 2 * some(2) as u32)),
                29 => events.push(ev(K::JUMP, function, unit).target(4)),
                _ => {}
            }
        }
    }
    events.push(ev(K::PY_RETURN, function, 40).after(20 + some(30)));
}
