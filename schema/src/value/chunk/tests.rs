use super::*;
use crate::value::{Class, Object, Part, Shape, Sort};
use proptest::prelude::*;
use std::collections::BTreeMap;

const LEVEL: i32 = 3;

/// An input of the builder.
#[derive(Debug, Clone)]
enum Push {
    Group(u64, GroupKind, Vec<Value>),
    Object(Object),
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Unbound),
        Just(Value::None),
        Just(Value::True),
        Just(Value::Redacted),
        any::<i64>().prop_map(Value::Int),
        (-3i64..3).prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        (0u32..6).prop_map(Value::Str),
        (0u32..6).prop_map(Value::Bytes),
        (1u64..9).prop_map(Value::Object),
        (1u64..9).prop_map(Value::Shallow),
        any::<u64>().prop_map(Value::Object),
    ]
}

fn part() -> impl Strategy<Value = Part<Vec<Value>>> {
    (prop::collection::vec(values(), 0..6), any::<bool>(), any::<u64>()).prop_map(
        |(kept, is_cut, length)| {
            let length = if is_cut { length } else { kept.len() as u64 };
            Part { kept, length }
        },
    )
}

fn objects() -> impl Strategy<Value = Object> {
    let text = prop::option::of((0u32..6, any::<u64>()));
    let text = text.prop_map(|text| text.map(|(kept, length)| Part { kept, length }));
    let attributes = prop::option::of((Just(1u32), prop::collection::vec(values(), 3..=3)));
    (1u64..5, 0u32..2, text, prop::option::of(part()), attributes).prop_map(
        |(id, class, text, items, attributes)| Object {
            id,
            class,
            text,
            items,
            shown: None,
            attributes,
        },
    )
}

fn groups() -> impl Strategy<Value = Push> {
    let kind = prop::sample::select(GroupKind::ALL.to_vec());
    // The builder finds the forms of groups with few values in another way than those of others.
    let values = prop_oneof![
        4 => prop::collection::vec(values(), 0..4),
        1 => prop::collection::vec(values(), 14..18),
    ];
    (0u64..3, kind, values).prop_map(|(delta, kind, values)| Push::Group(delta, kind, values))
}

fn pushes() -> impl Strategy<Value = Vec<Push>> {
    let push = prop_oneof![groups(), objects().prop_map(Push::Object)];
    (groups(), prop::collection::vec(push, 0..60)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

fn builder() -> Builder {
    let mut builder = Builder::default();
    for text in ["", "a", "it's", "ünïcode", "long enough to be an object", "\u{1f600}"] {
        builder.text(text.as_bytes());
    }
    for (name, sort) in [("list", Sort::List), ("app.Point", Sort::Instance)] {
        builder.class(Class::plain(name, sort, true));
    }
    builder.shape(Shape { names: vec![] });
    builder.shape(Shape { names: ["x", "y", "z"].map(str::to_owned).to_vec() });
    builder
}

/// The values as text that has floats to the last bit, since NaN is not equal to itself.
fn bits(values: &[Value]) -> String {
    let bits = |value: &Value| match value {
        Value::Float(float) => format!("Float({:x})", float.to_bits()),
        other => format!("{other:?}"),
    };
    values.iter().map(bits).collect::<Vec<_>>().join(",")
}

fn object_bits(object: &Object) -> String {
    let items = object.items.as_ref().map(|items| (bits(&items.kept), items.length));
    let attributes = object.attributes.as_ref().map(|(shape, values)| (*shape, bits(values)));
    format!("{} {} {:?} {items:?} {attributes:?}", object.id, object.class, object.text)
}

fn sealed(pushes: &[Push]) -> Vec<u8> {
    let mut builder = builder();
    let mut ordinal = 100;
    for push in pushes {
        match push {
            Push::Group(delta, kind, values) => {
                ordinal += delta;
                builder.group(ordinal, *kind, values);
            }
            Push::Object(object) => builder.object(&object.borrowed()),
        }
    }
    builder.seal(LEVEL).unwrap()
}

proptest! {
    #[test]
    fn descriptions_are_read_back(pushes in pushes()) {
        let read = Values::open(&sealed(&pushes)).unwrap();
        let mut groups = read.groups();
        let (mut ordinal, mut count) = (100, 0);
        let mut objects: BTreeMap<u64, Object> = BTreeMap::new();
        let mut states = Vec::new();
        for push in &pushes {
            match push {
                Push::Group(delta, kind, values) => {
                    states.push((count, objects.clone()));
                    ordinal += delta;
                    count += 1;
                    let group = groups.next().unwrap();
                    prop_assert_eq!((group.ordinal, group.kind), (ordinal, *kind));
                    prop_assert_eq!(bits(group.values), bits(values));
                }
                Push::Object(object) => { objects.insert(object.id, object.clone()); }
            }
        }
        prop_assert!(groups.next().is_none());
        states.push((count, objects));
        for (count, objects) in states {
            for id in 1..5 {
                let found = read.object(id, read.moment(count)).map(|object| object_bits(&object));
                prop_assert_eq!(found, objects.get(&id).map(object_bits));
            }
        }
    }

    #[test]
    fn damage_is_an_error_and_nothing_worse(
        pushes in pushes(), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>(),
    ) {
        let mut bytes = sealed(&pushes);
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(Values::open(&bytes).is_err());
    }

    /// The hashes find nearly all damage. Here the hashes are right and the contents are wrong.
    #[test]
    fn anything_in_the_columns_is_read_or_refused(
        pushes in pushes(),
        damage in prop::collection::vec((0..COLUMNS, any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let bytes = sealed(&pushes);
        let (_, mut header, mut offset): (_, Header, usize) =
            crate::chunk::read_header(&bytes).unwrap();
        let mut columns = Vec::new();
        for column in &header.columns {
            let raw = column.read(&bytes, "", offset, COLUMN_BYTES_MAX).unwrap();
            columns.push((raw, column.count as usize));
            offset += column.packed as usize;
        }
        for (column, at, byte) in damage {
            let raw = &mut columns[column].0;
            if !raw.is_empty() {
                let at = at.index(raw.len());
                raw[at] = byte;
            }
        }
        let mut sealer = crate::chunk::Sealer::new(LEVEL).unwrap();
        sealer.begin();
        let put = |(raw, count): &(Vec<u8>, usize)| sealer.put(raw, *count).unwrap();
        header.columns = columns.iter().map(put).collect();
        let bytes = sealer.finish(crate::chunk::VALUES_MAGIC, &header).unwrap();
        if let Ok(values) = Values::open(&bytes) {
            for value in values.groups().flat_map(|group| group.values.iter()) {
                if let Value::Object(id) | Value::Shallow(id) = value {
                    drop(values.object(*id, u32::MAX));
                }
            }
        }
    }
}

/// A form is parsed before it is known whether a record uses it, and then takes ten times its
/// bytes.
#[test]
fn forms_are_bounded() {
    let mut form = vec![Tag::Int as u8; COLUMN_BYTES_MAX];
    form[0] = 0;
    let mut sealer = crate::chunk::Sealer::new(LEVEL).unwrap();
    sealer.begin();
    let mut columns = Vec::new();
    for column in 0..COLUMNS {
        columns.push(if column == Column::FormLengths as usize {
            sealer.put_ints(&[form.len() as u32]).unwrap()
        } else if column == Column::Forms as usize {
            sealer.put(&form, 1).unwrap()
        } else if column == Column::Definitions as usize {
            sealer.put(&[0, 0], 1).unwrap()
        } else if column == Column::Texts as usize {
            sealer.put(&[], 1).unwrap()
        } else if column == Column::IntModes as usize {
            sealer.put(&form[1..].iter().map(|_| 0).collect::<Vec<u8>>(), 1).unwrap()
        } else {
            sealer.put_ints::<u32>(&[]).unwrap()
        });
    }
    let header = Header { groups: 0, first_ordinal: 0, last_ordinal: 0, columns };
    let bytes = sealer.finish(crate::chunk::VALUES_MAGIC, &header).unwrap();
    let error = Values::open(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than there may be"), "{error}");
}

#[test]
fn a_builder_is_empty_after_sealing() {
    let mut builder = builder();
    builder.group(7, GroupKind::Result, &[Value::Str(1)]);
    assert_eq!((builder.first_ordinal(), builder.groups()), (Some(7), 1));
    builder.seal(LEVEL).unwrap();
    assert!(builder.is_empty());
    builder.group(1, GroupKind::Result, &[Value::Str(0)]);
    assert!(builder.seal(LEVEL).is_err(), "the texts of the previous chunk are gone");
}

#[test]
fn equal_texts_are_one() {
    let mut builder = Builder::default();
    assert_eq!([builder.text(b"a"), builder.text(b"b"), builder.text(b"a")], [0, 1, 0]);
}

/// Calls of methods with two objects, a small int and None. They return None, and some change
/// attributes.
#[test]
fn a_call_takes_few_bytes() {
    let mut builder = Builder::default();
    let class = Class::plain("Task", Sort::Instance, false);
    let class = builder.class(class);
    let names = ["link", "ident", "priority", "count"].map(str::to_owned).to_vec();
    let shape = builder.shape(Shape { names });
    let calls = 50_000u64;
    let mut random = 1u64;
    for call in 0..calls {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let (id, other) = (1 + (random >> 33) % 6, 1 + (random >> 40) % 12);
        let arguments =
            [Value::Object(id), Value::Object(other), Value::Int(random as i64 >> 61), Value::None];
        builder.group(2 * call, GroupKind::Arguments, &arguments);
        if call % 3 == 0 {
            let attributes = [
                Value::Shallow(other),
                Value::Int(id as i64),
                Value::Int(1000),
                Value::Int(call as i64),
            ];
            builder.object(&Object {
                id,
                class,
                attributes: Some((shape, &attributes)),
                ..Object::default()
            });
        }
        builder.group(2 * call + 1, GroupKind::Result, &[Value::None]);
    }
    let bytes = builder.seal(LEVEL).unwrap().len() as f64 / calls as f64;
    assert!(bytes < 4.0, "{bytes:.2} bytes per call");
}
