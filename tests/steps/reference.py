"""What every command of `dashcam replay` means, in the plainest words: a search over all events of a run.

    python reference.py DASHCAM DB

Speaks as `DASHCAM replay DB --format json` does: the commands that move, `goto` and `break`. Slow, obvious, and of
one opinion with pdb, with which it is compared. `Run` is the meaning.
"""
import json
import subprocess
import sys

BEGINS = ("PY_START", "PY_RESUME", "PY_THROW")
ENDS = ("PY_RETURN", "PY_UNWIND")
EVENTS = """select e.seq, e.thread_id, e.kind, e.line, c.path, c.qualname, c.name, s.call_id
            from events e join code_objects c using (code_id)
            left join stack_at(e.run_id, e.seq) s on s.depth = 0 {} order by e.seq"""
MANY = 100_000  # events; of more, only those where commands stop are read, so there is no `stepi`


class Event:
    """An event: with the calls on its thread's stack as a chain, the innermost first: (call, chain) or None."""

    def __init__(self, at, row, stacks):
        self.at = at
        self.seq, self.thread, self.kind, self.line, self.path, self.function, self.name, self.call = row
        stack = stacks.get(self.thread)
        if self.kind in BEGINS:
            stack = stacks[self.thread] = (self.call, stack)
        self.stack = stack
        assert stack is not None and stack[0] == self.call, (row, stack)
        if self.kind in (*ENDS, "PY_YIELD"):
            stacks[self.thread] = stack[1]

    def is_line(self, stack=None):
        return self.kind == "LINE" and (stack is None or self.call == stack[0])

    def ends(self, stack):
        return self.kind in ENDS and self.call == stack[0]

    def begins(self, stack):
        return self.seq == stack[0]


class Run:
    """Where commands lead from an event: to another; to none, that is the run's end, or its start backwards."""

    def __init__(self, rows):
        stacks = {}
        self.events = [Event(at, row, stacks) for at, row in enumerate(rows)]
        self.breakpoints = []

    def after(self, event):
        """The later events of its thread."""
        return (e for e in self.later(event) if e.thread == event.thread)

    def before(self, event):
        """The earlier events of its thread, backwards."""
        return (e for e in self.earlier(event) if e.thread == event.thread)

    def later(self, event):
        return (self.events[at] for at in range(event.at + 1, len(self.events)))

    def earlier(self, event):
        return (self.events[at] for at in range(event.at - 1, -1, -1))

    def step(self, event):
        return next((e for e in self.after(event) if e.is_line()), None)

    def back_step(self, event):
        return next((e for e in self.before(event) if e.is_line()), None)

    def stepi(self, event):
        return next((e for e in self.after(event) if e.kind == "INSTRUCTION"), None)

    def back_stepi(self, event):
        return next((e for e in self.before(event) if e.kind == "INSTRUCTION"), None)

    def next(self, event):
        """The next line of the call; where that ends first, of its caller, in the same way."""
        stack = event.stack[1] if event.ends(event.stack) else event.stack
        for e in self.after(event):
            if stack is None:
                return None
            if e.is_line(stack):
                return e
            if e.ends(stack):
                stack = e.stack[1]
        return None

    def finish(self, event):
        """The end of the call; from there that of its caller."""
        stack = event.stack[1] if event.ends(event.stack) else event.stack
        return next((e for e in self.after(event) if stack and e.ends(stack)), None)

    def back_next(self, event):
        """The line before of the call; where that begins first, of its caller, in the same way."""
        return self.line_before(event, event.stack)

    def back_finish(self, event):
        """The line of the caller that began the call."""
        if event.begins(event.stack):
            return self.line_before(event, event.stack[1])
        begin = next((e for e in self.before(event) if e.begins(event.stack)), None)
        return begin and self.line_before(begin, begin.stack[1])

    def line_before(self, event, stack):
        if stack and event.begins(stack):
            stack = stack[1]
        for e in self.before(event):
            if stack is None:
                return None
            if e.is_line(stack):
                return e
            if e.begins(stack):
                stack = e.stack[1]
        return None

    def continue_(self, event):
        return next((e for e in self.later(event) if self.hits(e)), None)

    def back_continue(self, event):
        return next((e for e in self.earlier(event) if self.hits(e)), None)

    def hits(self, event):
        return any(hits(event) for hits in self.breakpoints)

    def break_(self, where):
        path, _, line = where.rpartition(":")
        if line.isdecimal():
            line = int(line)
            self.breakpoints.append(lambda e: e.kind == "LINE" and e.line == line and e.path == path)
        else:
            self.breakpoints.append(lambda e: e.kind == "PY_START" and where in (e.function, e.name))


MOVES = {
    "step": Run.step, "next": Run.next, "finish": Run.finish, "stepi": Run.stepi, "continue": Run.continue_,
    "back-step": Run.back_step, "back-next": Run.back_next, "back-finish": Run.back_finish,
    "back-stepi": Run.back_stepi, "back-continue": Run.back_continue,
}


def rows(dashcam, db, sql):
    query = [dashcam, "query", db, sql, "--format", "jsonl"]
    with subprocess.Popen(query, stdout=subprocess.PIPE, text=True) as process:
        yield from (tuple(json.loads(line).values()) for line in process.stdout)
    assert process.returncode == 0, query


def load(dashcam, db):
    ((count,),) = rows(dashcam, db, "select event_count from runs")
    only = "where e.kind = 'LINE' or e.kind like 'PY\\_%' escape '\\'" if count > MANY else ""
    return Run(rows(dashcam, db, EVENTS.format(only)))


def main(dashcam, db):
    run = load(dashcam, db)
    by_seq = {event.seq: event for event in run.events}
    here = run.events[0]
    for command in sys.stdin:
        verb, _, argument = command.strip().partition(" ")
        why = "breakpoint" if verb in ("continue", "back-continue") else "step"
        if verb == "break":
            run.break_(argument)
        elif verb == "goto":
            here, why = by_seq[int(argument)], "goto"
        else:
            found = MOVES[verb](run, here)
            if found is None:
                why = "start" if verb.startswith("back-") else "end"
            here = found or run.events[0 if why == "start" else -1]
        answer = {
            "command": verb, "position": here.seq, "thread": here.thread, "event": here.kind, "path": here.path,
            "line": here.line, "function": here.function, "depth": depth(here.stack), "why": why,
        }
        print(json.dumps(answer), flush=True)


def depth(stack):
    """Calls below the innermost."""
    return 0 if stack[1] is None else 1 + depth(stack[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
