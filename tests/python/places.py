"""Positions: the place and what is there are what the tables have."""

import html.parser
import sys

import dashcam

LINES = "select seq from events where kind = 'LINE' and thread_id = ? order by seq"


def line_of(run, marker):
    """Returns the number of the line that contains something."""
    lines = run.source("shop.py").splitlines()
    return next(number for number, line in enumerate(lines, 1) if marker in line)


def raises(kind, words, function, *args, **kwargs):
    try:
        result = function(*args, **kwargs)
    except kind as error:
        assert words in str(error) and "\n" not in str(error), str(error)
    else:
        raise AssertionError(f"no {kind.__name__} but {result!r}")


def locals_and_stack(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        sql = """select seq from events join code_objects using (code_id)
                 where path like '%/shop.py' and events.kind in ('LINE', 'PY_RETURN', 'RAISE')"""
        compared = 0
        for (seq,) in run.query(sql):
            moment = run.at(seq)
            stack = [(f.depth, f.call_id, f.code_id, f.function, f.path, f.line) for f in moment.stack]
            assert stack == run.query("select * from stack_at(?, ?)", [run.run_id, seq])
            for frame in moment.stack:
                rows = run.query(
                    "select name, scope, value, object_id from locals_at(?, ?, ?)",
                    [run.run_id, seq, frame.depth],
                )
                found = [(v.name, v.scope, v.text, v.object_id) for v in frame.variables]
                assert found == rows, (found, rows)
                compared += len(found)
        assert compared > 500
        here = run.at(f"shop.py:{line_of(run, '# here')}")
        variables = here.locals
        assert variables["items"] is variables["same"] and len(variables["items"]) == 2
        assert [item.attributes["price"] for item in variables["items"]] == [4, 6]
        assert variables["password"].text == "<redacted>" and "result" not in variables
        assert here.next().locals["result"] == 5.0
        module = here.stack[-1]
        assert module.function == "<module>" and module.locals == module.globals
        assert {"Item", "main", "threading"} <= set(module.locals) and len(here.globals) == 0


def writes(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        end = run.at(f"shop.py:{line_of(run, 'return total')}")
        assert end.evaluate("total") == 5.0 and end.evaluate("len(items) == 2 and rate < 1") is True
        assert end.evaluate("items[-1].name") == "jam"
        raises(dashcam.DashcamError, "price2", end.evaluate, "items[0].price2")
        raises(dashcam.DashcamError, "column", end.evaluate, "total +")
        # Backwards through the values that were bound: 5.0, 2.0, 0.
        bound, at = [], end
        while at := at.last_write("total"):
            bound.append(at.what)
        assert bound == ["total = 5.0", "total = 2.0", "total = 0"], bound
        first = end.last_write("items")
        assert (first.event, first.what[:15]) == ("PY_START", "argument items "), first.what
        made = end.last_write("items[1].price")
        assert made.function == "Item.__init__" and made.what == "items[1].price = 6", made.what
        assert made.next_write("self.price") is None
        caller = end.stack[1]
        assert caller.evaluate("text") == "" and caller.last_write("text").what == "text = ''"
        way = end.origin("rate")
        assert [link.kind for link in way] == ["argument", "default"], way
        assert way[0].moment.seq == way[0].seq and way[0].value_text == "0.5"
        raises(dashcam.DashcamError, "nope", end.origin, "nope")


def positions(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        [(first, last)] = run.query("select min(seq), max(seq) from events")
        assert (run.start.seq, run.end.seq) == (first, last) == (run.at(0.0).seq, run.at(1.0).seq)
        for row in run.query("select * from events where seq % 37 = 0"):
            m = run.at(row.seq)
            found = (m.seq, m.event, m.process_id, m.thread_id, m.time_ns, m.code_id, m.line)
            wanted = (row.seq, row.kind, row.process_id, row.thread_id, row.time_ns, row.code_id, row.line)
            assert found == wanted
            assert (m.value_text, m.callable, m.exception) == (row.value, row.callable, row.exception)
        line = line_of(run, "total += item.price")
        runs = [row.seq for row in run.query(
            """select seq from events join code_objects using (code_id)
               where events.kind = 'LINE' and line = ? and qualname = 'price'""", [line])]
        assert [run.at(f"shop.py:{line}").seq, run.at(f"shop.py:{line} 2").seq] == runs
        half = run.at("50%")
        assert half == run.at(0.5) and abs(half.seq - (first + last) / 2) < 2
        assert run.at(f"{half.time_ns}ns").time_ns == half.time_ns
        [call] = run.calls("price")
        assert run.at(f"call {call.call_id}") == call.start
        a, b = run.start, run.end
        assert a < b and b > a and a <= run.start and a == run.start and len({a, run.start, b}) == 2
        raises(dashcam.DashcamError, f"no event {last + 1} in run 1; the last is {last}", run.at, last + 1)
        raises(dashcam.DashcamError, "no event -1", run.at, -1)
        raises(dashcam.DashcamError, "shop.py:9999", run.at, "shop.py:9999")
        raises(dashcam.DashcamError, "no position: nowhere", run.at, "nowhere")
        raises(ValueError, "from 0.0 to 1.0", run.at, 1.5)
        raises(TypeError, "a position is", run.at, None)
        raises(TypeError, "a position is", run.at, True)
        raises(dashcam.DashcamError, "no frame 99", a._ask, "locals", depth=99)
        raises(dashcam.DashcamError, "no frame -1", a._ask, "evaluate", expression="1", depth=-1)


def steps(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        lines = [row.seq for row in run.query(LINES, [run.start.thread_id])]
        assert len(lines) > 100
        found = [moment.seq for moment in run.start.steps()]
        assert found == lines
        at, back = run.at(lines[-1]), []
        assert at.step() is None
        while at is not None:
            back.append(at.seq)
            at = at.back()
        assert back == lines[::-1]
        [call] = run.calls("price")
        at = call.start.step()
        within = []
        while at.call_id == call.call_id:
            within.append(at.line)
            at = at.next()
        first = line_of(run, "total = 0")
        assert within == [first + n for n in (0, 1, 2, 1, 2, 1, 3)], within
        assert at.function == "main" and at.line == line_of(run, "return result")
        assert call.start.finish() == call.end
        assert call.end.back_next().line == first + 3 and call.end.back_finish().function == "main"
        at = call.start.stepi()
        assert at.event == "INSTRUCTION" and at.back_stepi() is not None
        assert at.step(follow="task") == at.step()
        other = run.at(next(run.calls("worker")).start_seq)
        assert other.thread_id != run.start.thread_id
        mine = [row.seq for row in run.query(LINES, [other.thread_id]) if row.seq > other.seq]
        assert [moment.seq for moment in other.steps()] == mine != []


def breakpoints(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        starts = [call.start_seq for call in run.calls("parse")]
        raised = [error.seq for error in run.exceptions("type = 'ValueError'")]
        line = line_of(run, "# here")
        wanted = sorted([(seq, 1) for seq in starts] + [(seq, 2) for seq in raised])
        wanted.append((run.at(f"shop.py:{line}").seq, 0))
        places = [f"shop.py:{line}", "parse", "exception ValueError"]
        found, at = [], run.start
        while (at := at.continue_to(*places)) is not None:
            found.append((at.seq, at.breakpoint))
        assert found == wanted and len(wanted) == 5
        found, at = [], run.end
        while (at := at.back_to(*places)) is not None:
            found.append((at.seq, at.breakpoint))
        assert found == wanted[::-1]
        found, at = [], run.start
        while (at := at.continue_to("unhandled")) is not None:
            found.append(at.seq)
        assert found == [error.seq for error in run.exceptions("outcome in ('thread', 'program')")]
        assert run.start.continue_to("exception NoSuchError") is None
        raises(ValueError, "needs a breakpoint", run.start.continue_to)
        raises(dashcam.DashcamError, "no function nothing ran", run.start.continue_to, "nothing")
        raises(dashcam.DashcamError, "no place", run.start.continue_to, "")


def no_state(db):
    with dashcam.open(db) as recording:
        moment = next(recording.run().calls("price")).start
        words = "run 1 has no variables: they are recorded with --capture state"
        raises(dashcam.DashcamError, words, lambda: moment.locals)
        assert words in moment._repr_html_() and moment.stack[0].function == "price"


class Balanced(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], set(), ""

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def shown(thing):
    parser = Balanced()
    parser.feed(thing._repr_html_())
    parser.close()
    assert not parser.open and "script" not in parser.tags, parser.tags
    return parser.text


def notebooks(db):
    recording = dashcam.open(db)
    run = recording.run()
    assert "complete" in shown(recording) and "shop.py" in shown(run)
    here = run.at(f"shop.py:{line_of(run, '# here')}")
    text = shown(here)
    assert "→     result = price(items)  # here" in text and "Moment" in text
    assert "markup'<script>alert" not in text and "<script>alert('&')</script>" in text
    # Only the source contains it.
    assert "<redacted>" in text and "hunter2" not in shown(here.locals)
    assert "<b>to</b>" in shown(next(run.exceptions("type = 'ValueError'")))
    assert "parse" in shown(next(run.calls("parse"))) and "items" in shown(here.locals)
    rows = run.query("select seq, kind from events")
    assert "… more" in shown(rows) and len(rows._kept) < 1000 and "PY_START" in shown(rows)
    assert "more" not in shown(run.query("select 1")) and "# here" in shown(here.source)
    for thing in (recording, run, here, here.frame, here.locals, rows, next(run.calls())):
        assert repr(thing) and "\n" not in repr(thing)
    recording.close()
    assert "closed" in shown(recording)


globals()[sys.argv[1]](sys.argv[2])
