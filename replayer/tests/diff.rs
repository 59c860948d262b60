//! Differences between two runs of small programs recorded by hand.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::diff::{Change, Next, Options, Report, Run, ValueOf, compare};
use dashcam_replayer::{Error, Recording};
use dashcam_schema::event::EventKind as K;
use dashcam_schema::value::chunk::Builder;
use dashcam_schema::value::{GroupKind, Value};
use support::{Ev, Maker, ev};

/// One run: its events, and arguments by ordinal.
struct Program {
    events: Vec<Ev>,
    arguments: Vec<(u64, i64)>,
}

/// `<module>` calls `f(n)` on line 2 for each pair of `n` and a number, and `f` calls `g` that many
/// times.
fn calls(numbers: &[(i64, usize)]) -> Program {
    let mut events = vec![ev(K::PY_START, 0, 0)];
    let mut arguments = Vec::new();
    for (number, times) in numbers {
        events.push(ev(K::BRANCH, 0, 1).target(2));
        events.push(ev(K::LINE, 0, 2));
        arguments.push((events.iter().filter(|event| event.kind.has_ordinal()).count(), *number));
        events.push(ev(K::PY_START, 1, 0));
        for _ in 0..*times {
            events.push(ev(K::LINE, 1, 12));
            events.extend([ev(K::PY_START, 2, 0), ev(K::PY_RETURN, 2, 1)]);
        }
        events.push(ev(K::PY_RETURN, 1, 2));
    }
    events.extend([ev(K::BRANCH, 0, 1).target(3), ev(K::LINE, 0, 4), ev(K::PY_RETURN, 0, 3)]);
    let arguments = arguments.into_iter().map(|(at, n)| (at as u64, n)).collect();
    Program { events, arguments }
}

fn record(programs: &[&Program], size: usize) -> (tempfile::TempDir, Recording) {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    for program in programs {
        let run = maker.run();
        let mut process = maker.process(run);
        maker.thread(&process, 0, Some("MainThread"));
        maker.code(&process, 0, "app.py", "<module>", &[1, 2, 2, 4]);
        maker.code(&process, 1, "app.py", "f", &[11, 12, 13]);
        maker.code(&process, 2, "app.py", "g", &[21, 22]);
        maker
            .db
            .execute_batch(
                "UPDATE code_objects SET argument_names = '[\"n\"]' WHERE qualname = 'f'",
            )
            .unwrap();
        maker.chunks(&mut process, &program.events, size);
        let mut values = Builder::default();
        for (ordinal, n) in &program.arguments {
            values.group(*ordinal, GroupKind::Arguments, &[Value::Int(*n)]);
        }
        if !program.arguments.is_empty() {
            maker.values(&process, &mut values);
        }
    }
    let path = maker.finish();
    (dir, Recording::open(&path).unwrap())
}

fn diff(a: &Program, b: &Program, size: usize, options: &Options) -> Report {
    let (_dir, recording) = record(&[a, b], size);
    let run = |run_id| Run { store: recording.store(), run_id };
    compare(run(1), run(2), options, &|_, _| Ok(())).unwrap()
}

#[test]
fn equal_runs_do_not_differ() {
    let program = calls(&[(1, 2), (2, 0), (3, 1)]);
    for size in [1, 3, 1000] {
        let report = diff(&program, &program, size, &Options::default());
        assert!(report.differences.is_empty() && !report.has_more);
    }
}

#[test]
fn a_call_more_is_one_difference_and_the_rest_is_compared() {
    let one = calls(&[(1, 1), (2, 1), (4, 1)]);
    let two = calls(&[(1, 1), (2, 1), (3, 1), (4, 2)]);
    for (size, calls_max) in [(1, 1), (4, 1), (1000, 1), (1000, 1000)] {
        let options = Options { calls_max, ..Options::default() };
        let report = diff(&one, &two, size, &options);
        let [more, within] = &report.differences[..] else { panic!("{:?}", report.differences) };
        let Change::Path { only, .. } = &more.change else { panic!("{more:?}") };
        assert!(only[0].calls.is_empty());
        assert_eq!(only[1].calls.len(), 1, "{more:?}");
        let calls = &only[1].calls[0];
        assert_eq!((&*calls.qualname, calls.count, calls.line), ("f", 1, Some(2)));
        assert_eq!(calls.arguments.as_deref(), Some("n=3"));
        // `f(4)` calls `g` once more.
        let Change::Path { only, .. } = &within.change else { panic!("{within:?}") };
        assert_eq!(only[1].calls[0].qualname, "g");
        let place = within.places[1].as_ref().unwrap();
        assert!(place.stack.iter().any(|frame| frame.qualname == "f"), "{place:?}");
    }
}

#[test]
fn an_argument_differs_where_the_path_does_not() {
    let one = calls(&[(1, 1), (2, 1), (3, 1)]);
    let two = calls(&[(2, 1), (3, 1), (4, 1)]);
    let report = diff(&one, &two, 5, &Options::default());
    let [difference] = &report.differences[..] else { panic!("{:?}", report.differences) };
    let Change::Value { of: ValueOf::Argument, name, values } = &difference.change else {
        panic!("{difference:?}")
    };
    assert_eq!(name.as_deref(), Some("n"));
    assert_eq!(values, &[Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(difference.more, 2);
    let ignored = Options { ignored: vec!["n".to_owned()], ..Options::default() };
    assert!(diff(&one, &two, 5, &ignored).differences.is_empty());
    let flow = Options { values: false, ..Options::default() };
    assert!(diff(&one, &two, 5, &flow).differences.is_empty());
}

#[test]
fn calls_of_excluded_code_belong_to_its_caller() {
    let one = calls(&[(1, 2), (2, 1)]);
    let two = calls(&[(1, 1), (2, 2)]);
    let mut options = Options::default();
    assert!(!diff(&one, &two, 1000, &options).differences.is_empty());
    options.exclude.patterns = vec!["g".to_owned()];
    assert!(diff(&one, &two, 1000, &options).differences.is_empty());
    // Both call `g` three times, but the loop in `<module>` divides these calls differently.
    options.exclude.patterns = vec!["f".to_owned()];
    assert!(!diff(&one, &two, 1000, &options).differences.is_empty());
}

#[test]
fn a_run_may_end_in_the_middle() {
    let one = calls(&[(1, 1), (2, 1)]);
    let mut two = calls(&[(1, 1), (2, 1)]);
    two.events.truncate(9);
    let report = diff(&one, &two, 1000, &Options::default());
    let first = &report.differences[0];
    let Change::Path { next, .. } = &first.change else { panic!("{first:?}") };
    assert_eq!(next[1], Next::End);
    assert_ne!(next[0], Next::End);
}

#[test]
fn the_limit_is_kept_and_reported() {
    let one = calls(&[(1, 1), (2, 0)]);
    let two = calls(&[(2, 2), (2, 0)]);
    let options = Options { limit: 1, ..Options::default() };
    let report = diff(&one, &two, 1000, &options);
    assert_eq!(report.differences.len(), 1);
    assert!(report.has_more);
}

#[test]
fn a_damaged_chunk_ends_it() {
    let program = calls(&[(1, 1), (2, 1)]);
    let (dir, recording) = record(&[&program, &program], 4);
    drop(recording);
    let path = dir.path().join("x.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute("UPDATE chunks SET data = x'00' WHERE chunk_id = 3", []).unwrap();
    drop(db);
    let recording = Recording::open(&path).unwrap();
    let run = |run_id| Run { store: recording.store(), run_id };
    let result = compare(run(1), run(2), &Options::default(), &|_, _| Ok(()));
    assert!(matches!(result, Err(Error::Chunk { chunk: 3, .. })));
}

#[test]
fn it_can_be_interrupted() {
    let program = calls(&[(1, 1), (2, 1)]);
    let (_dir, recording) = record(&[&program, &program], 4);
    let run = |run_id| Run { store: recording.store(), run_id };
    let stop = |_, _| Err(Error::Interrupted);
    let result = compare(run(1), run(2), &Options::default(), &stop);
    assert!(matches!(result, Err(Error::Interrupted)));
}
