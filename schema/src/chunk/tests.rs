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
    fn what_was_sealed_opens(
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

/// Every single flipped bit and every truncation is noticed: no wrong event is ever read.
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
