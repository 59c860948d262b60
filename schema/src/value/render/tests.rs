use std::collections::HashMap;

use proptest::prelude::*;

use super::super::json::value_json;
use super::super::{Form, Style};
use super::*;

/// Objects to write.
#[derive(Debug, Default)]
struct Graph {
    objects: HashMap<ObjectId, Object>,
    texts: Vec<Vec<u8>>,
    classes: Vec<Class>,
    shapes: Vec<Shape>,
}

impl Objects for Graph {
    fn object(&self, id: ObjectId, _at: Moment) -> Option<Cow<'_, Object>> {
        self.objects.get(&id).map(Cow::Borrowed)
    }

    fn text(&self, number: TextNumber) -> &[u8] {
        self.texts.get(number as usize).map_or(&[], |text| text)
    }

    fn class(&self, number: ClassNumber) -> Option<&Class> {
        self.classes.get(number as usize)
    }

    fn shape(&self, number: ShapeNumber) -> Option<&Shape> {
        self.shapes.get(number as usize)
    }
}

impl Graph {
    fn intern(&mut self, text: impl AsRef<[u8]>) -> TextNumber {
        self.texts.push(text.as_ref().to_vec());
        self.texts.len() as TextNumber - 1
    }

    fn str(&mut self, text: impl AsRef<[u8]>) -> Value {
        Value::Str(self.intern(text))
    }

    /// Adds an object of a class that is exact unless its name begins with `app.` or is that of
    /// `Counter`. Objects are numbered from 1.
    fn add(&mut self, sort: Sort, name: &str) -> &mut Object {
        let is_exact = !name.starts_with("app.") && name != "collections.Counter";
        self.classes.push(Class::plain(name, sort, is_exact));
        let id = self.objects.len() as ObjectId + 1;
        let class = self.classes.len() as ClassNumber - 1;
        self.objects.entry(id).or_insert(Object { id, class, ..Object::default() })
    }

    /// Adds an object with items. `more` is the number of items that are not kept.
    fn holds(&mut self, sort: Sort, name: &str, kept: &[Value], more: u64) -> Value {
        let object = self.add(sort, name);
        let entries = if sort == Sort::Dict { kept.len() / 2 } else { kept.len() };
        object.items = Some(Part { kept: kept.to_vec(), length: entries as u64 + more });
        Value::Object(object.id)
    }

    /// Adds an object with a text and its real length.
    fn with_text(&mut self, sort: Sort, name: &str, text: impl AsRef<[u8]>, length: u64) -> Value {
        let kept = self.intern(text);
        let object = self.add(sort, name);
        object.text = Some(Part { kept, length });
        Value::Object(object.id)
    }

    /// Sets the attributes of the object added last.
    fn with(&mut self, attributes: &[(&str, Value)]) -> Value {
        let names = attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.shapes.push(Shape { names });
        let shape = self.shapes.len() as ShapeNumber - 1;
        let id = self.objects.len() as ObjectId;
        let object = self.objects.get_mut(&id).expect("added");
        object.attributes = Some((shape, attributes.iter().map(|(_, value)| *value).collect()));
        Value::Object(id)
    }

    /// Appends an item to an object.
    fn put(&mut self, into: Value, item: Value) {
        let Value::Object(id) = into else { panic!("{into:?}") };
        let items = self.objects.get_mut(&id).and_then(|object| object.items.as_mut());
        let items = items.expect("items");
        items.kept.push(item);
        items.length = items.length.max(1);
    }
}

use Value::{Float, Int as Whole, Shallow};

/// Checks the text of a value and the JSON made from the text.
#[track_caller]
fn check(text: &str, json: &str, make: impl FnOnce(&mut Graph) -> Value) {
    let mut graph = Graph::default();
    let value = make(&mut graph);
    let written = repr(&graph, &value, 0);
    assert_eq!(written, text);
    let read = value_json(&written);
    assert_eq!(read.as_deref(), Some(json), "{written}");
    assert!(is_json(json), "{json}");
}

/// The expected texts of this test and the following ones, up to `other_classes`, were printed by
/// CPython 3.13.
#[test]
fn strs() {
    for (value, text, json) in [
        ("", "''", r#""""#),
        ("it's", r#""it's""#, r#""it's""#),
        (r#"say "it""#, r#"'say "it"'"#, r#""say \"it\"""#),
        (r#"both ' and ""#, r#"'both \' and "'"#, r#""both ' and \"""#),
        ("a\\b\n\r\t\0\x1b\x7f", r"'a\\b\n\r\t\x00\x1b\x7f'", r#""a\\b\n\r\t\u0000\u001b""#),
        ("\u{80}\u{a0}\u{ad}é", r"'\x80\xa0\xadé'", "\"\u{80}\u{a0}\u{ad}é\""),
        ("\u{2028}\u{3000}\u{200b}€", r"'\u2028\u3000\u200b€'", "\"\u{2028}\u{3000}\u{200b}€\""),
        (
            "😀\u{e000}\u{e0001}\u{10ffff}",
            r"'😀\ue000\U000e0001\U0010ffff'",
            "\"😀\u{e000}\u{e0001}\u{10ffff}\"",
        ),
    ] {
        let json = json.replace("\\u001b\"", "\\u001b\u{7f}\"");
        check(text, &json, |graph| graph.str(value));
        check(text, &json, |graph| graph.with_text(Sort::Str, "str", value, 0));
    }
    check(r"'a\udc80'", "\"a\u{fffd}\"", |graph| graph.str(b"a\xed\xb2\x80"));
    check(r"'\ud83d\ude00'", "\"\u{fffd}\u{fffd}\"", |graph| {
        graph.str(b"\xed\xa0\xbd\xed\xb8\x80")
    });
}

#[test]
fn bytes() {
    for (value, text, json) in [
        (&b""[..], "b''", r#""b''""#),
        (b"it's", r#"b"it's""#, r#""b\"it's\"""#),
        (b"'\"", r#"b'\'"'"#, r#""b'\\'\"'""#),
        (
            b"\0\t\n\r\\ ~\x7f\x80\xff",
            r"b'\x00\t\n\r\\ ~\x7f\x80\xff'",
            r#""b'\\x00\\t\\n\\r\\\\ ~\\x7f\\x80\\xff'""#,
        ),
    ] {
        check(text, json, |graph| Value::Bytes(graph.intern(value)));
        // In a bytearray Python also escapes single quotes within double quotes.
        let (text, json) = match text.starts_with("b\"") {
            true => (text.replace('\'', r"\'"), json.replace('\'', r"\\'")),
            false => (text.to_owned(), json.to_owned()),
        };
        let array = format!("bytearray({text})");
        let object = format!(r#"{{"type":"bytearray","args":[{json}]}}"#);
        check(&array, &object, |graph| graph.with_text(Sort::ByteArray, "bytearray", value, 0));
    }
}

#[test]
fn numbers() {
    for (value, text) in [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.5e16, "1.5e+16"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (1e100, "1e+100"),
        (5e-324, "5e-324"),
        (f64::MAX, "1.7976931348623157e+308"),
        (123456789.125, "123456789.125"),
        // Two texts are equally near.
        (2f64.powi(-25), "2.9802322387695312e-08"),
        (-1958416668090513.0 / 8.0, "-244802083511314.12"),
    ] {
        check(text, text, |_| Float(value));
    }
    check("nan", "\"nan\"", |_| Float(-f64::NAN));
    check("inf", "\"inf\"", |_| Float(f64::INFINITY));
    check("-inf", "\"-inf\"", |_| Float(f64::NEG_INFINITY));
    check("-9223372036854775808", "-9223372036854775808", |_| Whole(i64::MIN));
    let long = "-123456789012345678901234567890";
    check(long, long, |graph| graph.with_text(Sort::Int, "int", long, 31));
    for (real, imaginary, text) in [
        (0.0, 0.0, "0j"),
        (0.0, -0.0, "-0j"),
        (0.0, 1.0, "1j"),
        (-0.0, 1.0, "(-0+1j)"),
        (-0.0, -0.0, "(-0-0j)"),
        (-2.5, 0.5, "(-2.5+0.5j)"),
        (1e16, -1e-5, "(1e+16-1e-05j)"),
        (f64::INFINITY, -f64::NAN, "(inf+nanj)"),
        (0.0, f64::NEG_INFINITY, "-infj"),
        (f64::NAN, f64::NEG_INFINITY, "(nan-infj)"),
    ] {
        check(text, &format!("\"{text}\""), |graph| {
            graph.holds(Sort::Complex, "complex", &[Float(real), Float(imaginary)], 0)
        });
    }
}

#[test]
fn constants() {
    for (value, text, json) in [
        (Value::None, "None", "null"),
        (Value::True, "True", "true"),
        (Value::False, "False", "false"),
        (Value::Ellipsis, "Ellipsis", "\"Ellipsis\""),
        (Value::NotImplemented, "NotImplemented", "\"NotImplemented\""),
        (Value::Unbound, "<unbound>", "\"<unbound>\""),
        (Value::Redacted, "<redacted>", "\"<redacted>\""),
        (Value::Unread, "<unread>", "\"<unread>\""),
        (Value::Object(9), "<object #9>", "\"<object #9>\""),
    ] {
        check(text, json, |_| value);
    }
}

#[test]
fn containers() {
    use Sort::*;
    let (one, two) = (Value::Int(1), Value::Int(2));
    for (sort, name, empty, full, json) in [
        (List, "list", "[]", "[1, 2]", "[1,2]"),
        (Tuple, "tuple", "()", "(1, 2)", "[1,2]"),
        (Set, "set", "set()", "{1, 2}", "[1,2]"),
        (FrozenSet, "frozenset", "frozenset()", "frozenset({1, 2})", "[1,2]"),
        (Deque, "collections.deque", "deque([])", "deque([1, 2])", "[1,2]"),
        (Dict, "dict", "{}", "{1: 2}", r#"{"1":2}"#),
        (Dict, "collections.OrderedDict", "OrderedDict()", "OrderedDict({1: 2})", r#"{"1":2}"#),
        (
            Dict,
            "collections.defaultdict",
            "defaultdict(None, {})",
            "defaultdict(None, {1: 2})",
            r#"{"1":2}"#,
        ),
        (Dict, "collections.Counter", "Counter()", "Counter({1: 2})", r#"{"1":2}"#),
    ] {
        let nothing = if sort == Dict { "{}" } else { "[]" };
        check(empty, nothing, |graph| graph.holds(sort, name, &[], 0));
        check(full, json, |graph| graph.holds(sort, name, &[one, two], 0));
    }
    check("(1,)", "[1]", |graph| graph.holds(Tuple, "tuple", &[one], 0));
    check("[(1,), {'a': {2}}]", r#"[[1],{"a":[2]}]"#, |graph| {
        let tuple = graph.holds(Tuple, "tuple", &[one], 0);
        let key = graph.str("a");
        let set = graph.holds(Set, "set", &[two], 0);
        let dict = graph.holds(Dict, "dict", &[key, set], 0);
        graph.holds(List, "list", &[tuple, dict], 0)
    });
    check("{(1, 'a'): None, \"it's\": True}", r#"{"(1, 'a')":null,"it's":true}"#, |graph| {
        let a = graph.str("a");
        let tuple = graph.holds(Tuple, "tuple", &[one, a], 0);
        let its = graph.str("it's");
        graph.holds(Dict, "dict", &[tuple, Value::None, its, Value::True], 0)
    });
    check("deque([1], maxlen=3)", "[1]", |graph| {
        graph.holds(Deque, "collections.deque", &[one], 0);
        graph.with(&[("maxlen", Whole(3))])
    });
    check("defaultdict(<class 'list'>, {1: []})", r#"{"1":[]}"#, |graph| {
        let list = graph.holds(List, "list", &[], 0);
        let factory = graph.with_text(Class, "type", "list", 4);
        graph.holds(Dict, "collections.defaultdict", &[one, list], 0);
        graph.with(&[("default_factory", factory)])
    });
    check("Counter({'l': 2, 'h': 1, 'e': 1})", r#"{"l":2,"h":1,"e":1}"#, |graph| {
        let [h, e, l] = ["h", "e", "l"].map(|letter| graph.str(letter));
        graph.holds(Dict, "collections.Counter", &[h, one, e, one, l, two], 0)
    });
    check("range(0, 3)", r#"{"type":"range","args":[0,3]}"#, |graph| {
        graph.holds(Range, "range", &[Whole(0), Whole(3), one], 0)
    });
    check("range(0, 10, 2)", r#"{"type":"range","args":[0,10,2]}"#, |graph| {
        graph.holds(Range, "range", &[Whole(0), Whole(10), two], 0)
    });
    check("slice(None, 1, None)", r#"{"type":"slice","args":[null,1,null]}"#, |graph| {
        graph.holds(Slice, "slice", &[Value::None, one, Value::None], 0)
    });
}

#[test]
fn arrays() {
    let array = |graph: &mut Graph, code: &str, kept: &[Value], more: u64| {
        let kept_code = graph.intern(code);
        let value = graph.holds(Sort::Array, "array.array", kept, more);
        let id = graph.objects.len() as ObjectId;
        let object = graph.objects.get_mut(&id).expect("added");
        object.text = Some(Part { kept: kept_code, length: 1 });
        value
    };
    check("array('i')", "[]", |graph| array(graph, "i", &[], 0));
    check("array('i', [1, -2])", "[1,-2]", |graph| array(graph, "i", &[Whole(1), Whole(-2)], 0));
    check("array('d', [1.0, nan])", r#"[1.0,"nan"]"#, |graph| {
        array(graph, "d", &[Float(1.0), Float(f64::NAN)], 0)
    });
    check("array('w')", "[]", |graph| array(graph, "w", &[], 0));
    check("array('w', 'hé')", "\"hé\"", |graph| {
        let text = ["h", "é"].map(|letter| graph.str(letter));
        array(graph, "w", &text, 0)
    });
    check("array('w', 'h'… (4 characters))", "\"h…\"", |graph| {
        let text = graph.str("h");
        array(graph, "w", &[text], 3)
    });
}

#[test]
fn exceptions() {
    check("ValueError()", r#"{"type":"ValueError","args":[]}"#, |graph| {
        graph.holds(Sort::Exception, "ValueError", &[], 0)
    });
    // It must not be mistaken for the builtin set.
    let json = r##"{"type":"set","object_id":1,"value":["bad"]}"##;
    check("<set object #1 ('bad',)>", json, |graph| {
        let bad = graph.str("bad");
        graph.holds(Sort::Exception, "set", &[bad], 0)
    });
    check("ValueError('bad')", r#"{"type":"ValueError","args":["bad"]}"#, |graph| {
        let bad = graph.str("bad");
        graph.holds(Sort::Exception, "ValueError", &[bad], 0)
    });
    check("ValueError('bad', 3)", r#"{"type":"ValueError","args":["bad",3]}"#, |graph| {
        let bad = graph.str("bad");
        graph.holds(Sort::Exception, "ValueError", &[bad, Whole(3)], 0);
        graph.with(&[("__cause__", Value::None), ("__context__", Value::None)])
    });
}

#[test]
fn cycles() {
    use Sort::*;
    for (sort, name, text, json) in [
        (List, "list", "[[...]]", r#"["[...]"]"#),
        (Deque, "collections.deque", "deque([[...]])", r#"["[...]"]"#),
        (Tuple, "tuple", "((...),)", r#"["(...)"]"#),
        (Set, "set", "{set(...)}", r#"["set(...)"]"#),
        (FrozenSet, "frozenset", "frozenset({frozenset(...)})", r#"["frozenset(...)"]"#),
        (Dict, "dict", "{1: {...}}", r#"{"1":"{...}"}"#),
        (Dict, "collections.OrderedDict", "OrderedDict({1: ...})", r#"{"1":"..."}"#),
        (
            Dict,
            "collections.defaultdict",
            "defaultdict(None, {1: defaultdict(None, {...})})",
            r#"{"1":"{...}"}"#,
        ),
        // Python itself fails here.
        (Dict, "collections.Counter", "Counter({1: Counter({...})})", r#"{"1":"{...}"}"#),
        (Exception, "E", "E(E(...))", r#"{"type":"E","args":[{"type":"E","args":["..."]}]}"#),
        (
            List,
            "app.L",
            "<app.L object #1 [<app.L object #1 …>]>",
            r#"{"type":"app.L","object_id":1,"value":[{"type":"app.L","object_id":1,"value":"…"}]}"#,
        ),
    ] {
        check(text, json, |graph| {
            let value = graph.holds(sort, name, &[], 0);
            if sort == Dict {
                graph.put(value, Whole(1));
            }
            graph.put(value, value);
            value
        });
    }
    check("defaultdict(<collections.defaultdict object #1>, {})", "{}", |graph| {
        graph.holds(Dict, "collections.defaultdict", &[], 0);
        graph.with(&[("default_factory", Shallow(1))])
    });
    // The attribute is not a factory, but the object itself: writing it must end nevertheless.
    let mut graph = Graph::default();
    let value = graph.holds(Dict, "collections.defaultdict", &[], 0);
    graph.with(&[("default_factory", value)]);
    assert_eq!(
        repr(&graph, &value, 0),
        "defaultdict(defaultdict(<collections.defaultdict object #1>, {...}), {})"
    );
}

#[test]
fn other_classes() {
    use Sort::*;
    check(
        "<app.Point object #1 x=1 y='a'>",
        r#"{"type":"app.Point","object_id":1,"x":1,"y":"a"}"#,
        |graph| {
            let a = graph.str("a");
            graph.add(Instance, "app.Point");
            graph.with(&[("x", Whole(1)), ("gone", Value::Unbound), ("y", a)])
        },
    );
    check("<app.P object #1>", r#"{"type":"app.P","object_id":1}"#, |graph| {
        Value::Object(graph.add(Opaque, "app.P").id)
    });
    check(
        "<app.MyList object #1 [1, 2] extra=3>",
        r#"{"type":"app.MyList","object_id":1,"value":[1,2],"extra":3}"#,
        |graph| {
            graph.holds(List, "app.MyList", &[Whole(1), Whole(2)], 0);
            graph.with(&[("extra", Whole(3))])
        },
    );
    check(
        "<app.Ring object #1 deque([1], maxlen=3) extra=3>",
        r#"{"type":"app.Ring","object_id":1,"value":[1],"extra":3}"#,
        |graph| {
            graph.holds(Deque, "app.Ring", &[Whole(1)], 0);
            graph.with(&[("maxlen", Whole(3)), ("extra", Whole(3))])
        },
    );
    check(
        "<numpy.float64 object #1 1.5>",
        r#"{"type":"numpy.float64","object_id":1,"value":1.5}"#,
        |graph| graph.holds(Instance, "numpy.float64", &[Float(1.5)], 0),
    );
    check(
        "<app.S object #1 'a' x='b'>",
        r#"{"type":"app.S","object_id":1,"value":"a","x":"b"}"#,
        |graph| {
            let b = graph.str("b");
            graph.with_text(Str, "app.S", "a", 1);
            graph.with(&[("x", b)])
        },
    );
    check(
        "<app.f.<locals>.P object #1 x=<function f.<locals>.<lambda>>>",
        r#"{"type":"app.f.<locals>.P","object_id":1,"x":"<function f.<locals>.<lambda>>"}"#,
        |graph| {
            let id = graph.add(Instance, "app.f.<locals>.P").id;
            let f = graph.with_text(Function, "function", "f.<locals>.<lambda>", 0);
            graph.shapes.push(Shape { names: vec!["x".to_owned()] });
            graph.objects.get_mut(&id).expect("added").attributes = Some((0, vec![f]));
            Value::Object(id)
        },
    );
    check("app.f.<locals>.Bad(1)", r#"{"type":"app.f.<locals>.Bad","args":[1]}"#, |graph| {
        graph.holds(Exception, "app.f.<locals>.Bad", &[Whole(1)], 0)
    });
    for (sort, class, name, text) in [
        (Class, "type", "app.Point", "<class 'app.Point'>"),
        (Module, "module", "os.path", "<module 'os.path'>"),
        (Generator, "generator", "f", "<generator object f #1>"),
        (Generator, "async_generator", "f.<locals>.g", "<async_generator object f.<locals>.g #1>"),
        (Function, "builtin_function_or_method", "len", "<function len>"),
    ] {
        check(text, &format!("\"{text}\""), |graph| graph.with_text(sort, class, name, 0));
        check(text, &format!("\"{text}\""), |graph| {
            graph.with_text(sort, class, name, 0);
            Shallow(1)
        });
    }
}

/// Names that are not valid names.
#[test]
fn odd_names() {
    use Sort::*;
    check(
        "<app.P object #1 'a b'=1 'x>'=2 type=3 .0=4>",
        r#"{"type":"app.P","object_id":1,"a b":1,"x>":2,".type":3,".0":4}"#,
        |graph| {
            graph.add(Instance, "app.P");
            graph.with(&[("a b", Whole(1)), ("x>", Whole(2)), ("type", Whole(3)), (".0", Whole(4))])
        },
    );
    check(
        "<app.P object #1 type=3 .type=4>",
        r#"{"type":"app.P","object_id":1,".type":3,"..type":4}"#,
        |graph| {
            graph.add(Instance, "app.P");
            graph.with(&[("type", Whole(3)), (".type", Whole(4))])
        },
    );
    check(
        "<'app.a object #3' object #1>",
        r#"{"type":"app.a object #3","object_id":1}"#,
        |graph| Value::Object(graph.add(Instance, "app.a object #3").id),
    );
    check("<app.a b object #1 (1,)>", r#"{"type":"app.a b","object_id":1,"value":[1]}"#, |graph| {
        graph.holds(Exception, "app.a b", &[Whole(1)], 0)
    });
    check("<function 'a>b'>", r#""<function 'a>b'>""#, |graph| {
        graph.with_text(Function, "function", "a>b", 3)
    });
    // The `<` in the name is not closed by the `>` after it.
    let text = "[<class '<'>, <app.P object #2>]";
    check(text, r#"["<class '<'>",{"type":"app.P","object_id":2}]"#, |graph| {
        let class = graph.with_text(Class, "type", "<", 1);
        let instance = Value::Object(graph.add(Instance, "app.P").id);
        graph.holds(List, "list", &[class, instance], 0)
    });
    check("<class 'a\\'>b\"'>", r#""<class 'a\\'>b\"'>""#, |graph| {
        graph.with_text(Class, "type", "a'>b\"", 5)
    });
}

#[test]
fn contents_that_are_not_shown() {
    use Sort::*;
    for (sort, name, text, json) in [
        (List, "list", "[...]", r#""[...]""#),
        (Tuple, "tuple", "(...)", r#""(...)""#),
        (Set, "set", "{...}", r#""{...}""#),
        (Dict, "dict", "{...}", r#""{...}""#),
        (Str, "str", "<str object #1>", r#"{"type":"str","object_id":1}"#),
        (List, "app.L", "<app.L object #1>", r#"{"type":"app.L","object_id":1}"#),
    ] {
        check(text, json, |graph| {
            graph.holds(sort, name, &[Whole(1)], 0);
            Shallow(1)
        });
        check(text, json, |graph| Value::Object(graph.add(sort, name).id));
    }
    check("'abc'… (1000 characters)", r#""abc…""#, |graph| {
        graph.with_text(Str, "str", "abc", 1000)
    });
    check("b'abc'… (1000 bytes)", r#""b'abc'…""#, |graph| {
        graph.with_text(Bytes, "bytes", "abc", 1000)
    });
    check(
        "bytearray(b'abc'… (1000 bytes))",
        r#"{"type":"bytearray","args":["b'abc'…"]}"#,
        |graph| graph.with_text(ByteArray, "bytearray", "abc", 1000),
    );
    check("0x12ab… (400 characters)", r#""0x12ab…""#, |graph| {
        graph.with_text(Int, "int", "0x12ab", 400)
    });
    check("-0x12ab", r#""-0x12ab""#, |graph| graph.with_text(Int, "int", "-0x12ab", 7));
    let (one, two) = (Value::Int(1), Value::Int(2));
    for (sort, name, text, json, nothing, empty_json) in [
        (List, "list", "[1, 2, … 7 more]", r#"[1,2,"… 7 more"]"#, "[… 7 more]", r#"["… 7 more"]"#),
        (
            Tuple,
            "tuple",
            "(1, 2, … 7 more)",
            r#"[1,2,"… 7 more"]"#,
            "(… 7 more)",
            r#"["… 7 more"]"#,
        ),
        (Set, "set", "{1, 2, … 7 more}", r#"[1,2,"… 7 more"]"#, "set(… 7 more)", r#"["… 7 more"]"#),
        (
            FrozenSet,
            "frozenset",
            "frozenset({1, 2, … 7 more})",
            r#"[1,2,"… 7 more"]"#,
            "frozenset(… 7 more)",
            r#"["… 7 more"]"#,
        ),
        (Dict, "dict", "{1: 2, … 7 more}", r#"{"1":2,"…":7}"#, "{… 7 more}", r#"{"…":7}"#),
        (
            Exception,
            "E",
            "E(1, 2, … 7 more)",
            r#"{"type":"E","args":[1,2,"… 7 more"]}"#,
            "E(… 7 more)",
            r#"{"type":"E","args":["… 7 more"]}"#,
        ),
    ] {
        check(text, json, |graph| graph.holds(sort, name, &[one, two], 7));
        check(nothing, empty_json, |graph| graph.holds(sort, name, &[], 7));
    }
    check("{'ab'… (9 characters): 1}", r#"{"ab…":1}"#, |graph| {
        let key = graph.with_text(Str, "str", "ab", 9);
        graph.holds(Dict, "dict", &[key, one], 0)
    });
}

#[test]
fn arguments_have_names() {
    let mut graph = Graph::default();
    let x = graph.str("x");
    let args = graph.holds(Sort::Tuple, "tuple", &[Whole(2)], 0);
    let kwargs = graph.holds(Sort::Dict, "dict", &[], 0);
    let names = ["a", "b", "cell", "args", "kwargs"];
    let text = arguments(&graph, names, &[Whole(1), x, Value::Unbound, args, kwargs], 0);
    assert_eq!(text, "a=1, b='x', args=(2,), kwargs={}");
    assert_eq!(value_json(&text).as_deref(), Some(r#"{"a":1,"b":"x","args":[2],"kwargs":{}}"#));
    assert_eq!(arguments(&graph, [".0"], &[Whole(1), Whole(2)], 0), ".0=1, .1=2");
    assert_eq!(value_json(".0=1, .1=2").as_deref(), Some(r#"{".0":1,".1":2}"#));
    assert_eq!(arguments(&graph, names, &[], 0), "");
}

/// A text that would be too long, or nested too deeply, ends early and can still be parsed.
#[test]
fn texts_are_bounded() {
    let mut graph = Graph::default();
    let long = graph.str("\u{e000}".repeat(100_000));
    let many = graph.holds(Sort::List, "list", &vec![Whole(1); 100_000], 0);
    let huge = graph.holds(Sort::Dict, "collections.Counter", &vec![Whole(1); 300_000], 0);
    graph.add(Sort::Instance, "app.Empty");
    let empty = graph.with(&vec![("", Value::Unbound); 200_000]);
    let empties = graph.holds(Sort::List, "list", &vec![empty; 10_000], 0);
    let mut deep = Whole(1);
    for _ in 0..1000 {
        deep = graph.holds(Sort::Deque, "app.Deque", &[deep], 0);
    }
    let mut wide = Whole(1);
    for _ in 0..99 {
        wide = graph.holds(Sort::Dict, "collections.defaultdict", &[wide; 100], 0);
    }
    for value in [long, many, huge, empties, deep, wide] {
        let text = repr(&graph, &value, 0);
        assert!(text.contains('…') && text.len() <= TEXT_MAX, "{} {value:?}", text.len());
        let json = value_json(&text).expect("read");
        // The JSON parser of this test refuses such a depth.
        assert!(is_json(&json) || value == deep || value == wide);
    }
    let names: Vec<String> = (0..30_000).map(|at| format!("name_{at}")).collect();
    let text = arguments(&graph, &names, &vec![Whole(1); names.len()], 0);
    assert!(text.ends_with(" more") && text.len() <= TEXT_MAX);
    assert!(value_json(&text).is_some());
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::sample::select(vec![
            Value::Unbound,
            Value::None,
            Value::True,
            Value::Ellipsis,
            Value::NotImplemented,
            Value::Redacted,
            Value::Unread,
        ]),
        any::<i64>().prop_map(Whole),
        any::<f64>().prop_map(Float),
        (0..12u32).prop_map(Value::Str),
        (0..12u32).prop_map(Value::Bytes),
        (0..12u64).prop_map(Value::Object),
        (0..12u64).prop_map(Value::Object),
        (0..12u64).prop_map(Shallow),
    ]
}

fn any_object() -> impl Strategy<Value = Object> {
    let length = prop_oneof![0..9u64, any::<u64>()];
    let text = proptest::option::of((0..12u32, length.clone()));
    let items = proptest::option::of((proptest::collection::vec(any_value(), 0..7), length));
    let attributes = proptest::option::of((0..5u32, proptest::collection::vec(any_value(), 0..5)));
    (0..40u32, text, items, attributes).prop_map(|(class, text, items, attributes)| Object {
        id: 0,
        class,
        text: text.map(|(kept, length)| Part { kept, length }),
        items: items.map(|(kept, length)| Part { kept, length }),
        shown: None,
        attributes,
    })
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "collections.OrderedDict",
            "collections.defaultdict",
            "collections.Counter",
            "collections.deque",
            "app.f.<locals>.C",
            "default_factory",
            "maxlen",
            "b",
            "None",
            "",
        ])
        .prop_map(str::to_owned),
        "[a-c<>'\" #=.…\\\\]{0,9}",
        any::<String>(),
    ]
}

impl Graph {
    /// Sets the form of the class added last.
    fn form(&mut self, style: Style, name: &str, fields: &[&str]) {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self.classes.last_mut().expect("a class").form =
            Form { style, name: name.to_owned(), fields };
    }

    /// Adds an instance with attributes.
    fn instance(&mut self, name: &str, attributes: &[(&str, Value)]) -> Value {
        let names = attributes.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.shapes.push(Shape { names });
        let shape = self.shapes.len() as ShapeNumber - 1;
        let values = attributes.iter().map(|(_, value)| *value).collect();
        let object = self.add(Sort::Instance, name);
        object.attributes = Some((shape, values));
        Value::Object(object.id)
    }
}

#[test]
fn values_of_the_standard_library_are_written_as_python_does() {
    let mut graph = Graph::default();
    let int = Value::Int;
    let expect = |graph: &Graph, value: Value, text: &str, json: &str| {
        assert_eq!(repr(graph, &value, 0), text);
        assert_eq!(value_json(text).as_deref(), Some(json), "{text}");
    };

    let date = graph.holds(Sort::Fields, "datetime.date", &[int(2024), int(1), int(2)], 0);
    graph.form(Style::Call, "datetime.date", &[]);
    expect(&graph, date, "datetime.date(2024, 1, 2)", r#""2024-01-02""#);

    let utc = graph.holds(Sort::Fields, "datetime.timezone", &[], 0);
    graph.form(Style::Call, "datetime.timezone", &[]);
    expect(&graph, utc, "datetime.timezone.utc", r#""datetime.timezone.utc""#);

    let parts = [int(2024), int(1), int(2), int(3), int(4)];
    let moment = graph.holds(Sort::Fields, "datetime.datetime", &parts, 0);
    graph.form(Style::Call, "datetime.datetime", &["fold", "tzinfo"]);
    graph.shapes.push(Shape { names: vec!["tzinfo".to_owned()] });
    let (Value::Object(id), shape) = (moment, graph.shapes.len() as u32 - 1) else { panic!() };
    graph.objects.get_mut(&id).expect("it").attributes = Some((shape, vec![utc]));
    let text = "datetime.datetime(2024, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)";
    expect(&graph, moment, text, r#""2024-01-02T03:04:00+00:00""#);

    let id = graph.instance("uuid.UUID", &[("int", int(5))]);
    graph.form(Style::Uuid, "UUID", &["int"]);
    let text = "UUID('00000000-0000-0000-0000-000000000005')";
    expect(&graph, id, text, r#""00000000-0000-0000-0000-000000000005""#);

    let name = graph.str("RED");
    let red = graph.instance("app.Color", &[("_name_", name), ("_value_", int(1))]);
    graph.form(Style::Member, "Color", &["_name_", "_value_"]);
    expect(&graph, red, "<Color.RED: 1>", r#"{"type":"Color","name":"RED","value":1}"#);

    let point = graph.instance("app.Point", &[("x", int(1)), ("c", red), ("more", int(3))]);
    graph.form(Style::Attributes, "Point", &["x", "c"]);
    let json = r#"{"type":"Point","x":1,"c":{"type":"Color","name":"RED","value":1}}"#;
    expect(&graph, point, "Point(x=1, c=<Color.RED: 1>)", json);

    let named = graph.holds(Sort::Tuple, "app.NT", &[int(1), date], 0);
    graph.form(Style::Items, "NT", &["a", "b"]);
    let json = r#"{"type":"NT","a":1,"b":"2024-01-02"}"#;
    expect(&graph, named, "NT(a=1, b=datetime.date(2024, 1, 2))", json);

    let parts = ["a", "/b/", "./c", ".."].map(|part| graph.str(part));
    let parts = graph.holds(Sort::List, "list", &parts, 0);
    let path = graph.instance("pathlib.PosixPath", &[("_str", Value::Unbound), ("_raw", parts)]);
    graph.form(Style::Path, "PosixPath", &["_str", "_raw"]);
    expect(&graph, path, "PosixPath('/b/c/..')", r#""/b/c/..""#);

    let pattern = graph.str("a+");
    let pattern = graph.holds(Sort::Fields, "re.Pattern", &[pattern, int(32 | 2 | 16)], 0);
    graph.form(Style::Pattern, "re.compile", &[]);
    let json = r#"{"type":"re.compile","args":["a+","re.IGNORECASE|re.DOTALL"]}"#;
    expect(&graph, pattern, "re.compile('a+', re.IGNORECASE|re.DOTALL)", json);
}

/// If a part is missing, or the name is that of another class, the object is written as an
/// instance.
#[test]
fn incomplete_objects_are_written_as_instances() {
    let mut graph = Graph::default();
    let point = graph.instance("app.Point", &[("x", Value::Int(1))]);
    graph.form(Style::Attributes, "Point", &["x", "y"]);
    assert_eq!(repr(&graph, &point, 0), "<app.Point object #1 x=1>");

    let fraction = graph.instance("app.Fraction", &[("x", Value::Int(1))]);
    graph.form(Style::Attributes, "Fraction", &["x"]);
    assert_eq!(repr(&graph, &fraction, 0), "<app.Fraction object #2 x=1>");

    let raised = graph.holds(Sort::Exception, "Fraction", &[Value::Int(1), Value::Int(3)], 0);
    assert_eq!(repr(&graph, &raised, 0), "<Fraction object #3 (1, 3)>");

    let date = graph.holds(Sort::Fields, "app.Day", &[Value::Int(2024)], 0);
    graph.form(Style::Call, "datetime.date", &[]);
    assert_eq!(repr(&graph, &date, 0), "<app.Day object #4 datetime.date(2024)>");
}

fn any_graph() -> impl Strategy<Value = Graph> {
    let form_name =
        prop_oneof![any_name(), "datetime.(date|datetime|time|timezone)", "Decimal|UUID|P"];
    let fields = proptest::collection::vec(prop_oneof![any_name(), "[a-c]"], 0..4);
    let form = (0..Style::ALL.len() as u8, form_name, fields).prop_map(|(style, name, fields)| {
        Form { style: Style::from_number(style).expect("a style"), name, fields }
    });
    let sorts = 0..Sort::ALL.len() as u8;
    let class =
        (any_name(), sorts, any::<bool>(), form).prop_map(|(name, sort, is_exact, form)| Class {
            name,
            sort: Sort::from_number(sort).expect("a sort"),
            is_exact,
            form,
        });
    let text = prop_oneof![
        any_name().prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..9),
        "-?(0x)?[0-9]{1,5}".prop_map(String::into_bytes),
    ];
    let shape = proptest::collection::vec(any_name(), 0..5).prop_map(|names| Shape { names });
    (
        proptest::collection::vec(any_object(), 12),
        proptest::collection::vec(text, 10),
        proptest::collection::vec(class, 38),
        proptest::collection::vec(shape, 4),
    )
        .prop_map(|(objects, texts, classes, shapes)| Graph {
            objects: (0..).zip(objects).collect(),
            texts,
            classes,
            shapes,
        })
}

proptest! {
    /// Whatever the objects are, the text is bounded and can be parsed.
    #[test]
    fn anything_is_written_and_read(graph in any_graph(), values in proptest::collection::vec(any_value(), 1..4)) {
        let text = repr(&graph, &values[0], 0);
        prop_assert!(text.len() <= TEXT_MAX);
        prop_assert!(value_json(&text).is_some_and(|json| is_json(&json)), "{}", text);
        let text = arguments(&graph, ["a", "b c"], &values, 0);
        prop_assert!(text.len() <= TEXT_MAX);
        prop_assert!(value_json(&text).is_some_and(|json| is_json(&json)), "{}", text);
    }
}
