//! Measures what the recorder process costs per event:
//! `cargo bench -p dashcam-recorder --bench writer`.
//!
//! First it measures the drain and the encoder alone. The best of 15 rounds is their cost on a
//! machine with nothing else to do. Then it measures the whole writer: a producer thread copies
//! words into the ring as fast as it can, so the writer is the bottleneck. CPU time is per thread,
//! as the kernel counts it.
//!
//! The words are those of a made-up program. Optional arguments: millions of events, MiB of the
//! ring, and a recording whose last run is used in place of the made-up program.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod recorded;
mod stream;

use dashcam_recorder::ring::{self, Clock as RingClock, Producer};
use dashcam_recorder::writer::measure::Stages;
use dashcam_recorder::writer::{About, Clock, Database, End, Recording, Run, sys};
use std::collections::BTreeMap;
use std::time::Instant;
use stream::Stream;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(100) * 1_000_000;
    let mib = numbers.get(1).copied().unwrap_or(16) as usize;

    let recording = std::env::args().find(|word| word.ends_with(".db"));
    let (mut prologue, body) = match recording {
        Some(path) => recorded::read(&path),
        None => {
            let prologue = Stream::prologue();
            let mut body = prologue.clone();
            body.words.clear();
            body.calls(4_000_000);
            (prologue, body)
        }
    };
    alone(&prologue, &body);
    let per_kind: Vec<String> = body
        .events
        .iter()
        .map(|(kind, count)| {
            let kind = dashcam_schema::EventKind::from_number(*kind).unwrap();
            format!("{kind:?} {:.1} %", *count as f64 * 100.0 / body.len() as f64)
        })
        .collect();
    println!("{}", per_kind.join(", "));

    let folder = std::env::temp_dir().join(format!("dashcam-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("bench.db");
    let about = About { command: "[]".into(), cwd: "/".into(), code: None };
    let run = Run::begin(Database::open(&path).unwrap(), &about).unwrap();
    let (ring, _file) = ring::create(mib << 18).unwrap();
    let recording = Recording::start(run, &about, ring, None, Clock::start()).unwrap();

    prologue.set_clock(sys::monotonic_ns());
    let began = Instant::now();
    let producer = std::thread::spawn(move || {
        let mut producer = Producer::new(ring, RingClock::Monotonic);
        push(&mut producer, &prologue.words);
        let mut pushed = 0;
        while pushed < events {
            push(&mut producer, &body.words);
            pushed += body.len();
        }
        (pushed, body.words.len() as f64 / body.len() as f64)
    });
    let (events, words) = producer.join().unwrap();
    recording.flush();
    let took = began.elapsed();
    let cpu = threads();
    let memory = status("VmHWM:");
    let summary =
        recording.finish(End { is_complete: true, exit_code: Some(0), ..End::default() }).unwrap();
    if std::env::var_os("KEEP").is_none() {
        std::fs::remove_dir_all(&folder).unwrap();
    }

    assert_eq!(summary.events, events);
    let per_event = |ns: u64| ns as f64 / events as f64;
    println!("{events} events, {words:.2} words each, {:.2} s", took.as_secs_f64());
    let mut all = 0.0;
    for name in ["drain", "encode", "store"] {
        all += per_event(cpu[name]);
        println!("{name:>8} {:5.2} ns/event", per_event(cpu[name]));
    }
    println!("{:>8} {all:5.2} ns/event", "all");
    println!(
        "{:.3} byte/event, {memory} kB of memory at the most (ring {mib} MiB)",
        summary.database_bytes as f64 / events as f64
    );
}

/// Measures each stage by itself.
fn alone(prologue: &Stream, body: &Stream) {
    let mut stages = Stages::new().unwrap();
    let mut prologue = prologue.clone();
    prologue.set_clock(sys::monotonic_ns() + 1_000_000);
    stages.drain(&prologue.words);
    let mut best = (f64::MAX, f64::MAX, 0);
    for _ in 0..15 {
        let began = Instant::now();
        stages.drain(&body.words);
        let drained = began.elapsed();
        let bytes = stages.encode();
        let encoded = began.elapsed() - drained;
        let per_event = |time: std::time::Duration| time.as_nanos() as f64 / body.len() as f64;
        best = (best.0.min(per_event(drained)), best.1.min(per_event(encoded)), bytes);
    }
    let size = best.2 as f64 / body.len() as f64;
    println!("alone: drain {:.2}, encode {:.2} ns/event, {size:.3} byte/event", best.0, best.1);
}

fn push(producer: &mut Producer, words: &[u32]) {
    // The shim publishes whole records; the reader copes with any cut.
    for part in words.chunks(1024) {
        let pause = || {
            std::thread::sleep(std::time::Duration::from_micros(50));
            Ok(50_000)
        };
        producer.wait(part.len(), pause).unwrap();
        part.iter().for_each(|word| producer.put(*word));
        producer.publish();
    }
}

/// CPU nanoseconds by thread name.
fn threads() -> BTreeMap<String, u64> {
    let mut times = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        let times_text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        let ns = times_text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        *times.entry(name.trim().to_owned()).or_insert(0) += ns;
    }
    times
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
