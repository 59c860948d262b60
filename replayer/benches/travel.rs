//! The time to go to a position in a large recording and read the variables there.
//!
//! ```text
//! make bench-large
//! cargo bench -p dashcam-replayer --bench travel -- RECORDING [PLACES]
//! ```
//!
//! Cold means one new process for each position: it opens the file and reads one position; the
//! pages of the file may be in the system's cache. Everything else runs in one process. Positions
//! are LINE events, the same ones every time. Beside the elapsed times are the thread's processor
//! times, which a busy machine disturbs less.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use dashcam_replayer::Recording;
use dashcam_replayer::state::State;
use dashcam_replayer::store::Store;
use dashcam_replayer::timeline::{Direction, Event, Follow, Position, Step, Timeline};
use dashcam_schema::event::EventKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The name of the row in which a cold process reports how much memory it used.
const MEMORY: &str = "memory";
/// The default number of positions.
const PLACES: usize = 60;
/// The number of lines visited forwards and backwards from each position.
const STEPS: usize = 40;
/// Makes the process read one position, with the innermost frame or all frames, and print the time
/// of each question.
const COLD: [&str; 2] = ["--innermost", "--whole"];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match &arguments[..] {
        [flag, path, seq] if COLD.contains(&&flag[..]) => {
            cold(path.as_ref(), seq.parse().unwrap(), flag == COLD[1])
        }
        [path] => travel(path.as_ref(), PLACES),
        [path, places] => travel(path.as_ref(), places.parse().unwrap()),
        _ => println!("usage: travel RECORDING [PLACES]"),
    }
}

fn travel(path: &Path, places: usize) {
    let store = Store::open(path).unwrap();
    let events: usize = store.chunks().iter().map(|chunk| chunk.events).sum();
    let bytes = std::fs::metadata(path).unwrap().len();
    println!(
        "{events} events in {} chunks, {} of values, {:.1} MB",
        store.chunks().len(),
        store.value_chunks().len(),
        bytes as f64 / 1e6
    );
    let mut random = Random(88172645463325252);
    let places: Vec<i64> = (0..places).map(|_| line(&store, random.below(events))).collect();
    drop(store);
    println!(
        "\n{:<60} {:>8} {:>8} {:>8}   {:>8} {:>8} {:>8}",
        "milliseconds", "median", "p99", "most", "median", "p99", "most of processor"
    );
    let mut memory = measure_cold(path, &places);
    measure_warm(path, &places);
    measure_moves(path, &places);
    memory.push(peak_memory());
    let memory = memory.into_iter().fold(0.0, f64::max);
    println!("\nmost memory of a process: {memory:.0} MB");
}

/// Measures each position in a new process. Returns the memory that each used, in megabytes.
fn measure_cold(path: &Path, places: &[i64]) -> Vec<f64> {
    let mut table = Table::default();
    let mut memory = Vec::new();
    for (flag, seq) in COLD.into_iter().flat_map(|flag| places.iter().map(move |seq| (flag, seq))) {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.arg(flag).arg(path).arg(seq.to_string()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for row in String::from_utf8(output.stdout).unwrap().lines() {
            let [name, time, processor] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            if name == MEMORY {
                memory.push(time.parse().unwrap());
                continue;
            }
            let nanos = |text: &str| Duration::from_nanos(text.parse().unwrap());
            table.add(name, Sample { time: nanos(time), processor: nanos(processor) });
        }
    }
    table.print();
    memory
}

/// The work of the process for one cold position.
fn cold(path: &Path, seq: i64, is_whole: bool) {
    let mut table = Table::default();
    let whole = Clock::start();
    let store = table.time("cold: open", || Store::open(path).unwrap());
    let state = State::of(&store);
    let run = run_of(&store, seq);
    table.time("cold: stack_at", || state.stack_at(run, seq).unwrap());
    if is_whole {
        state.locals_at(run, seq, None).unwrap();
        table = Table::default();
        table.add("cold: open, stack and all its variables", whole.sample());
    } else {
        table.time("cold: locals_at, innermost", || state.locals_at(run, seq, Some(0)).unwrap());
        table.add("cold: open, stack and innermost variables", whole.sample());
    }
    for (name, samples) in &table.rows {
        println!("{name}\t{}\t{}", samples[0].time.as_nanos(), samples[0].processor.as_nanos());
    }
    println!("{MEMORY}\t{}\t", peak_memory());
}

/// Measures all positions in one process, and the lines around each.
fn measure_warm(path: &Path, places: &[i64]) {
    let mut table = Table::default();
    let store = Store::open(path).unwrap();
    let state = State::of(&store);
    for seq in places {
        let run = run_of(&store, *seq);
        table.time("random: stack and innermost variables", || {
            (state.stack_at(run, *seq).unwrap(), state.locals_at(run, *seq, Some(0)).unwrap())
        });
        for near in lines_around(&store, *seq) {
            table.time("neighbour: stack and innermost variables", || {
                (state.stack_at(run, near).unwrap(), state.locals_at(run, near, Some(0)).unwrap())
            });
        }
        table.time("random: locals_at, whole stack, after that", || {
            state.locals_at(run, *seq, None).unwrap()
        });
        for near in lines_around(&store, *seq) {
            table.time("neighbour: locals_at, whole stack", || {
                state.locals_at(run, near, None).unwrap()
            });
        }
    }
    // Reads each chunk for the first time.
    let store = Store::open(path).unwrap();
    let state = State::of(&store);
    for header in store.chunks() {
        table.time("chunk after chunk: stack", || {
            state.stack_at(header.run_id, header.last_seq).unwrap()
        });
    }
    table.print();
}

/// Measures the eight steps from each position, repeated steps, distant breakpoints, and last and
/// next writes.
fn measure_moves(path: &Path, places: &[i64]) {
    const DIRECTIONS: [(Direction, &str); 2] =
        [(Direction::Forward, ""), (Direction::Backward, "back-")];
    const KINDS: [(Step, &str); 4] = [
        (Step::Into, "step"),
        (Step::Over, "next"),
        (Step::Out, "finish"),
        (Step::Instruction, "stepi"),
    ];
    let mut table = Table::default();
    let recording = Recording::open(path).unwrap();
    let store = recording.store();
    let timeline = Timeline::new(store.clone(), run_of(store, places[0])).unwrap();
    let all = |_: usize, _: Position| Ok::<_, dashcam_replayer::Error>(true);
    for (direction, back) in DIRECTIONS {
        for (kind, name) in KINDS {
            for seq in places {
                let mut at = timeline.position(*seq);
                read_position(&timeline, at);
                for _ in 0..STEPS {
                    let moved = table.time(&format!("{back}{name}"), || {
                        timeline.step(at, kind, direction, Follow::Thread).unwrap()
                    });
                    at = moved.to;
                    // The user takes the step to see the state there.
                    table.time("stack and innermost variables after a step", || {
                        read_position(&timeline, at)
                    });
                }
            }
        }
    }
    let first = [Event::Call { codes: timeline.codes_of_function("Shop.__init__") }];
    let seldom = [Event::Call { codes: timeline.codes_of_function("Shortage.__init__") }];
    for (name, event) in [("begun once, at the start", &first), ("that is seldom", &seldom)] {
        // The first search finds out which events each chunk can have; the others know that.
        for (time, fraction) in [("first", 0.9), ("again", 0.6), ("again", 0.5)] {
            let from = timeline.at_fraction(fraction, timeline.first());
            table.time(&format!("back-continue to a function {name}, {time}"), || {
                timeline.resume(from, Direction::Backward, event, all).unwrap()
            });
        }
    }
    for seq in places {
        let at = timeline.position(*seq);
        let names = timeline.state().locals_at(timeline.run_id(), *seq, Some(0)).unwrap();
        for variable in names.iter().take(3) {
            for (direction, name) in
                [(Direction::Backward, "last-write"), (Direction::Forward, "next-write")]
            {
                table.time(&format!("{name} of a local"), || {
                    let target = timeline.target(at, 0, &variable.name).ok()?;
                    timeline.written(&target, at, direction).unwrap()
                });
            }
        }
        table.time("last-write of a global, written at the start", || {
            let target = timeline.target(at, 0, "Shop").ok()?;
            timeline.written(&target, at, Direction::Backward).unwrap()
        });
    }
    table.print();
}

/// Reads what a debugger shows at a position.
fn read_position(timeline: &Timeline, at: Position) {
    let (state, run, seq) = (timeline.state(), timeline.run_id(), at.seq());
    state.stack_at(run, seq).unwrap();
    state.locals_at(run, seq, Some(0)).unwrap();
}

/// The elapsed time and processor time of a measurement.
#[derive(Clone, Copy)]
struct Sample {
    time: Duration,
    processor: Duration,
}

struct Clock {
    begun: Instant,
    processor: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock { processor: Clock::processor(), begun: Instant::now() }
    }

    fn sample(&self) -> Sample {
        let time = self.begun.elapsed();
        Sample { time, processor: Clock::processor() - self.processor }
    }

    /// The processor time of this thread so far.
    fn processor() -> Duration {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the clock exists on Linux, and is written to our own variable.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
        assert_eq!(failed, 0);
        Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32)
    }
}

/// Samples by the name of the measurement, in the order of the first samples.
#[derive(Default)]
struct Table {
    rows: Vec<(String, Vec<Sample>)>,
}

impl Table {
    fn add(&mut self, name: &str, sample: Sample) {
        match self.rows.iter_mut().find(|(row, _)| row == name) {
            Some((_, samples)) => samples.push(sample),
            None => self.rows.push((name.to_owned(), vec![sample])),
        }
    }

    fn time<T>(&mut self, name: &str, question: impl FnOnce() -> T) -> T {
        let clock = Clock::start();
        let answer = question();
        self.add(name, clock.sample());
        answer
    }

    fn print(&self) {
        for (name, samples) in &self.rows {
            let [median, p99, most] = quantiles(samples.iter().map(|sample| sample.time));
            print!("{name:<60} {median:>8.2} {p99:>8.2} {most:>8.2}   ");
            let [median, p99, most] = quantiles(samples.iter().map(|sample| sample.processor));
            println!("{median:>8.2} {p99:>8.2} {most:>8.2}");
        }
    }
}

/// Median, 99th percentile and maximum, in milliseconds.
fn quantiles(samples: impl Iterator<Item = Duration>) -> [f64; 3] {
    let mut sorted: Vec<Duration> = samples.collect();
    sorted.sort_unstable();
    let last = (sorted.len() - 1) as f64;
    [0.5, 0.99, 1.0].map(|share| sorted[(last * share).round() as usize].as_secs_f64() * 1e3)
}

/// The run of a position, which is in only one run.
fn run_of(store: &Store, seq: i64) -> i64 {
    let first =
        store.chunks().iter().find(|chunk| (chunk.first_seq..=chunk.last_seq).contains(&seq));
    first.unwrap().run_id
}

/// The first LINE event after this number of events.
fn line(store: &Store, mut events: usize) -> i64 {
    for (index, header) in store.chunks().iter().enumerate() {
        if events < header.events {
            let chunk = store.chunk(index).unwrap();
            let is_line = |kind: &u8| *kind == EventKind::LINE.number();
            if let Some(at) = chunk.kinds().unwrap()[events..].iter().position(is_line) {
                return header.first_seq + (events + at) as i64;
            }
            events = header.events;
        }
        events -= header.events;
    }
    panic!("no LINE event after this position");
}

/// The LINE events of the same thread around one: those after it, forwards, then those before it,
/// backwards.
fn lines_around(store: &Store, seq: i64) -> Vec<i64> {
    let (index, at) = store.locate(run_of(store, seq), seq).unwrap();
    let chunk = store.chunk(index).unwrap();
    let (kinds, contexts) = (chunk.kinds().unwrap(), chunk.contexts().unwrap());
    let thread = |at: usize| chunk.runs().unwrap().contexts[contexts[at] as usize].thread;
    let is_near = |i: &usize| kinds[*i] == EventKind::LINE.number() && thread(*i) == thread(at);
    let after = (at + 1..kinds.len()).filter(is_near).take(STEPS);
    let before = (0..at).rev().filter(is_near).take(STEPS);
    let first_seq = store.chunks()[index].first_seq;
    after.chain(before).map(|at| first_seq + at as i64).collect()
}

/// The most memory this process had, in megabytes.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes / 1e3
}

/// A cheap generator of numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n
    }
}
