"""Compares what variables held in a program, now and then, with what a recording of that very run says.

    dashcam record --capture state --no-default-redact -o x.db sampled.py SAMPLES EVERY PART MODULE [ARGS…]
    python sampled.py check DASHCAM x.db SAMPLES

The first runs MODULE as `python -m` does, beside the recorder: at every EVERYth LINE event of code whose path
contains PART, none of which may have run before, the variables of its frame are written to SAMPLES as `repr` gives
them, if they are of builtin types and within the recorder's limits, and so are attributes of instances among them.
The event is known again by code object, line, and how often that line was begun. The second prints how many are
equal, unknown and wrong in the recording, and fails if any is wrong.
"""

import json
import os
import sys

STRING, ITEMS, DEPTH, OBJECTS = 200, 50, 3, 16
# Attributes of one instance that are looked at.
ATTRIBUTES = 6
SCALARS = (int, float, complex, bool, type(None))


class Beyond(Exception):
    pass


def text(value, left, depth=0):
    """What `repr` gives of a builtin value within the limits; `left` is how many objects may still come."""
    kind = type(value)
    if kind is int and abs(value) >= 10**300:
        raise Beyond
    if kind in SCALARS:
        return repr(value)
    left[0] -= 1
    if left[0] < 0:
        raise Beyond
    if kind in (str, bytes):
        # Which others are printable depends on the version.
        if len(value) > STRING or kind is str and not value.isascii():
            raise Beyond
        return repr(value)
    if depth >= DEPTH or kind not in (list, tuple, dict, set) or len(value) > ITEMS:
        raise Beyond
    if kind is dict:
        pairs = [f"{text(k, left, depth + 1)}: {text(v, left, depth + 1)}" for k, v in dict.items(value)]
        return f"{{{', '.join(pairs)}}}"
    items = [text(item, left, depth + 1) for item in value]
    if kind is tuple:
        return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"
    if kind is set:
        return f"{{{', '.join(sorted(items))}}}" if items else "set()"
    return f"[{', '.join(items)}]"


def namespace(value):
    """An instance's own attributes, no code of its class run to have them."""
    classes = type.__dict__["__mro__"].__get__(type(value))
    own = [type.__dict__["__dict__"].__get__(c) for c in classes]
    if type(value) in (type, type(sys)) or issubclass(type(value), (type, BaseException)):
        return {}
    for names in own:
        if "__dict__" in names and type(names["__dict__"]) is not type(type.__dict__["__dict__"]):
            return {}
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    # What a property or slot of the class hides is no attribute by that name.
    hidden = {name for names in own for name, what in names.items() if hasattr(type(what), "__set__")}
    return {k: v for k, v in attributes.items() if type(k) is str and k.isidentifier() and k not in hidden}


def held(variables):
    found = {}
    for name, value in variables.items():
        parts = {name: value}
        if name.isidentifier() and type(value).__flags__ & 1 << 9:
            attributes = list(namespace(value).items())[:ATTRIBUTES]
            parts = {f"{name}.{attribute}": value for attribute, value in attributes}
        for path, value in parts.items():
            try:
                found[path] = [type(value) is set, text(value, [OBJECTS])]
            except Beyond:
                pass
    return found


def run(samples, every, part, module, arguments):
    import runpy

    monitoring = sys.monitoring
    counts, seen = {}, [0]
    out = open(samples, "w")

    def line(code, number, getframe=sys._getframe, dumps=json.dumps):
        if part not in code.co_filename:
            return monitoring.DISABLE
        key = (code.co_filename, code.co_qualname, number)
        counts[key] = count = counts.get(key, 0) + 1
        seen[0] += 1
        if seen[0] % every == 0:
            out.write(dumps([*key, count, held(dict(getframe(1).f_locals))]) + "\n")

    monitoring.use_tool_id(3, "samples")
    monitoring.register_callback(3, monitoring.events.LINE, line)
    sys.argv = [module, *arguments]
    sys.path[0] = os.getcwd()
    monitoring.set_events(3, monitoring.events.LINE)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        monitoring.set_events(3, 0)
        out.close()


def query(program, database, sql):
    import csv
    import subprocess

    csv.field_size_limit(1 << 30)
    command = [program, "query", database, sql, "--format", "csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="surrogateescape") as process:
        yield from csv.DictReader(process.stdout)
    if process.returncode:
        raise SystemExit(f"dashcam query ended with {process.returncode}")


def check(program, database, samples):
    import dashcam

    wanted = {}
    with open(samples) as lines:
        for line in lines:
            path, qualname, number, count, variables = json.loads(line)
            wanted[path, qualname, number, count] = variables
    codes = {}
    for row in query(program, database, "select code_id, path, qualname from code_objects"):
        codes[row["code_id"]] = (row["path"], row["qualname"])
    places = {key[:3] for key in wanted}
    needed = [code for code, place in codes.items() if any(key[:2] == place for key in places)]
    sql = f"select seq, code_id, line from events where kind = 'LINE' and code_id in ({','.join(needed)}) order by seq"
    counts, found = {}, []
    for row in query(program, database, sql):
        place = (*codes[row["code_id"]], int(row["line"]))
        if place in places:
            counts[place] = count = counts.get(place, 0) + 1
            if (*place, count) in wanted:
                found.append((int(row["seq"]), wanted[*place, count], place))
    equal = attributes = 0
    unknown, wrong = [], []
    run = dashcam.open(database).runs[-1]
    for begin in range(0, len(found), 400):
        part = {seq: (variables, place) for seq, variables, place in found[begin : begin + 400]}
        seqs = ",".join(map(str, part))
        rows = {}
        sql = f"select e.seq, l.name, l.value from events e, locals_at(e.run_id, e.seq, 0) l where e.seq in ({seqs})"
        for row in query(program, database, sql):
            rows.setdefault(int(row["seq"]), {})[row["name"]] = row["value"]
        for seq, (variables, place) in part.items():
            moment = None
            for name, (is_set, expected) in variables.items():
                here = f"{place}, event {seq}: {name} was {expected}, and is said to be"
                if "." in name:
                    try:
                        moment = moment or run.at(seq)
                        shown = text(moment.evaluate(name), [OBJECTS + 1])
                    except (dashcam.DashcamError, Beyond) as error:
                        unknown.append(f"{here} {error!r}")
                    else:
                        attributes += shown == expected
                        if shown != expected:
                            wrong.append(f"{here} {shown}")
                    continue
                shown = rows.get(seq, {}).get(name)
                is_known = shown is not None and not shown.startswith("<") and "<unread>" not in shown
                if not is_known or any(cut in shown for cut in ("[...]", "{...}", "(...)")):
                    unknown.append(f"{here} {shown}")
                elif shown == expected or is_set and sorted(shown) == sorted(expected):
                    equal += 1
                else:
                    wrong.append(f"{here} {shown}")
    # Whether another object of the same class is at an address is not known for certain before 3.13.
    most = 0 if sys.version_info >= (3, 13) else 1 + equal // 1000
    print(
        f"{len(found)} of {len(wanted)} lines found: {equal} variables and {attributes} attributes equal, "
        f"{len(unknown)} unknown, {len(wrong)} wrong"
    )
    print(*wrong[:20], *unknown[:20], sep="\n")
    return 1 if len(wrong) > most or len(found) < len(wanted) or not equal else 0


if __name__ == "__main__":
    if sys.argv[1] == "check":
        sys.exit(check(*sys.argv[2:]))
    run(sys.argv[1], int(sys.argv[2]), *sys.argv[3:5], sys.argv[5:])
