"""Values: a value that is made again equals the original, and no other value is made again."""

import collections
import math
import os
import sys

import dashcam

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def same(a, b):
    """Asserts that two values have the same class and are equal, all the way down."""
    assert type(a) is type(b), (a, b)
    match a:
        case float():
            assert a == b and math.copysign(1, a) == math.copysign(1, b) or a != a and b != b, (a, b)
        case complex():
            same(a.real, b.real)
            same(a.imag, b.imag)
        case dict():
            assert len(a) == len(b), (a, b)
            for pair in zip(a.items(), b.items()):
                same(*pair)
        case list() | tuple() | collections.deque():
            assert len(a) == len(b), (a, b)
            for pair in zip(a, b):
                same(*pair)
            assert getattr(a, "maxlen", None) == getattr(b, "maxlen", None)
        case _:
            assert a == b, (a, b)


def at_return(run, function):
    [call] = run.calls(function)
    return call, call.end


def whole(db):
    import whole as program

    with dashcam.open(db) as recording:
        call, end = at_return(recording.run(), "whole")
        truth = program.whole()
        assert len(truth) > 15 and list(end.locals) == list(truth)
        for name, value in truth.items():
            same(value, end.locals[name])
        assert repr(end.value) == repr(call.result) and "[...]" in repr(end.value)


def apart(db):
    with dashcam.open(db) as recording:
        call, end = at_return(recording.run(), "apart")
        assert call.result == end.value == "apart"
        found = end.locals
        texts = {v.name: v.text for v in end.frame.variables}
        for name in found.keys() - {"cycle", "deep"}:
            assert type(found[name]) is dashcam.Recorded, name
            assert repr(found[name]) == texts[name] == found[name].text
        assert (found["long"].type, found["long"].length) == ("str", 5000)
        assert found["long"].kept == "x" * len(found["long"].kept) != ""
        assert found["bytelong"].kept == b"y" * len(found["bytelong"].kept) != b""
        items = found["items"]
        assert (items.type, items.length) == ("list", 1000)
        assert items.items == list(range(len(items.items))) != []
        assert found["pairs"].items[:2] == [[0, 0], [1, 1]] and found["pairs"].length == 1000
        assert found["many"].type == "frozenset" and found["huge"].type == "int"
        assert found["own"].type == "Own" and found["own"].held == [1, 2]
        point = found["point"]
        assert point.type == "P" and point.object_id > 0
        assert point.attributes["x"] == 1 and point.attributes["y"] == [2, {"z": 3}]
        assert found["error"].type == "set" and found["error"].args is None, found["error"].text
        assert found["function"].type == "function" and found["kind"].type == "type"
        assert found["default"].type == "defaultdict" and found["default"].items == [["a", 1]]
        assert found["third"].type == "Fraction" and found["third"].object_id > 0
        assert (found["red"].type, found["red"].text) == ("Color", "<Color.RED: 1>")
        place = found["place"].attributes
        assert found["place"].type == "Point" and place["x"] == 1 and place["y"].length == 5000
        assert found["token"].text == "<redacted>"
        cycle = found["cycle"]
        assert cycle[0] == 1 and cycle[1].text == "[...]" and len(cycle) == 2
        deep = found["deep"]
        while type(deep) is list:
            [deep] = deep
        assert deep.text == "[...]" and deep.type == "list"
        assert point == point and point != end.run.at(end.seq).locals["point"]


def carried(db):
    with dashcam.open(db) as recording:
        run = recording.run()
        first, second, third = run.calls("parse")
        assert dict(first.arguments) == {"text": "a"} and first.arguments.missing == 0
        same(first.result, {"text": "a", b"k": (1, 2.5, None, True), 3: {1, 2}})
        assert third.result is None and third.row.result is None and third.exit == "unwind"
        assert dict(second.start.value) == {"text": "b"} and second.start.event == "PY_START"
        same(second.end.value, second.result)
        [error] = run.exceptions("type = 'ValueError'")
        assert error.arguments == ("nothing <b>to</b> parse", 3)
        assert error.moment.event == "RAISE" and error.moment.exception == "ValueError"
        assert error.moment.value.args == error.arguments


globals()[sys.argv[1]](sys.argv[2])
