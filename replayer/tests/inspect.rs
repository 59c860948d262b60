//! Paths, expressions and trees of values, in a small recording made by hand.
#![allow(clippy::unwrap_used)]

mod support;

use dashcam_replayer::Recording;
use dashcam_replayer::inspect::{
    Body, Expression, InspectError, Limits, Node, Path, ResolvedStep, Snapshot,
};
use dashcam_schema::event::EventKind as K;
use dashcam_schema::value::chunk::Builder;
use dashcam_schema::value::{Class, GroupKind as G, Object, Part, Shape, Sort, Value as V};
use support::{Maker, Source, ev, rows};

/// `def f(a, b, c): pass`
const F: Source<'_> = Source {
    lines: &[10, 11],
    code: &[149, 0, 103, 0], // RESUME, RETURN_CONST
    arguments: 3,
    variables: &["a", "b", "c"],
    names: &[],
};

/// An object to describe.
#[derive(Default)]
struct Described<'t> {
    class: &'t str,
    /// `None` for an instance.
    sort: Option<Sort>,
    is_derived: bool,
    text: Option<(&'t [u8], u64)>,
    items: Option<(&'t [V], u64)>,
    attributes: &'t [(&'t str, V)],
}

fn object(builder: &mut Builder, id: u64, object: &Described<'_>) {
    let sort = object.sort.unwrap_or(Sort::Instance);
    let is_exact = sort != Sort::Instance && !object.is_derived;
    let class = builder.class(Class::plain(object.class, sort, is_exact));
    let text = object.text.map(|(text, length)| Part { kept: builder.text(text), length });
    let values: Vec<V> = object.attributes.iter().map(|(_, value)| *value).collect();
    let names = object.attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
    let attributes =
        (!values.is_empty()).then(|| (builder.shape(Shape { names }), values.as_slice()));
    let items = object.items.map(|(kept, length)| Part { kept, length });
    builder.object(&Object { id, class, text, items, shown: None, attributes });
}

fn list<'t>(items: &'t [V], length: u64) -> Described<'t> {
    Described {
        class: "list",
        sort: Some(Sort::List),
        items: Some((items, length)),
        ..Described::default()
    }
}

/// Records a call of `f` with these arguments.
fn record(arguments: &[V; 3], describe: impl FnOnce(&mut Builder)) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let run = maker.run();
    let mut process = maker.process(run);
    maker.with_state();
    maker.thread(&process, 0, Some("MainThread"));
    maker.bytecode(&process, 0, "f", "function", &F);
    maker.chunk(&mut process, &[ev(K::PY_START, 0, 0), ev(K::LINE, 0, 11), ev(K::PY_RETURN, 0, 1)]);
    let mut builder = Builder::default();
    builder.text(b"x");
    builder.group(0, G::Arguments, arguments);
    describe(&mut builder);
    maker.values(&process, &mut builder);
    // The file stays open after it was removed.
    Recording::open(&maker.finish()).unwrap()
}

fn snapshot(recording: &Recording) -> Snapshot<'_> {
    Snapshot::at(recording.store(), 1, 2, 0).unwrap().unwrap()
}

#[track_caller]
fn check(recording: &Recording, expected: &[(&str, &str)]) {
    let snapshot = snapshot(recording);
    let found = expected.iter().map(|(text, _)| {
        let value = snapshot.evaluate(&Expression::parse(text).unwrap());
        let found = value.and_then(|value| Ok(snapshot.repr(&value)?));
        (*text, found.unwrap_or_else(|error| format!("! {error}")))
    });
    let found: Vec<(&str, String)> = found.collect();
    let found: Vec<(&str, &str)> = found.iter().map(|(text, found)| (*text, &**found)).collect();
    assert_eq!(found, expected);
}

/// `a` is a chain of 3000 lists, `b` a list that is cut and contains values that were not recorded,
/// `c` an instance that contains itself.
fn graph() -> Recording {
    let a = V::Object(1);
    record(&[a, V::Object(5000), V::Object(5001)], |builder| {
        for id in 1..3000 {
            object(builder, id, &list(&[V::Int(id as i64), V::Object(id + 1)], 2));
        }
        object(builder, 3000, &list(&[V::Str(0)], 1));
        let items = [V::Int(7), V::Unread, V::Redacted, V::Object(6000), V::Shallow(6001)];
        object(builder, 5000, &list(&items, 4000));
        let order = Described {
            class: "app.Order",
            attributes: &[
                ("items", V::Object(5002)),
                ("price", V::Float(2.5)),
                ("me", V::Object(5001)),
                ("gone", V::Unbound),
            ],
            ..Described::default()
        };
        object(builder, 5001, &order);
        let pairs = [V::Str(0), V::Int(1), V::Int(2), V::Object(5003)];
        let dict = Described {
            class: "dict",
            sort: Some(Sort::Dict),
            items: Some((&pairs, 2)),
            ..Described::default()
        };
        object(builder, 5002, &dict);
        let long = Described {
            class: "int",
            sort: Some(Sort::Int),
            text: Some((b"-123456789012345678901234567890", 31)),
            ..Described::default()
        };
        object(builder, 5003, &long);
        object(builder, 6001, &Described { class: "app.Other", ..Described::default() });
    })
}

#[test]
fn paths_can_have_any_depth() {
    let recording = graph();
    // For the text of variables, 2000 objects and 6 levels are copied.
    let deep = |count: usize| format!("a{}", "[1]".repeat(count));
    let at_90 = format!("{}[0]", deep(90));
    check(
        &recording,
        &[
            ("a[0]", "1"),
            (&at_90, "91"),
            ("c.me.me.items['x']", "1"),
            ("c.items[1 + 1]", "-123456789012345678901234567890"),
            ("c.items[2] + 1", "-123456789012345678901234567889"),
            ("c.price * 2 == 5 and not c.me is not c", "True"),
        ],
    );
}

#[test]
fn errors_name_the_part_that_failed() {
    check(
        &graph(),
        &[
            ("d", "! no variable d was recorded; did you mean a?"),
            ("b[1]", "! b[1] was not recorded"),
            ("b[2]", "<redacted>"),
            ("b[2] == 1", "! b[2] is redacted"),
            ("b[3]", "<object #6000>"),
            ("b[3].x", "! b[3] is an object that was not recorded"),
            ("b[4].x", "! b[4] is an instance of app.Other, and what it holds was not recorded"),
            ("b[3000]", "! b was cut after 5 of 4000 items, [3000] was not recorded"),
            ("b[-1]", "! b was cut after 5 of 4000 items, [-1] was not recorded"),
            ("b[4000]", "! b has 4000 items, no [4000]"),
            ("len(b)", "4000"),
            (
                "8 in b",
                "! an item of b == 8 is not known: app.Other may have an __eq__ of its own; is compares identity",
            ),
            ("7 in b", "True"),
            (
                "c.prise",
                "! app.Order has no attribute prise of its own that was recorded; did you mean price?; it has: items, price, me",
            ),
            (
                "c.gone",
                "! app.Order has no attribute gone of its own that was recorded; it has: items, price, me",
            ),
            ("c.me.items['y']", "! c.me.items has no key 'y'; it has: 'x', 2"),
            ("c.items[[]]", "! unhashable type: 'list'"),
            (
                "c == 1",
                "! c == 1 is not known: app.Order may have an __eq__ of its own; is compares identity",
            ),
            ("c is None", "False"),
            ("b[3] is None", "False"),
            ("a < b", "True"),
            ("c.price < 'x'", "! '<' not supported between instances of 'float' and 'str'"),
        ],
    );
}

#[test]
fn a_path_resolves_to_its_container() {
    let recording = graph();
    let snapshot = snapshot(&recording);
    let resolved = snapshot.resolve(&Path::parse("c.me.items[a[1][0]]").unwrap()).unwrap();
    assert_eq!(resolved.container, Some(5002));
    let Some(ResolvedStep::Item { text, .. }) = resolved.step else { panic!() };
    assert_eq!(text, "2");
    assert_eq!(resolved.value.unwrap().object_id(), Some(5003));
    // The attribute may have been deleted: its container is still known.
    let resolved = snapshot.resolve(&Path::parse("c.other").unwrap()).unwrap();
    assert_eq!(resolved.container, Some(5001));
    assert!(matches!(resolved.value, Err(InspectError::Missing(_))));
    // Indices count from the front, as in mutations.
    let resolved = snapshot.resolve(&Path::parse("b[-4000]").unwrap()).unwrap();
    let Some(ResolvedStep::Item { text, .. }) = resolved.step else { panic!() };
    assert_eq!((resolved.container, &*text), (Some(5000), "0"));
    let name = snapshot.resolve(&Path::parse("a").unwrap()).unwrap();
    assert!(name.container.is_none() && name.step.is_none());
    assert_eq!(name.value.unwrap().object_id(), Some(1));
    assert_eq!(Path::parse("a.b[1]").unwrap().text(), "a.b[1]");
    assert!(Path::parse("a + 1").is_err());
}

#[test]
fn a_variable_reads_as_in_locals_at() {
    let recording = graph();
    let snapshot = snapshot(&recording);
    let sql = "SELECT name || ' ' || scope || ' ' || value FROM locals_at(1, 2, 0)";
    let listed = snapshot.variables().iter().map(|named| {
        let value = snapshot.graph().repr(&named.value).unwrap();
        format!("{} {} {value}", named.name, named.scope)
    });
    let mut listed: Vec<String> = listed.collect();
    listed.sort();
    assert_eq!(listed, rows(recording.connection(), sql));
    let sql = "SELECT value_at(1, 2, 0, name) = value FROM locals_at(1, 2, 0)";
    assert_eq!(rows(recording.connection(), sql), ["1", "1", "1"]);
    assert_eq!(rows(recording.connection(), "SELECT value_at(1, 2, 1, 'a')"), ["-"]);
    assert_eq!(rows(recording.connection(), "SELECT value_at(1, 99, 0, 'a')"), ["-"]);
    let error = recording.connection().query_row("SELECT value_at(1, 2, 0, 'a +')", [], |_| Ok(()));
    assert_eq!(error.unwrap_err().to_string(), "the expression ends too early at column 4");
}

#[test]
fn trees_end() {
    let recording = graph();
    let snapshot = snapshot(&recording);
    let node = |text: &str, limits| {
        let value = snapshot.evaluate(&Expression::parse(text).unwrap()).unwrap();
        snapshot.node(&value, limits).unwrap()
    };
    let Node::Object(order) = node("c", Limits::default()) else { panic!() };
    assert_eq!((&*order.class, order.object_id, &order.body), ("app.Order", 5001, &Body::Nothing));
    let me = order.attributes.iter().find(|(name, _)| **name == *"me").unwrap();
    let Node::Object(me) = &me.1 else { panic!() };
    assert_eq!((me.object_id, &me.body), (5001, &Body::Cycle));
    assert_eq!(
        node("c", Limits::default()).to_json().to_string(),
        r##"{"type":"app.Order","object_id":5001,"attributes":{"items":{"type":"dict","object_id":5002,"items":[["x",1],[2,{"type":"int","object_id":5003,"value":"-123456789012345678901234567890"}]]},"price":2.5,"me":{"type":"app.Order","object_id":5001,"unknown":"within itself"}}}"##
    );
    assert_eq!(
        node("b", Limits::default()).to_json().to_string(),
        r##"{"type":"list","object_id":5000,"items":[7,{"type":"object","unknown":"unread"},{"type":"object","unknown":"redacted"},{"type":"object","object_id":6000,"unknown":"unread"},{"type":"app.Other","object_id":6001,"unknown":"class only"}],"length":4000}"##
    );
    let limits = Limits { depth: 2, ..Limits::default() };
    assert_eq!(
        node("a", limits).to_json().to_string(),
        r##"[1,[2,{"type":"list","object_id":3,"unknown":"too deep"}]]"##
    );
    let limits = Limits { values: 4, ..Limits::default() };
    assert_eq!(
        node("a", limits).to_json().to_string(),
        r##"[1,{"type":"list","object_id":2,"items":[2,{"type":"object","unknown":"too deep"}]}]"##
    );
    let json = snapshot.to_json(Limits { depth: 1, values: 100 }).unwrap();
    assert_eq!(json[2]["name"], "c");
    assert_eq!(json[2]["object_id"], 5001);
    assert_eq!(json[2]["value"]["attributes"]["price"], 2.5);
}

#[test]
fn without_state_no_values_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let mut maker = Maker::new(dir.path());
    let run = maker.run();
    let mut process = maker.process(run);
    maker.thread(&process, 0, None);
    maker.bytecode(&process, 0, "f", "function", &F);
    maker.chunk(&mut process, &[ev(K::PY_START, 0, 0), ev(K::LINE, 0, 11)]);
    let recording = Recording::open(&maker.finish()).unwrap();
    check(&recording, &[("a", "! run 1 was recorded without --capture state"), ("1 + 1", "2")]);
}
