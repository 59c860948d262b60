#![allow(clippy::unwrap_used)]

use super::*;
use crate::calls::Site;
use proptest::prelude::*;

fn columns_of(kinds: Vec<u8>, places: Vec<u32>, big: Vec<u64>) -> Columns {
    let mut columns = Columns { first_ns: 7, ..Columns::default() };
    let n = kinds.len().min(places.len());
    let mut big = big.into_iter().cycle();
    let mut next = || big.next().unwrap_or(3);
    for kind in kinds[..n].iter().filter_map(|k| EventKind::from_number(*k)) {
        columns.kinds.push(kind.number());
        if has_target(kind) {
            columns.targets.push(next() as u32);
        }
        if kind.is_timed() {
            columns.times.push(next());
        }
        if kind.has_callable() {
            columns.callables.push(next() as u32);
        }
        if kind.has_exception() {
            columns.exceptions.push(next() as u32);
        }
        if kind.resumes() {
            columns.resumed.push(next());
        }
    }
    columns.places = places[..columns.kinds.len()].to_vec();
    columns.contexts.push(Context { thread: 0, code: 9 });
    columns.runs.push(Run { events: columns.kinds.len() as u32, context: 0 });
    columns.state.exceptions.push(ExceptionEntry {
        number: 1,
        exception_type: 2,
        message: "ünïcode".into(),
    });
    columns.state.stacks.push(Stack {
        thread: 0,
        since_ns: 5,
        calls: vec![OpenCall {
            call_id: 1,
            parent: 0,
            depth: 0,
            code: 9,
            thread: 0,
            called_from: Some(Site { code: 1, kind: 13, place: 12 }),
            start_ns: 1,
            self_ns: 0,
            recursive: false,
            frame: 0,
            began_at: 0,
            last: Site::default(),
            exceptions: vec![],
        }],
    });
    columns
}

fn sealed(columns: &Columns) -> Vec<u8> {
    Sealer::new(1).unwrap().seal(columns).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealed_columns_are_read_back(
        kinds in prop::collection::vec(0u8..32, 1..400),
        places in prop::collection::vec(prop_oneof![0u32..300, any::<u32>()], 400),
        big in prop::collection::vec(prop_oneof![0u64..300, 0u64..70_000, any::<u64>()], 1..50),
    ) {
        let columns = columns_of(kinds, places, big);
        let bytes = sealed(&columns);
        prop_assert_eq!(open(&bytes).unwrap().columns().unwrap(), columns);
    }

    #[test]
    fn integers_survive(values in prop::collection::vec(any::<u64>(), 0..100)) {
        let mut bytes = Vec::new();
        pack(&values, &mut bytes);
        prop_assert_eq!(unpack::<u64>(&bytes, values.len()), Some(values));
    }

    #[test]
    fn garbage_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
        let _ = unpack::<u32>(&bytes, 20);
    }
}

/// Every single flipped bit and every truncation is noticed, so that no wrong event is ever read.
#[test]
fn damage_is_noticed() {
    let columns = columns_of((0..32).cycle().take(300).collect(), (0..300).collect(), vec![1, 999]);
    let bytes = sealed(&columns);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let read = open(&damaged).and_then(|chunk| chunk.columns());
        assert!(read.is_err(), "bit {bit} flipped unnoticed");
    }
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).and_then(|chunk| chunk.columns()).is_err());
    }
}

#[test]
fn a_damaged_column_leaves_the_others() {
    let columns = columns_of(vec![13; 50], (0..50).collect(), vec![1]);
    let mut bytes = sealed(&columns);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let chunk = open(&bytes).unwrap();
    assert!(matches!(chunk.state(), Err(FormatError::Checksum { part: "state", .. })));
    assert_eq!(chunk.places().unwrap(), columns.places);
}

/// Derived recordings. Files may contain anything, which must do no harm.
mod control {
    use super::*;
    use crate::bytecode::code::{Code, NO_UNIT};
    use crate::bytecode::lines::LineTable;
    use crate::bytecode::opcodes::Version;
    use crate::chunk::control::{Control, Expander, NEW, Numbering, WIDE};
    use crate::derive::automaton::{Automaton, ROOT};
    use crate::derive::stacks::Stacks;
    use crate::derive::{Activation, Step};

    /// `while x: f()` between a RESUME and a return, of 3.13: RESUME, LOAD_FAST x,
    /// POP_JUMP_IF_FALSE (8 on), LOAD_FAST f, PUSH_NULL, CALL, POP_TOP, JUMP_BACKWARD (10 back),
    /// RETURN_CONST.
    fn code() -> Code {
        let bytes = [
            149, 0, 85, 0, 97, 8, 0, 0, 85, 1, 34, 0, 53, 0, 0, 0, 0, 0, 0, 0, 32, 0, 77, 12, 0, 0,
            103, 0,
        ];
        // One entry of the line table per eight units.
        let lines = LineTable::decode(&[0xd7, 0, 0, 0xdd, 0, 0], 5);
        Code::new(Version::V3_13, &bytes, &[], &lines)
    }

    fn step(kind: EventKind, place: u32, with: u32) -> Step {
        Step { kind: kind.number(), code: 0, place, with, also: NO_UNIT }
    }

    #[test]
    fn a_loop_is_read_back() {
        let codes = [Some(code())];
        let turns = 300;
        let mut steps = vec![step(EventKind::PY_START, 0, NO_UNIT)];
        for _ in 0..turns {
            steps.push(step(EventKind::BRANCH, 2, 4));
            steps.push(step(EventKind::CALL, 6, 7));
            steps.push(step(EventKind::C_RETURN, 6, 7));
        }
        steps.push(step(EventKind::BRANCH, 2, 13));
        steps.push(step(EventKind::PY_RETURN, 13, NO_UNIT));

        let (mut automaton, mut stacks) = (Automaton::default(), Stacks::default());
        let (mut numbering, mut control) = (Numbering::default(), Control::default());
        numbering.begin();
        stacks.set_thread(3);
        let mut expected = Vec::new();
        for step in &steps {
            let id = automaton.find(&codes[..], stacks.top(), step);
            let edge = automaton.edge(id);
            assert!(!edge.is_desync, "{step:?}: {:?}", automaton.desync(id));
            numbering.put(&mut control, edge, id);
            expected.extend_from_slice(automaton.events(edge).0);
            control.events += edge.events;
            let timed = EventKind::from_number(step.kind).unwrap().is_timed();
            control.times.extend(timed.then_some(2));
            stacks.apply(edge, &automaton);
        }
        assert_eq!(stacks.top(), ROOT);
        control.time_unit = 16;
        control.switches.push((control.tokens.len() as u32, 3));
        assert!(control.steps.len() < 12, "a loop goes over the same few edges");
        let new = control.tokens.iter().filter(|token| **token == NEW).count();
        assert_eq!(new, control.steps.len());

        let bytes = Sealer::new(1).unwrap().seal_control(&control).unwrap();
        assert!(bytes.len() < 2000, "{} bytes", bytes.len());
        let read = open(&bytes).unwrap().control().unwrap();
        assert_eq!(read.tokens, control.tokens);
        let columns = Expander::default().expand(&codes[..], read).unwrap();
        columns.check().unwrap();
        assert_eq!(columns.kinds, expected);
        assert_eq!(columns.times, vec![32; 2 * turns + 2]);
        assert_eq!(columns.callables, vec![7; 2 * turns]);
        let jumps = columns.kinds.iter().filter(|kind| **kind == EventKind::JUMP.number()).count();
        assert_eq!(jumps, turns);
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let place = prop_oneof![0u32..16, any::<u32>()];
        (0..EventKind::LIMIT, 0u32..4, place.clone(), place.clone(), place)
            .prop_map(|(kind, code, place, with, also)| Step { kind, code, place, with, also })
    }

    fn any_activation() -> impl Strategy<Value = Activation> {
        let place = prop_oneof![0u32..16, any::<u32>()];
        (0u32..3, place.clone(), place, any::<[bool; 3]>()).prop_map(
            |(code, at, previous, flags)| {
                let [in_progress, raising, thrown] = flags;
                Activation { in_progress, raising, thrown, ..Activation::new(code, at, previous) }
            },
        )
    }

    proptest! {
        #[test]
        fn anything_is_expanded_or_refused(
            tokens in proptest::collection::vec(prop_oneof![Just(NEW), Just(WIDE), 0u8..3], 0..60),
            steps in proptest::collection::vec(any_step(), 0..60),
            walk in proptest::collection::vec(any_activation(), 0..4),
            events in 0u32..500,
        ) {
            let codes = [Some(code()), None, Some(code())];
            let control = Control {
                events,
                switches: vec![(tokens.len() as u32, 1)],
                wide: vec![0; tokens.len()],
                resumed: vec![5; tokens.len()],
                walks: vec![(1, walk)],
                tokens,
                steps,
                ..Control::default()
            };
            let mut expander = Expander::default();
            for _ in 0..2 {
                if let Ok(columns) = expander.expand(&codes[..], control.clone()) {
                    prop_assert_eq!(columns.kinds.len(), events as usize);
                    let total: u32 = columns.runs.iter().map(|run| run.events).sum();
                    prop_assert_eq!(total, events);
                }
            }
        }
    }
}
