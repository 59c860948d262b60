//! Tests with words written by hand, and with invalid words.

#![allow(clippy::unwrap_used)]

use super::*;
use dashcam_schema::value::TextNumber;
use dashcam_schema::value::words::{constant, word};
use proptest::prelude::*;

/// The groups, stores and objects that were read, one line each, with texts in place of their
/// numbers.
#[derive(Default)]
struct Lines {
    texts: Vec<String>,
    classes: Vec<String>,
    shapes: Vec<String>,
    lines: Vec<String>,
}

impl Lines {
    fn show(&self, value: &Value) -> String {
        match value {
            Value::Int(int) => int.to_string(),
            Value::Float(float) => format!("{float:?}"),
            Value::Str(text) => format!("'{}'", self.texts[*text as usize]),
            Value::Bytes(text) => format!("b'{}'", self.texts[*text as usize]),
            Value::Object(id) => format!("#{id}"),
            Value::Shallow(id) => format!("~{id}"),
            other => format!("{other:?}"),
        }
    }

    fn all(&self, values: &[Value]) -> String {
        values.iter().map(|value| self.show(value)).collect::<Vec<_>>().join(" ")
    }
}

impl Records for Lines {
    fn text(&mut self, text: &[u8]) -> TextNumber {
        self.texts.push(text.escape_ascii().to_string());
        self.texts.len() as TextNumber - 1
    }
    fn class(&mut self, class: Class) -> ClassNumber {
        self.classes.push(class.name);
        self.classes.len() as ClassNumber - 1
    }
    fn shape(&mut self, shape: Shape) -> ShapeNumber {
        self.shapes.push(shape.names.join(","));
        self.shapes.len() as ShapeNumber - 1
    }
    fn group(&mut self, ordinal: u64, kind: GroupKind, values: &[Value]) {
        self.lines.push(format!("{ordinal} {kind:?}: {}", self.all(values)));
    }
    fn store(&mut self, _kind: GroupKind, values: &[Value]) {
        self.lines.push(format!("stores {}", self.all(values)));
    }
    fn object(&mut self, object: &Object<&[Value]>) {
        let mut line = format!("#{} {}", object.id, self.classes[object.class as usize]);
        if let Some(Part { kept, length }) = &object.text {
            line += &format!(" {:?}/{length}", self.texts[*kept as usize]);
        }
        if let Some(Part { kept, length }) = &object.items {
            line += &format!(" [{}]/{length}", self.all(kept));
        }
        if let Some((shape, values)) = object.attributes {
            line += &format!(" {}={}", self.shapes[shape as usize], self.all(values));
        }
        self.lines.push(line);
    }
}

fn padded(text: &[u8]) -> Vec<u32> {
    let le = |part: &[u8]| {
        part.iter().enumerate().fold(0, |word, (i, byte)| word | u32::from(*byte) << (8 * i))
    };
    text.chunks(4).map(le).collect()
}

fn class(number: u32, sort: Sort, name: &str) -> Vec<u32> {
    let sort = Sort::ALL.iter().position(|other| *other == sort).unwrap() as u32;
    [vec![word(CLASS, number), sort | EXACT, name.len() as u32], padded(name.as_bytes())].concat()
}

fn group(kind: GroupKind, ordinal: u32, values: &[&[u32]]) -> Vec<u32> {
    let head = vec![word(GROUP, kind as u32), ordinal, values.len() as u32];
    [head, values.concat()].concat()
}

fn address(tag: u8, address: u64) -> [u32; 2] {
    [word(tag, (address >> 32) as u32), address as u32]
}

fn object(at: u64, class: u32, parts: &[&[u32]]) -> Vec<u32> {
    [address(OBJECT, at).to_vec(), vec![class, parts.len() as u32], parts.concat()].concat()
}

fn items(values: &[&[u32]], length: u32) -> Vec<u32> {
    [vec![word(ITEMS, values.len() as u32), length, 0], values.concat()].concat()
}

fn epoch(ordinal: u64) -> Vec<u32> {
    vec![word(EPOCH, 0), ordinal as u32, (ordinal >> 32) as u32]
}

fn small(int: i32) -> [u32; 1] {
    [word(SMALL_INT, int.cast_unsigned())]
}

const LIST: u64 = 0x7fff_1234_5678;

/// Reads all words, cut after every `step` words. Stops at an invalid record.
fn lines(words: &[u32], step: usize) -> (Vec<String>, Option<Bad>) {
    let (mut reader, mut records) = (Reader::default(), Lines::default());
    let mut kept = Vec::new();
    for part in words.chunks(step) {
        kept.extend_from_slice(part);
        loop {
            match reader.read(&kept, &mut records) {
                Ok(Progress { used, is_epoch, .. }) => {
                    kept.drain(..used);
                    if !is_epoch {
                        break;
                    }
                }
                Err((_, bad)) => return (records.lines, Some(bad)),
            }
        }
    }
    reader.complete(&mut records);
    (records.lines, None)
}

/// Checks the lines of valid words, whatever they are cut into.
fn check(words: &[u32], expected: &[&str]) {
    for step in [1, 2, 7, usize::MAX] {
        assert_eq!(lines(words, step), (expected.iter().map(|s| s.to_string()).collect(), None));
    }
}

fn program() -> Vec<u32> {
    let list = address(REFERENCE, LIST);
    let text = [word(STR, 5), padded(b"hello")[0], padded(b"hello")[1]];
    let float = 0.5f64.to_bits();
    let long = (-1i64 << 40).cast_unsigned();
    [
        class(0, Sort::List, "list"),
        group(
            GroupKind::Arguments,
            3,
            &[
                &small(-7),
                &text,
                &list,
                &[word(FLOAT, 0), float as u32, (float >> 32) as u32],
                &[word(INT, 0), long as u32, (long >> 32) as u32],
                &[word(CONSTANT, constant::NONE)],
            ],
        ),
        object(LIST, 0, &[&items(&[&small(1), &list], 60)]),
        group(GroupKind::Result, 9, &[&list]),
        epoch(1 << 33),
        class(0, Sort::Instance, "app.Point"),
        [vec![word(SHAPE, 0), 2], vec![1], padded(b"x"), vec![1], padded(b"y")].concat(),
        group(GroupKind::Result, 5, &[&address(SHALLOW, 64), &list]),
        object(64, 0, &[&[word(ATTRIBUTES, 2), 0, small(1)[0], word(CONSTANT, 0)]]),
    ]
    .concat()
}

#[test]
fn groups_and_objects() {
    check(
        &program(),
        &[
            "3 Arguments: -7 'hello' #1 0.5 -1099511627776 None",
            "#1 list [1 #1]/60",
            "9 Result: #1",
            "8589934597 Result: ~2 #1",
            "#2 app.Point x,y=1 Unbound",
        ],
    );
}

/// An address identifies an object only together with the description after the group.
#[test]
fn an_address_that_is_reused_is_another_object() {
    let at = address(REFERENCE, 32);
    let words = [
        class(0, Sort::Tuple, "tuple"),
        group(GroupKind::Result, 1, &[&at]),
        object(32, 0, &[&items(&[&small(1), &address(REFERENCE, 48)], 2)]),
        group(GroupKind::Result, 2, &[&at]),
        object(32, 0, &[&items(&[&small(1), &address(SHALLOW, 48)], 2)]),
        group(GroupKind::Result, 3, &[&at]),
        object(32, 0, &[&items(&[&small(2)], 1)]),
    ]
    .concat();
    let expected = [
        "1 Result: #1",
        "#1 tuple [1 #2]/2",
        "2 Result: #1",
        "#1 tuple [1 ~2]/2",
        "3 Result: #3",
        "#3 tuple [2]/1",
    ];
    check(&words, &expected);
}

/// Numbers of texts, classes and shapes are valid in one chunk only.
#[test]
fn texts_are_numbered_anew_in_each_chunk() {
    let text = [word(STR, 5), padded(b"hello")[0], padded(b"hello")[1]];
    let words = [1, 2, 3].map(|ordinal| group(GroupKind::Result, ordinal, &[&text])).concat();
    let mut reader = Reader::default();
    for _ in 0..2 {
        let mut records = Lines::default();
        reader.read(&words, &mut records).unwrap();
        reader.complete(&mut records);
        reader.sealed();
        reader.ordinal = 0;
        assert_eq!(records.texts, ["hello"]);
        assert_eq!(records.lines, ["1 Result: 'hello'", "2 Result: 'hello'", "3 Result: 'hello'"]);
    }
}

#[test]
fn ordinals_go_on_beyond_32_bits() {
    let words = [
        group(GroupKind::Sent, u32::MAX - 1, &[]),
        epoch((1 << 32) - 1),
        group(GroupKind::Sent, 1 << 31, &[]),
        group(GroupKind::Sent, 1, &[]),
    ]
    .concat();
    assert_eq!(lines(&words, 99).1, Some("a group before the one before"));
    let words = [epoch(u64::from(u32::MAX) - 3), group(GroupKind::Sent, 2, &[])].concat();
    check(&words, &["4294967298 Sent: "]);
    assert_eq!(lines(&epoch(u64::MAX), 99).1, Some("an impossible ordinal"));
    let back = [epoch(9), epoch(8)].concat();
    assert_eq!(lines(&back, 99).1, Some("an epoch before the group before"));
}

#[test]
fn long_ints_are_written_as_python_writes_them() {
    let digit = |n: u128, i: u32| (n >> (30 * i) & 0x3fff_ffff) as u32;
    for n in [0, 7, 1 << 64, 10u128.pow(27) + 5, u128::MAX >> 8] {
        let digits: Vec<u32> = (0..4).map(|i| digit(n, i)).collect();
        let text = n.to_string();
        assert_eq!(written(false, &digits, 4), (text.clone(), text.len() as u64));
        let text = format!("-{text}");
        assert_eq!(written(true, &digits, 4), (text.clone(), text.len() as u64));
        // The other digits are missing: the text is the beginning of the whole in hexadecimal, with
        // the length of the whole.
        for missing in 1..=2 {
            let whole = n >> 8 << (30 * missing);
            let kept: Vec<u32> = (0..4 - missing).map(|i| digit(n >> 8, i)).collect();
            let (text, length) = written(false, &kept, 4);
            let is_cut = n >> 8 >> (30 * (4 - missing)) != 0;
            if !is_cut && whole != 0 {
                let whole = format!("{whole:#x}");
                assert_eq!(length, whole.len() as u64);
                assert!(whole.starts_with(&text), "{whole} {text}");
                assert!(length - text.len() as u64 <= 30 * missing as u64 / 4 + 1);
            }
        }
    }
    let many = vec![0x3fff_ffff; DECIMAL_MAX + 1];
    let (text, length) = written(true, &many, many.len() as u32);
    let bits = 30 * many.len();
    assert_eq!((text.len(), length), (3 + bits.div_ceil(4), 3 + bits.div_ceil(4) as u64));
}

#[test]
fn invalid_records_are_rejected_and_those_before_are_kept() {
    let none = word(CONSTANT, constant::NONE);
    let list = class(0, Sort::List, "list");
    let dict = class(0, Sort::Dict, "dict");
    let one = group(GroupKind::Result, 4, &[&[none]]);
    let bad: &[(&[u32], &[u32])] = &[
        (&[], &[word(63, 0)]),
        (&[], &[word(GROUP, 99), 5, 0]),
        (&[], &[word(GROUP, 0), 3, 0]),
        (&[], &[word(GROUP, 0), 5, u32::MAX]),
        (&[], &[word(GROUP, 0), 5, 1, word(STR, 25)]),
        (&[], &[word(GROUP, 0), 5, 1, word(CONSTANT, 8)]),
        (&[], &[word(GROUP, 0), 5, 1, word(ITEMS, 0)]),
        (&[], &object(8, 0, &[])),
        (&list, &object(8, 1, &[])),
        (&list, &object(8, 0, &[&items(&[&[none]], 0)])),
        (&list, &object(8, 0, &[&items(&[], 0), &items(&[], 0)])),
        (&list, &object(8, 0, &[&[word(TEXT, 4), 3, 0, 0]])),
        (&list, &object(8, 0, &[&[word(TEXT, 1 << 25), 0, 1]])),
        (&list, &object(8, 0, &[&[word(DIGITS, 1), 0, 1, 1 << 30]])),
        (&list, &object(8, 0, &[&[word(DIGITS, 2), 0, 1, 1, 1]])),
        (&list, &object(8, 0, &[&[word(ATTRIBUTES, 0), 0]])),
        (&list, &object(8, 0, &[&[none]])),
        (&dict, &object(8, 0, &[&items(&[&[none]], 1)])),
        (&dict, &object(8, 0, &[&items(&[&[none], &[none]], 0)])),
        (&[], &class(1, Sort::List, "list")),
        (&[], &[word(CLASS, 0), 99, 0]),
        (&[], &[word(SHAPE, 7), 0]),
        (&[word(SHAPE, 0), 1, 0], &[word(SHAPE, 0), 0]),
        (&list, &[word(CLASS, 1), 1, u32::MAX]),
    ];
    for (before, bad) in bad {
        let words = [*before, &one, *bad, &one].concat();
        for step in [1, usize::MAX] {
            let (lines, what) = lines(&words, step);
            assert!(what.is_some(), "{bad:x?}");
            assert_eq!(lines, ["4 Result: None"], "{bad:x?} {what:?}");
        }
    }
    // The reader does not wait for the end of an endless record.
    let mut endless = vec![word(GROUP, 0), 5, GROUP_WORDS_MAX as u32];
    endless.resize(GROUP_WORDS_MAX + 2, word(STR, 24));
    assert!(lines(&endless, 1 << 14).1.is_some());
    // Nor for the end of a group with endless objects.
    let mut endless = [list, one].concat();
    endless.extend(object(8, 0, &[]).repeat(GROUP_WORDS_MAX));
    assert_eq!(lines(&endless, 1 << 14).1, Some("a group without end"));
}

proptest! {
    #[test]
    fn random_words_do_no_harm(
        noise in prop::collection::vec((0u8..40, 0u32..9, any::<u32>(), any::<bool>()), 0..200),
        step in 1usize..50,
    ) {
        let words: Vec<u32> = noise
            .iter()
            .map(|(tag, payload, any, is_tagged)| match is_tagged {
                true => word(*tag, *payload),
                false => any >> (any % 32),
            })
            .collect();
        lines(&words, step);
    }

    #[test]
    fn damaged_words_do_no_harm(at in 0usize..60, to in any::<u32>(), bit in 0u32..33, step in 1usize..50) {
        let mut words = program();
        let at = at % words.len();
        words[at] = if bit < 32 { words[at] ^ 1 << bit } else { to };
        lines(&words, step);
    }
}
