//! From any position, a step leads where a search through the whole run leads.
//!
//! Random runs with threads, generators and chunks of any size: the eight steps and breakpoints
//! from random positions are compared with a search through the list of all events.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_replayer::timeline::{Direction, Event, Follow, Position, Step, Timeline, Why};
use dashcam_schema::event::EventKind as K;
use proptest::prelude::*;
use support::{Ev, Maker, ev};

/// The next action of a thread.
#[derive(Debug, Clone, Copy)]
enum Act {
    Line(u32),
    Instruction(u32),
    Call(u32),
    Return,
    Unwind,
    Yield,
    /// Resumes one of the suspended calls.
    Resume(usize),
}

/// Events, each with its call (by the index of the event that began it) and the stack of calls,
/// outermost first.
struct Run {
    events: Vec<Ev>,
    stacks: Vec<Vec<usize>>,
}

fn run(acts: &[(bool, Act)]) -> Run {
    let mut run = Run { events: Vec::new(), stacks: Vec::new() };
    let mut stacks: [Vec<(usize, u32)>; 2] = Default::default();
    let mut suspended: Vec<(usize, u32)> = Vec::new();
    for (second, act) in acts {
        let thread = usize::from(*second);
        let at = run.events.len();
        let stack = &mut stacks[thread];
        let top = stack.last().copied();
        let mut leaves = false;
        let event = match (*act, top) {
            (Act::Call(code), _) | (Act::Line(code) | Act::Instruction(code), None) => {
                stack.push((at, code % 4));
                ev(K::PY_START, code % 4, 0)
            }
            (Act::Line(place), Some((_, code))) => ev(K::LINE, code, place % 6 + 1),
            (Act::Instruction(place), Some((_, code))) => ev(K::INSTRUCTION, code, place % 6),
            (Act::Return, Some((_, code))) => {
                leaves = true;
                ev(K::PY_RETURN, code, 1)
            }
            (Act::Unwind, Some((_, code))) => {
                leaves = true;
                ev(K::PY_UNWIND, code, 1)
            }
            (Act::Yield, Some((_, code))) => {
                leaves = true;
                suspended.extend(top);
                ev(K::PY_YIELD, code, 1)
            }
            (Act::Resume(which), _) if !suspended.is_empty() => {
                let (start, code) = suspended.remove(which % suspended.len());
                stack.push((start, code));
                ev(K::PY_RESUME, code, 1).resumes(start)
            }
            _ => continue,
        };
        run.events.push(event.thread(thread as u32));
        run.stacks.push(stack.iter().map(|(start, _)| *start).collect());
        if leaves {
            stack.pop();
        }
    }
    run
}

impl Run {
    fn thread_of(&self, at: usize) -> u32 {
        self.events[at].thread
    }

    fn call(&self, at: usize) -> usize {
        *self.stacks[at].last().unwrap()
    }

    /// The events after (or before) an event, nearest first.
    fn ahead(&self, at: usize, direction: Direction) -> Vec<usize> {
        match direction {
            Direction::Forward => (at + 1..self.events.len()).collect(),
            Direction::Backward => (0..at).rev().collect(),
        }
    }

    fn along(&self, at: usize, kind: K, direction: Direction) -> Option<usize> {
        let is_it =
            |i: &usize| self.thread_of(*i) == self.thread_of(at) && self.events[*i].kind == kind;
        self.ahead(at, direction).into_iter().find(is_it)
    }

    fn step(&self, at: usize, step: Step, direction: Direction) -> Option<usize> {
        match step {
            Step::Into => self.along(at, K::LINE, direction),
            Step::Instruction => self.along(at, K::INSTRUCTION, direction),
            Step::Over => self.over(at, self.call(at), direction),
            Step::Out if direction == Direction::Backward => {
                let start = self.call(at);
                match self.stacks[start].len() {
                    1 => None,
                    n => self.over(start, self.stacks[start][n - 2], direction),
                }
            }
            Step::Out => {
                let mut stack = self.stacks[at].clone();
                if self.ends(at) {
                    stack.pop();
                }
                let call = *stack.last()?;
                let ends = |i: &usize| self.ends(*i) && self.call(*i) == call;
                self.ahead(at, direction).into_iter().find(ends)
            }
        }
    }

    fn ends(&self, at: usize) -> bool {
        matches!(self.events[at].kind, K::PY_RETURN | K::PY_UNWIND)
    }

    /// The nearest line of a call, or else of the caller that it was left to or entered from.
    fn over(&self, at: usize, call: usize, direction: Direction) -> Option<usize> {
        let own = |i: &usize| self.call(*i) == call;
        let forward = direction == Direction::Forward;
        let mut left = None;
        if own(&at) && forward && self.ends(at) || own(&at) && !forward && at == call {
            left = Some(at);
        } else {
            if own(&at) && self.events[at].kind == K::PY_YIELD && forward {
                left = Some(at);
            }
            for i in self.ahead(at, direction).into_iter().filter(own) {
                match self.events[i].kind {
                    K::LINE => return Some(i),
                    K::PY_RETURN | K::PY_UNWIND if forward => {
                        left = Some(i);
                        break;
                    }
                    K::PY_YIELD if forward => left = Some(i),
                    K::PY_START if !forward => {
                        left = Some(i);
                        break;
                    }
                    _ => {}
                }
            }
        }
        let left = left?;
        match self.stacks[left].len() {
            1 => None,
            n => self.over(left, self.stacks[left][n - 2], direction),
        }
    }
}

fn recorded(run: &Run, chunk: usize) -> (tempfile::TempDir, Timeline) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let id = maker.run();
    let mut process = maker.process(id);
    for thread in 0..2 {
        maker.thread(&process, thread, None);
    }
    for code in 0..4 {
        let name = format!("f{code}");
        maker.code(&process, code, "app.py", &name, &[1, 2, 3, 4, 5, 6, 7]);
    }
    maker.chunks(&mut process, &run.events, chunk);
    let path = maker.finish();
    let recording = Recording::open(&path).unwrap();
    let timeline = Timeline::new(recording.store().clone(), id).unwrap();
    (dir, timeline)
}

fn act() -> impl Strategy<Value = (bool, Act)> {
    let act = prop_oneof![
        5 => (0u32..6).prop_map(Act::Line),
        1 => (0u32..6).prop_map(Act::Instruction),
        3 => (0u32..4).prop_map(Act::Call),
        2 => Just(Act::Return),
        1 => Just(Act::Unwind),
        2 => Just(Act::Yield),
        2 => (0usize..5).prop_map(Act::Resume),
    ];
    (proptest::bool::weighted(0.3), act)
}

const STEPS: [Step; 4] = [Step::Into, Step::Over, Step::Out, Step::Instruction];
const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn steps_lead_where_reading_everything_leads(
        acts in proptest::collection::vec(act(), 1..120),
        chunk in 1usize..30,
    ) {
        let run = run(&acts);
        prop_assume!(!run.events.is_empty());
        let (_dir, timeline) = recorded(&run, chunk);
        let first = timeline.first().seq();
        for at in 0..run.events.len() {
            let from = timeline.position(first + at as i64);
            let here = timeline.here(from).unwrap().unwrap();
            prop_assert_eq!(here.call_id as i64 - first, run.call(at) as i64);
            prop_assert_eq!(here.depth + 1, run.stacks[at].len());
            for direction in DIRECTIONS {
                for step in STEPS {
                    let moved = timeline.step(from, step, direction, Follow::Thread).unwrap();
                    let found = (moved.why == Why::Arrived).then(|| moved.to.seq() - first);
                    let expected = run.step(at, step, direction).map(|to| to as i64);
                    prop_assert_eq!(
                        found, expected, "{:?} {:?} from {} in chunks of {}: {:#?}",
                        step, direction, at, chunk,
                        run.events.iter().enumerate()
                            .map(|(i, e)| format!("{i} t{} {:?} {:?}", e.thread, e.kind.name(), run.stacks[i]))
                            .collect::<Vec<_>>()
                    );
                }
            }
        }
    }

    #[test]
    fn breakpoints_are_reached_in_order(
        acts in proptest::collection::vec(act(), 1..120),
        chunk in 1usize..30,
        line in 1u32..7,
        function in 0u32..4,
    ) {
        let run = run(&acts);
        prop_assume!(!run.events.is_empty());
        let (_dir, timeline) = recorded(&run, chunk);
        let first = timeline.first().seq();
        let lines = Event::Line { codes: timeline.codes_of_path("app.py"), line };
        let calls = Event::Call { codes: timeline.codes_of_function(&format!("f{function}")) };
        let hits: Vec<(usize, usize)> = (0..run.events.len()).filter_map(|at| {
            let event = &run.events[at];
            match event.kind {
                K::LINE if event.place == line => Some((at, 0)),
                K::PY_START if event.code == function => Some((at, 1)),
                _ => None,
            }
        }).collect();
        for at in 0..run.events.len() {
            let from = timeline.position(first + at as i64);
            for direction in DIRECTIONS {
                let events = [lines.clone(), calls.clone()];
                let moved = timeline
                    .resume::<dashcam_replayer::Error>(from, direction, &events, |_, _| Ok(true))
                    .unwrap();
                let expected = match direction {
                    Direction::Forward => hits.iter().find(|(hit, _)| *hit > at),
                    Direction::Backward => hits.iter().rfind(|(hit, _)| *hit < at),
                };
                let found = match moved.why {
                    Why::Breakpoint(which) => Some(((moved.to.seq() - first) as usize, which)),
                    _ => None,
                };
                prop_assert_eq!(found, expected.copied());
            }
        }
        // The n-th time a line runs.
        let codes = timeline.codes_of_path("app.py");
        let runs: Vec<usize> = hits.iter().filter(|(_, which)| *which == 0).map(|h| h.0).collect();
        for nth in 1..=runs.len() + 1 {
            let found = timeline.nth_run_of_line(&codes, line, nth as u64, 1).unwrap();
            let found = found.map(|position: Position| (position.seq() - first) as usize);
            prop_assert_eq!(found, runs.get(nth - 1).copied());
        }
    }
}

/// A call that calls another three times, in chunks of four; the second callee is `long` events
/// long.
fn calls_of_calls(long: usize) -> Vec<Ev> {
    let mut events = vec![ev(K::PY_START, 0, 0), ev(K::LINE, 0, 1)];
    for count in [1, long, 1] {
        events.push(ev(K::PY_START, 1, 0));
        events.extend((0..count).map(|_| ev(K::LINE, 1, 2)));
        events.push(ev(K::PY_RETURN, 1, 1));
        events.push(ev(K::LINE, 0, 3));
    }
    events.push(ev(K::PY_RETURN, 0, 1));
    events
}

fn damaged(events: &[Ev], chunk: i64) -> (tempfile::TempDir, Timeline) {
    let run = Run { events: events.to_vec(), stacks: Vec::new() };
    let (dir, timeline) = recorded(&run, 4);
    let path = timeline.store().path().to_owned();
    drop(timeline);
    let db = rusqlite::Connection::open(&path).unwrap();
    let sql = "UPDATE chunks SET data = zeroblob(length(data)) WHERE chunk_id = ?";
    assert_eq!(db.execute(sql, [chunk]).unwrap(), 1);
    drop(db);
    let recording = Recording::open(&path).unwrap();
    (dir, Timeline::new(recording.store().clone(), 1).unwrap())
}

#[test]
fn damage_is_crossed_and_reported_if_events_may_be_missing() {
    let events = calls_of_calls(30);
    // Events 17 to 20 are lines of the long call.
    let (_dir, timeline) = damaged(&events, 5);
    let position = |seq| timeline.position(seq);
    let step = |from, step, direction| {
        let moved = timeline.step(position(from), step, direction, Follow::Thread).unwrap();
        (moved.to.seq(), moved.why, moved.missing.len())
    };
    use Direction::{Backward, Forward};
    assert_eq!(step(15, Step::Into, Forward), (16, Why::Arrived, 0));
    assert_eq!(step(16, Step::Into, Forward), (21, Why::Arrived, 1));
    assert_eq!(step(21, Step::Into, Backward), (16, Why::Arrived, 1));
    // From a position in the damaged chunk, a step leads to the nearest event that can be read.
    assert_eq!(step(18, Step::Into, Forward), (21, Why::Arrived, 1));
    assert_eq!(step(18, Step::Over, Backward), (16, Why::Arrived, 1));
    // The caller cannot have continued in the meantime: no event of the wanted kind is missing.
    assert_eq!(step(6, Step::Over, Forward), (39, Why::Arrived, 0));
    assert_eq!(step(39, Step::Over, Backward), (6, Why::Arrived, 0));
    assert_eq!(step(8, Step::Out, Forward).0, 38);
    // A breakpoint may have been reached there.
    let lines = [Event::Line { codes: timeline.codes_of_path("app.py"), line: 3 }];
    let all = |_: usize, _: Position| Ok::<_, dashcam_replayer::Error>(true);
    let moved = timeline.resume(position(6), Forward, &lines, all).unwrap();
    assert_eq!((moved.to.seq(), moved.missing.len()), (39, 1));
    assert!(moved.missing[0].contains("events 17..20 unavailable"), "{:?}", moved.missing);
    assert!(timeline.here(position(18)).unwrap().is_none());
}

#[test]
fn the_ends_of_a_run_are_reported() {
    let run = Run { events: calls_of_calls(3), stacks: Vec::new() };
    let (_dir, timeline) = recorded(&run, 4);
    let last = timeline.extents()[0].last;
    for step in STEPS {
        let end = timeline.step(last, step, Direction::Forward, Follow::Thread).unwrap();
        assert_eq!((end.to, end.why), (last, Why::NoMore), "{step:?}");
        let start =
            timeline.step(timeline.first(), step, Direction::Backward, Follow::Thread).unwrap();
        assert_eq!((start.to, start.why), (timeline.first(), Why::NoMore), "{step:?}");
    }
    assert_eq!(timeline.at_fraction(0.0, last), timeline.first());
    assert_eq!(timeline.at_fraction(1.0, last), last);
    assert_eq!(timeline.at_time(i64::MAX, last).unwrap(), last);
    assert_eq!(timeline.at_time(0, last).unwrap(), timeline.first());
    assert!(timeline.fraction(last) > 0.9);
}
