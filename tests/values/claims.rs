//! Single claims about values.

use dashcam_tests::{Python, Recording, program, run, text};

/// Records a program given as text.
fn record(python: &Python, source: &str, options: &[&str]) -> Recording {
    let mut what = vec!["--capture", "calls"];
    what.extend(options);
    what.extend(["-c", source]);
    Recording::new(python, what)
}

#[test]
fn no_code_of_the_program_runs_for_a_value() {
    let script = program("values/hostile.py");
    let levels = ["calls", "state"];
    for (python, level) in Python::all().into_iter().flat_map(|p| levels.map(|l| (p.clone(), l))) {
        let what = ["--capture", level, &script.to_string_lossy()].map(str::to_owned);
        let recording = Recording::new(&python, what);
        assert_eq!(text(&recording.output.stdout), "12\n[]\n", "{python}: {}", recording.printed());
        recording
            .check("select count(*) from events where kind = 'PY_RETURN' and value is null", "0");
        recording.check(
            "select arguments from calls where qualname = 'take' and arguments like '%Hostilelist%' limit 1",
            "value=<Hostilelist object #… []>".replace('…', &first_id(&recording)).as_str(),
        );
    }
}

/// An object that only looks like one of the standard library is written as what it holds.
#[test]
fn imitations_of_the_standard_library_are_recognised() {
    let script = program("values/imitations.py");
    let levels = ["calls", "state"];
    for (python, level) in Python::all().into_iter().flat_map(|p| levels.map(|l| (p.clone(), l))) {
        let what = ["--capture", level, &script.to_string_lossy()].map(str::to_owned);
        let recording = Recording::new(&python, what);
        assert_eq!(text(&recording.output.stdout), "ok\n", "{python}: {}", recording.printed());
        recording.check("select count(*) from losses where kind = 'bad_value'", "0");
        let shown = "select count(*) from calls where qualname = 'show' and result";
        for (like, count) in [
            ("<Fake object #% \\_name\\_=%>", "1"),
            ("<Fake.A: 1>", "1"),
            ("<Fake2 object #%>", "1"),
            ("Fake2(<Fake2 object #%>, <Fake2 object #%>)", "1"),
            ("<Fake3 object #% int=%>", "3"),
            ("Fake4('a/b')", "1"),
            ("<DT object #% datetime.datetime(2024, 1, 2, 0, 0) extra=1>", "1"),
            ("<Dec object #% Decimal('1.5') z=4>", "1"),
            ("<re.Match object #%>", "3"),
            ("<F.A|B: 3>", "1"),
        ] {
            recording
                .check(&format!("{shown} like '{}' escape '\\'", like.replace('\'', "''")), count);
        }
        recording.check(
            "select count(*) from events where value is not null and value_json(value) is null",
            "0",
        );
    }
}

/// Tuples that are made one after the other at one address, and the objects in them.
#[test]
fn an_object_within_another_at_a_used_address_has_its_own_class() {
    let source = "
class A: pass
class B:
    def __init__(self): self.x = 1
def show(v): return v
def round(n):
    show((n, {'k': n}))
    show((n, A()))
    show((n, [n]))
    show((n, B()))
for n in range(50): round(n)
";
    for python in Python::all() {
        for level in ["calls", "state"] {
            let recording = Recording::new(&python, ["--capture", level, "-c", source]);
            for (like, count) in
                [("<A object #%>", 50), ("<B object #%>", 50), ("[%]", 50), ("{%}", 50)]
            {
                let sql = "select count(*) from calls where qualname = 'show' and result like";
                recording.check(&format!("{sql} '(%, {like})'"), &count.to_string());
            }
        }
    }
}

fn first_id(recording: &Recording) -> String {
    let found = recording.text(
        "select arguments from calls where qualname = 'take' and arguments like 'value=<Hostilelist%' limit 1",
    );
    let id = found.split('#').nth(1).and_then(|rest| rest.split([' ', '>']).next());
    id.unwrap_or_default().to_owned()
}

#[test]
fn redacted_names_do_not_leave_the_program() {
    let source = r#"
class Account:
    def __init__(self, name, password):
        self.name, self.db_password = name, password
class Slotted:
    __slots__ = ("api_key", "other")
    def __init__(self):
        self.api_key, self.other = "topsecret-3", 3
def login(user, Password, pin, **more):
    return {"AUTHORIZATION": Password, "user": user, "pin": pin, "nested": {"token": "topsecret-4"}}
def cell(secret):
    return lambda: secret
a = Account("me", "topsecret-1")
login("me", "topsecret-2", 31415926, access_token="topsecret-5")
cell("topsecret-6")
def take(x): pass
take(Slotted())
take(a)
import functools, re, types, uuid
def held(secret_call, secret_words, secret_found, secret_view, secret_id, secret_day):
    pass
texts = {"x": "topsecret-7"}
held(functools.partial(take, "topsecret-8"), re.compile(".*"), re.compile(".*").match("topsecret-10"),
     texts.values(), uuid.UUID(int=0x746f707365637265742d3131), types.MappingProxyType(texts))
"#;
    // On its way into an argument with a secret name, a value has no name yet.
    let nameless = ["topsecret-7", "topsecret-8", "topsecret-10"];
    for python in Python::all() {
        let recording = record(&python, source, &["--redact", "pin"]);
        let without = record(&python, source, &["--redact", "pin", "--no-c-arguments"]);
        recording.check(
            "select distinct arguments from calls where qualname = 'held'",
            "secret_call=<redacted>, secret_words=<redacted>, secret_found=<redacted>, \
             secret_view=<redacted>, secret_id=<redacted>, secret_day=<redacted>",
        );
        let bytes = std::fs::read(&recording.db).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // The source text itself contains the secrets.
        assert!(!text.is_empty());
        let dump = |recording: &Recording| {
            recording.text("select value from events where value is not null")
                + &recording.text("select arguments, result from calls")
        };
        let named = nameless.iter().fold(dump(&recording), |dump, text| dump.replace(text, ""));
        for dump in [dump(&without), named] {
            assert!(!dump.contains("topsecret") && !dump.contains("31415926"), "{python}: {dump}");
        }
        recording.check(
            "select arguments from calls where qualname = 'login'",
            "user='me', Password=<redacted>, pin=<redacted>, more={'access_token': <redacted>}",
        );
        let open = record(&python, source, &["--no-default-redact"]);
        open.check("select arguments from calls where qualname = 'cell'", "secret='topsecret-6'");
    }
}

#[test]
fn limits_cut_and_say_so() {
    let source = r#"
def take(x): pass
take("x" * 1_000_000)
take(list(range(1_000_000)))
take({i: i for i in range(100_000)})
take([[[[[1]]]]])
take(10 ** 5000)
take(b"y" * 3000)
"#;
    for python in Python::all() {
        let limits =
            ["--max-string", "5", "--max-items", "2", "--max-depth", "2", "--max-digits", "30"];
        let recording = record(&python, source, &limits);
        recording.check(
            "select arguments from calls where qualname = 'take'
             and arguments not like '%0x%' order by call_id",
            "x='xxxxx'… (1000000 characters)
             x=[0, 1, … 999998 more]
             x={0: 0, 1: 1, … 99998 more}
             x=[[[...]]]
             x=b'yyyyy'… (3000 bytes)",
        );
    }
}

#[test]
fn sent_values_are_recorded() {
    let source = r#"
def echo():
    got = None
    while got != "end":
        got = yield [got]
generator = echo()
next(generator)
generator.send(5)
generator.send({"k": (1, 2)})
try:
    generator.send("end")
except StopIteration:
    pass
"#;
    for python in Python::all() {
        let recording = record(&python, source, &[]);
        recording.check(
            "select events.kind, value from events join code_objects using (code_id)
             where qualname = 'echo' and events.kind in ('PY_RESUME', 'PY_YIELD') order by seq",
            "PY_YIELD [None]
             PY_RESUME 5
             PY_YIELD [5]
             PY_RESUME {'k': (1, 2)}
             PY_YIELD [{'k': (1, 2)}]
             PY_RESUME 'end'",
        );
    }
}

#[test]
fn exceptions_have_arguments_cause_and_context() {
    let source = r#"
def fail():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("bad", 3) from error
try:
    fail()
except ValueError:
    pass
"#;
    for python in Python::all() {
        let recording = record(&python, source, &[]);
        recording.check(
            "select exception, value from events where kind = 'RAISE' and line < 7 order by seq",
            "KeyError KeyError('key')
             ValueError ValueError('bad', 3)",
        );
    }
}

#[test]
fn values_survive_sudden_death() {
    let source = "
import os, signal
def last(x): return x
last([1, 2]); last('end')
os.kill(os.getpid(), signal.SIGKILL)
";
    for python in Python::all() {
        let recording = record(&python, source, &[]);
        recording.check(
            "select arguments, result from calls where qualname = 'last' order by call_id",
            "x=[1, 2] [1, 2]
             x='end' 'end'",
        );
        recording.check("select status, capture from runs", "interrupted calls");
    }
}

#[test]
fn json_gives_the_parts() {
    for python in Python::all() {
        let source = "
def f(a, *, k): return {'x': [a, None, True]}
f('it', k=(1, 2.5))
";
        let recording = record(&python, source, &[]);
        recording.check(
            "select value_json(arguments) ->> '$.a', value_json(arguments) -> '$.k', value_json(result) -> '$.x'
             from calls where qualname = 'f'",
            "it [1,2.5] [\"it\",null,true]",
        );
    }
}

#[test]
fn a_damaged_chunk_of_values_costs_its_values_alone() {
    let python = Python::any();
    let source = "
def f(x): return x
f(1)
";
    let recording = record(&python, source, &[]);
    let damage = format!(
        "__import__('sqlite3').connect({:?}, isolation_level=None).execute(\"update value_chunks set data = substr(data, 1, length(data) - 9) || zeroblob(9)\").rowcount",
        recording.db.to_string_lossy()
    );
    assert_eq!(python.eval(&damage), "1");
    let mut query = python.dashcam();
    let sql = "select qualname, arguments, result from calls where qualname = 'f'";
    let output = run(query.arg("query").arg(&recording.db).args([sql, "--format", "csv"]));
    assert_eq!(text(&output.stdout), "qualname,arguments,result\nf,,\n");
    assert!(text(&output.stderr).contains("chunk of values 1"), "{}", text(&output.stderr));
    let output = run(python.dashcam().arg("check").arg(&recording.db));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("chunk of values 1"), "{}", text(&output.stdout));
}

#[test]
fn the_same_from_within() {
    let source = "
import dashcam
def f(x): return [x]
with dashcam.record('within.db', capture='calls', max_string=3, redact='y'):
    f('abcdef')
    f(x={'y': 1})
";
    for python in Python::all() {
        let folder = tempfile::tempdir().unwrap();
        let output = run(python.bare().args(["-c", source]).current_dir(folder.path()));
        assert!(output.status.success(), "{python}: {}", text(&output.stderr));
        let sql = "select arguments, result from calls where qualname = 'f' order by call_id";
        let mut query = python.dashcam();
        let db = folder.path().join("within.db");
        let output = run(query.arg("query").arg(db).args([sql, "--format", "csv"]));
        assert_eq!(
            text(&output.stdout),
            "arguments,result\nx='abc'… (6 characters),['abc'… (6 characters)]\n\
             x={'y': <redacted>},[{'y': <redacted>}]\n",
            "{python}"
        );
    }
}

/// The event itself says that its value is None, whichever way the recording was made. Without
/// values it says nothing.
#[test]
fn none_is_a_value_like_any_other() {
    let source = "
def f(a):
    if a:
        return None
    return a
def g():
    x = yield 1
    yield
    yield x
for a in 0, 1:
    f(a)
i = g()
next(i), i.send(5), next(i), list(i)
";
    let sql = "select group_concat(kind || ' ' || value, ', ') from events
               where kind in ('PY_RETURN', 'PY_YIELD', 'PY_RESUME')";
    let expected = "PY_RETURN 0, PY_RETURN None, PY_YIELD 1, PY_RESUME 5, PY_YIELD None, PY_RESUME None, \
                PY_YIELD 5, PY_RESUME None, PY_RETURN None, PY_RETURN None";
    for python in Python::all() {
        let bare = "--no-c-arguments";
        let calls = record(&python, source, &[bare]);
        let direct = record(&python, source, &[bare, "--events", "direct"]);
        let state = Recording::new(&python, ["--capture", "state", "-c", source]);
        for recording in [&calls, &direct, &state] {
            recording.check(sql, expected);
        }
        // The groups of four calls, of 0 that is returned, 1 that is yielded, 5 that is sent and
        // yielded.
        let groups = "select sum(group_count) from value_chunks";
        calls.check(groups, "8");
        let flow = Recording::new(&python, ["--capture", "flow", "-c", source]);
        flow.check("select count(value) from events", "0");
    }
}

/// Values from expressions that use a secret name are passed on, in every form.
#[test]
fn redacted_names_are_not_handed_to_c_code() {
    let source = r#"
class User:
    password = "pw-1"
    def get(self):
        return hash(self.password)
class Mixin:
    def __init__(self, password):
        pass
class Key(tuple, Mixin):
    pass
def main(user, pairs, password, x, *args, **more):
    hash(user.password); len(user.password.upper()); user.get()
    print(x, password); print(password, x); print(x, password, x)
    "-".join([password, "a"]); str.join("-", (password, "a"))
    print(pairs["password"], "ok"); print(pairs.get("password"), "ok")
    print(f"{password}!"); print(*("a", password)); print("a", *[password])
    print(password if x else 3, "ok"); print(3 if not x else password, "ok")
    print(password or x, "ok"); print(x and password, "ok"); print("ok", password or x)
    print([password for _ in range(2)], "ok"); print((lambda: password)(), "ok")
    password.encode(); password.encode().hex(); encode = password.encode; encode()
    dict(password="pw-8", user="u"); dict(**{"password": "pw-9"}); dict(**more)
    Key(("pw-10",))
    print("plain", "text", x, sep="!")
    return print(password if x else 0)
main(User(), {"password": "pw-2"}, "pw-3", "x", password2="pw-4", my_password="pw-5")
"#;
    for python in Python::all() {
        for level in ["calls", "state"] {
            let recording = Recording::new(&python, ["--capture", level, "-c", source]);
            let dump = recording
                .text("select line, callable, arguments from c_calls where arguments is not null");
            assert!(!dump.contains("pw-"), "{python}, {level}: {dump}");
            recording.check(
                "select arguments from c_calls where arguments like '%plain%' and callable = 'print'",
                "'plain', 'text', 'x', sep='!'",
            );
            let open =
                Recording::new(&python, ["--capture", level, "--no-default-redact", "-c", source]);
            open.check("select count(*) > 15 from c_calls where arguments like '%pw-%'", "1");
        }
    }
}

#[test]
fn calls_of_c_code_have_their_ends() {
    let source = r#"
import os
def key(x):
    return abs(x)
def main():
    sorted([-1, 2], key=key)
    try:
        int("zz")
    except ValueError:
        pass
    try:
        list(map(int, ["q"]))
    except ValueError:
        pass
    for _ in (x for x in [1]):
        len("a")
    os._exit(0)
main()
"#;
    for python in Python::all() {
        for level in ["flow", "state"] {
            let recording = Recording::new(&python, ["--capture", level, "-c", source]);
            let calls = "select line, callable, exception, end_seq is null as open,
                    duration_ns is null as endless from c_calls where path = '<string>' order by seq";
            let expected = [
                "6 sorted - 0 0",
                "4 abs - 0 0",
                "4 abs - 0 0",
                "8 int ValueError 0 0",
                "12 map - 0 0",
                "12 list ValueError 0 0",
                "16 len - 0 0",
                "17 posix._exit - 1 1",
            ];
            assert_eq!(recording.text(calls).trim(), expected.join("\n"), "{python}, {level}");
            recording.check(
                "select sum(c.duration_ns >= l.duration_ns) from c_calls c join c_calls l
                 on l.seq between c.seq and c.end_seq where c.callable = 'sorted' and l.callable = 'abs'",
                "2",
            );
            recording.check(
                "select count(*) from c_calls c join calls using (run_id, call_id)
                 where qualname = 'main' and c.callable = 'sorted'",
                "1",
            );
        }
        let recording = record(&python, source, &["--no-c-arguments"]);
        recording
            .check("select count(*), count(arguments) from c_calls where path = '<string>'", "8 0");
    }
}
