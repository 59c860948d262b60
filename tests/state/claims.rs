//! Single claims about variables and objects.

use dashcam_tests::{Python, Recording, tests_path};

fn record(python: &Python, source: &str) -> Recording {
    Recording::new(python, ["--capture", "state", "-c", source])
}

const SHOP: &str = "\
class Order:
    def __init__(self, items):
        self.items = items
        self.total = 0

def price(order):
    total = 0
    for name, cost in order.items:
        total += cost
    order.total = total
    order.items.append(('shipping', 5))
    del order.items[0]
    return total

order = Order([('book', 20), ('pen', 2)])
price(order)
";

#[test]
fn bindings_and_changes_are_rows() {
    for python in Python::all() {
        let recording = record(&python, SHOP);
        recording.check(
            "select name, line, value from variables v join calls c using (run_id, call_id)
             where c.qualname = 'price' and v.name in ('total', 'cost') order by v.seq",
            "total 7 0
             cost 8 20
             total 9 20
             cost 8 2
             total 9 22",
        );
        recording.check(
            "select m.line, m.type, m.operation, m.key from mutations m
             join calls c using (run_id, call_id) where c.qualname = 'price' and m.line <> 11
             order by m.seq",
            "10 Order set attribute total
             12 list delete item 0",
        );
        recording.check(
            "select type, operation, value like '%(''shipping'', 5)%' from mutations where line = 11",
            "list list.append 1",
        );
        recording.check(
            "select s.depth, s.qualname, s.line from events e, stack_at(e.run_id, e.seq) s
             where e.kind = 'LINE' and e.line = 13 order by s.depth",
            "0 price 13
             1 <module> 16",
        );
        recording.check(
            "select o.type, o.value like '<Order object #% items=[(''pen'', 2), (''shipping'', 5)] total=22>'
             from events e, locals_at(e.run_id, e.seq, 0) l, object_at(e.run_id, l.object_id, e.seq) o
             where e.kind = 'LINE' and e.line = 13 and l.name = 'order'",
            "Order 1",
        );
    }
}

#[test]
fn redacted_names_do_not_leave_the_program() {
    let source = "
def f(user):
    password = 'topsecret-1'
    user.token = 'topsecret-2'
    user.more = {}
    user.more['api_key'] = 'topsecret-3'
    def g():
        nonlocal password
        password = 'topsecret-4'
    g()
    return user
class User: pass
secret = 'topsecret-5'
f(User())
";
    for python in Python::all() {
        let recording = record(&python, source);
        let shown = recording.text("select value from variables where value is not null")
            + &recording.text("select value from mutations")
            + &recording.text(
                "select l.value from events e, locals_at(e.run_id, e.seq) l where e.kind = 'LINE'",
            );
        assert!(!shown.contains("topsecret"), "{python}: {shown}");
        assert!(shown.contains("<redacted>"), "{python}: {shown}");
    }
}

/// The levels `calls` and `flow` record no variables and no changes.
#[test]
fn other_levels_have_no_variables() {
    for python in Python::all() {
        let recording = Recording::new(&python, ["--capture", "calls", "-c", SHOP]);
        recording.check(
            "select (select count(*) from variables) + (select count(*) from mutations)",
            "0",
        );
    }
}

/// Asserts a limit on the size of the file in bytes: it holds values and events, besides the source
/// texts and code objects that are kept once.
#[test]
fn recordings_of_a_loop_and_a_recursion_are_small() {
    let programs = [
        ("d = {}\ndef f():\n    for i in range(30_000):\n        d[i] = i * i\nf()", 1_000_000),
        (
            "def fib(n):\n    if n < 2: return n\n    a = fib(n - 1)\n    return a + fib(n - 2)\nfib(20)",
            300_000,
        ),
    ];
    for python in Python::all() {
        for (source, most) in programs {
            let recording = record(&python, source);
            let size = std::fs::metadata(&recording.db).unwrap().len();
            assert!(size <= most, "{python}: {size} bytes: {source}");
        }
    }
}

#[test]
fn a_call_of_a_named_tuples_replace_leaves_other_objects_known() {
    let source = "\
import collections
Point = collections.namedtuple('Point', 'x y')

class Row:
    def __init__(self, n):
        self.n = n

def moved(row, point):
    return point._replace(x=row.n)

rows = [Row(n) for n in range(6000)]
points = [moved(row, Point(0, 1)) for row in rows]
";
    // Before 3.13 objects are examined again each time, so that not all of them can be.
    for python in Python::all().into_iter().filter(|python| python.version > (3, 12)) {
        let recording = record(&python, source);
        recording.check("select count(*) from losses where kind = 'not_looked_at'", "0");
        recording.check(
            "select count(*) from calls where qualname = 'moved'
             and arguments like '%n=5999>%' and result like '%(x=5999, y=1)'",
            "1",
        );
    }
}

/// If no variable of the frame is the instance whose dict is changed, the instance is described
/// again with a later event that leads to it.
#[test]
fn attributes_set_only_through_the_dict_are_recorded_with_the_next_event() {
    let source = r#"
class Box:
    pass

class Many:
    def __init__(self):
        for n in range(40):
            setattr(self, f"a{n}", n)

def put(names, value):
    names["p"] = value

def update(names, value):
    names.update(q=value)

def show(value):
    return value

box, many = Box(), Many()
for n in range(6000, 6003):
    put(box.__dict__, n)
    update(many.__dict__, n)
    show(box)
    show(many)
box.__dict__["p"] = 7000
show(box)
"#;
    for python in Python::all() {
        let recording = record(&python, source);
        let shown = |n: u32, like: &str| {
            let sql = "select count(*) from calls where qualname = 'show' and result like";
            recording.check(&format!("{sql} '{like}'"), &n.to_string());
        };
        for n in 6000..6003 {
            shown(1, &format!("<Box object #% p={n}>"));
            // Not all attributes of so large an object are kept.
            shown(1, &format!("<Many object #%a39=39 q={n}>"));
        }
        shown(1, "<Box object #% p=7000>");
        let object = "object_id = (select max(object_id) from mutations where type = 'Box')";
        recording.check(&format!("select count(*) > 2 from mutations where {object}"), "1");
    }
}

/// Methods of some classes in C know their class. When they are bound, they are objects of a class
/// of their own.
#[test]
fn changes_by_a_bound_method_that_knows_its_class_are_recorded() {
    let source = r#"
import array
def main():
    numbers = array.array("i", [1])
    extend = numbers.extend
    extend([2, 3])
    return numbers
main()
"#;
    for python in Python::all() {
        record(&python, source).check(
            "select line, operation, key, value from mutations where type = 'array.array'",
            "6 array.array.extend 1 2
             6 array.array.extend 2 3",
        );
    }
}

/// CPython puts the module in the place of a lazy import without an event. What the name is bound
/// to is not known until it is bound again, and that is counted.
#[test]
fn a_lazy_import_is_unread_and_counted() {
    for python in Python::all().into_iter().filter(|python| python.version >= (3, 15)) {
        let recording = Recording::new(&python, [tests_path("state/lazy_import.py")]);
        let value = |name: &str| {
            recording.text(&format!(
                "select group_concat(distinct value) from variables v join calls c using (run_id, call_id)
                 join code_objects k using (code_id)
                 where v.name = '{name}' and k.path like '%/lazy_import.py'"
            ))
        };
        assert_eq!(value("json"), "<unread>", "{python}");
        assert_eq!(value("text"), "'[1]'", "{python}");
        assert!(value("found").starts_with("<module 'json'"), "{python}: {}", value("found"));
        recording.check("select count > 0 from losses where kind = 'value_unread'", "1");
    }
}
