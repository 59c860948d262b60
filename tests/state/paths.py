"""Compares everything that can be reached from variables, at every line, with what a recording of that very run says.

    dashcam record --capture state --no-default-redact -o x.db paths.py SAMPLES PROGRAM
    python paths.py check x.db SAMPLES PROGRAM

The first runs PROGRAM beside the recorder. At each LINE event of it, the variables of the frame are written to
SAMPLES, their attributes and items too, two levels deep, those of builtin types as `repr` gives them. The second
asks the recording for each of these paths, and fails if one is said to be something else; also if something that
differs from the frame's line before has no write between the two lines. Variables in a comment that begins with
`# Writes not followed:` are asked for their values alone.
"""

import json
import re
import sys

sys.path.insert(0, __file__.rpartition("/")[0])
from sampled import OBJECTS, Beyond, namespace, text

# How often one line is looked at.
TIMES = 60
ATTRIBUTES = ITEMS = 8


def reach(path, value, found, depth=0):
    """Enters into `found` what a path leads to, and what is within that."""
    try:
        found[path] = text(value, [OBJECTS])
    except Beyond:
        pass
    if depth == 2:
        return
    kind = type(value)
    within = {}
    if kind.__flags__ & 1 << 9:
        for name, what in list(namespace(value).items())[:ATTRIBUTES]:
            within[f"{path}.{name}"] = what
        for parent in kind.__mro__:
            for name, what in parent.__dict__.items():
                is_slot = type(what).__name__ == "member_descriptor" and parent.__flags__ & 1 << 9
                if is_slot and name.isidentifier() and not name.startswith("__"):
                    try:
                        within[f"{path}.{name}"] = what.__get__(value, kind)
                    except AttributeError:
                        pass
    if issubclass(kind, list):
        count = list.__len__(value)
        places = range(count) if count < ITEMS else (0, 1, count // 2, count * 7 // 10, count - 1)
        within.update((f"{path}[{at}]", list.__getitem__(value, at)) for at in places)
    elif issubclass(kind, tuple):
        within.update((f"{path}[{at}]", tuple.__getitem__(value, at)) for at in range(min(4, len(value))))
    elif issubclass(kind, dict):
        for key in list(dict.keys(value))[:ITEMS]:
            if type(key) in (str, int, bytes):
                within[f"{path}[{key!r}]"] = dict.__getitem__(value, key)
    for inner, what in within.items():
        reach(inner, what, found, depth + 1)


def run(samples, program):
    import types

    monitoring = sys.monitoring
    counts = {}
    out = open(samples, "w")

    def line(code, number, getframe=sys._getframe, dumps=json.dumps):
        if code.co_filename != program:
            return monitoring.DISABLE
        place = (code.co_qualname, number, code.co_firstlineno)
        counts[place] = count = counts.get(place, 0) + 1
        if count > TIMES:
            return None
        frame, found, roots = getframe(1), {}, {}
        for name, value in dict(frame.f_locals).items():
            if name.isidentifier() and not name.startswith("__"):
                reach(name, value, found)
                roots[name] = id(value)
        out.write(dumps([*place, count, id(frame), found, roots]) + "\n")

    with open(program) as source:
        code = compile(source.read(), program, "exec")
    sys.path[0] = program.rpartition("/")[0]
    sys.argv = [program]
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    monitoring.use_tool_id(3, "paths")
    monitoring.register_callback(3, monitoring.events.LINE, line)
    monitoring.set_events(3, monitoring.events.LINE)
    try:
        exec(code, main.__dict__)
    finally:
        monitoring.set_events(3, 0)
        out.close()


def has_changed(path, before, roots_before, now, roots):
    """Whether a path certainly leads to another scalar than at the frame's line before."""
    root = re.match(r"\w+", path)[0]
    # Another frame may have been at the same address, and what a variable holds may be another object.
    if root != path and roots_before.get(root) != roots.get(root):
        return False
    is_scalar = path in before and not any(it[path][0] in "[({" for it in (before, now))
    return is_scalar and before[path] != now[path]


def check(database, samples, program):
    import dashcam

    with open(program) as source:
        unfollowed = re.findall(r"# Writes not followed: (.*)", source.read())
    unfollowed = {name for names in unfollowed for name in names.split()}
    run = dashcam.open(database).runs[-1]
    sql = """select e.seq, e.line, c.qualname, c.first_line from events e join code_objects c using (code_id)
             where e.kind = 'LINE' and c.path = ? order by e.seq"""
    counts, positions = {}, {}
    for row in run.query(sql, (program,)):
        place = (row.qualname, row.line, row.first_line)
        counts[place] = count = counts.get(place, 0) + 1
        positions[(*place, count)] = row.seq
    equal, changes, unknown, wrong, latest = 0, 0, [], [], {}
    with open(samples) as lines:
        wanted = [json.loads(line) for line in lines]
    for qualname, line, first, count, frame, now, roots in wanted:
        seq = positions.get((qualname, line, first, count))
        here = f"{qualname}, line {line}, event {seq}"
        if seq is None:
            wrong.append(f"{here}: is not there")
            continue
        moment = run.at(seq)
        for path, expected in now.items():
            try:
                found = text(moment.evaluate(path), [OBJECTS + 1])
            except (dashcam.DashcamError, Beyond) as error:
                unknown.append(f"{here}: {path} is {expected}: {error}")
                continue
            equal += found == expected
            if found != expected:
                wrong.append(f"{here}: {path} is {expected}, and is said to be {found}")
        seq_before, before, roots_before = latest.get(frame, (seq, {}, {}))
        latest[frame] = (seq, now, roots)
        for path in now:
            if path in unfollowed or not has_changed(path, before, roots_before, now, roots):
                continue
            changes += 1
            try:
                write = moment.last_write(path)
                is_between = write is not None and seq_before <= write.seq < seq
            except dashcam.DashcamError as error:
                write, is_between = error, False
            if not is_between:
                what = f"{path} became {now[path]} from {before[path]} after event {seq_before}"
                wrong.append(f"{here}: {what}, and its last write is said to be {write!r}")
    print(f"{equal} values equal, {len(unknown)} unknown, {changes} changes, {len(wrong)} wrong")
    print(*wrong[:20], sep="\n")
    print(*unknown[:5], sep="\n")
    return 1 if wrong or not equal or not changes else 0


if __name__ == "__main__":
    if sys.argv[1] == "check":
        sys.exit(check(*sys.argv[2:]))
    run(*sys.argv[1:])
