"""What every command of `dashcam replay` means, in the simplest form: a search over all events of a run.

    python reference.py DASHCAM DB

Takes commands and answers as `DASHCAM replay DB --format json` does: the commands that move, `goto` and `break`. It
is slow and obvious, and agrees with pdb, with which it is compared. `Run` defines the meaning. An answer may have two
more fields:

- `abandoned`: `next` came to where a call was suspended that is never resumed. pdb would wait for it for ever.
- `recorded`: the answer according to the recorded stack, where that stack differs. See `Stacks`.
"""
import json
import subprocess
import sys

BEGINS = ("PY_START", "PY_RESUME", "PY_THROW")
ENDS = ("PY_RETURN", "PY_UNWIND")
# Last is the operand of the next instruction: for RESUME it says what the RESUME follows.
EVENTS = """select e.seq, e.thread_id, e.kind, e.line, c.path, c.qualname, c.name, s.call_id, e.exception, c.kind as code_kind,
                   case when e.kind = 'PY_YIELD' then hex(substr(c.bytecode, e.offset + 4, 1)) end as operand
            from events e join code_objects c using (code_id)
            left join stack_at(e.run_id, e.seq) s on s.depth = 0 {} order by e.seq"""
MANY = 100_000  # events; in larger runs only those where commands stop are read, so there is no `stepi`
AFTER_YIELD_FROM, AFTER_AWAIT = 2, 3


class Stack:
    """A call and those below it on a thread's stack."""

    def __init__(self, call, below, linked=False):
        self.call, self.below, self.linked = call, below, linked

    def depth(self):
        return 0 if self.below is None else 1 + self.below.depth()


class Stacks:
    """The stacks of all threads, event by event.

    What is thrown into a generator or coroutine that awaits another one is thrown into the innermost one at once. Those
    that await it are below it on the stack, as every traceback shows, but no event reports it: they are `linked`
    here. The recording does not have them there.
    """

    def __init__(self, links):
        self.links, self.of_thread, self.awaited_by, self.before = links, {}, {}, {}

    def at(self, event):
        """Returns the stack at the next event."""
        stack = self.of_thread.get(event.thread)
        # A call that raises before it begins: from 3.15 on, a generator expression over what is not iterable.
        if event.kind == "RAISE" and event.seq == event.call:
            stack = Stack(event.call, stack)
        if event.kind in BEGINS:
            if self.links and event.kind == "PY_THROW" and event.exception != "GeneratorExit":
                stack = self.link(event.call, stack)
            if stack is None or stack.call != event.call:
                stack = Stack(event.call, stack)
            elif stack.linked:
                stack = Stack(event.call, stack.below)
            self.awaited_by = {inner: outer for inner, outer in self.awaited_by.items() if outer != event.call}
        left = stack
        if event.kind in ENDS:
            left = stack.below
        elif event.kind == "PY_YIELD":
            self.suspends(event, stack)
            left = stack.below
            while left is not None and left.linked:
                left = left.below
        self.of_thread[event.thread] = left
        if event.kind == "LINE" or event.kind in (*BEGINS, *ENDS, "PY_YIELD"):
            self.before[event.thread] = event, stack
        assert stack is not None and stack.call == event.call, (event.seq, stack)
        return stack

    def suspends(self, event, stack):
        """Notes a call that is suspended where it awaits another one, which is suspended too."""
        inner, of_inner = self.before.get(event.thread, (None, None))
        awaits = int(event.operand, 16) & 3 in (AFTER_YIELD_FROM, AFTER_AWAIT)
        if awaits and inner and inner.kind == "PY_YIELD" and of_inner.below and of_inner.below.call == event.call:
            # An object between the two throws into an asynchronous generator.
            if inner.code_kind != "async_generator":
                self.awaited_by[inner.call] = event.call

    def link(self, call, stack):
        """Returns the stack with the calls that await this call."""
        if stack is not None and stack.linked and stack.call == call:
            return stack  # the call it awaited has ended: it was thrown into together with that
        chain = []
        while call in self.awaited_by:
            call = self.awaited_by[call]
            chain.append(call)
        for call in reversed(chain):
            stack = Stack(call, stack, linked=True)
        return stack


class Event:
    def __init__(self, at, row):
        self.at = at
        self.seq, self.thread, self.kind, self.line, self.path, self.function, self.name, self.call, *rest = row
        self.exception, self.code_kind, self.operand = rest

    def is_line(self, stack=None):
        return self.kind == "LINE" and (stack is None or self.call == stack.call)

    def ends(self, stack):
        return self.kind in ENDS and self.call == stack.call

    def begins(self, stack):
        return self.seq == stack.call


class Run:
    """Where commands lead from an event: to another event, or to None: the run's end, or its start backwards."""

    def __init__(self, events, links):
        stacks = Stacks(links)
        self.events, self.stacks = events, [stacks.at(event) for event in events]
        self.breakpoints, self.abandoned = [], False

    def stack(self, event):
        """Returns the calls at an event, with the event's own on top, even if it ends there."""
        return self.stacks[event.at]

    def later(self, event):
        return (self.events[at] for at in range(event.at + 1, len(self.events)))

    def earlier(self, event):
        return (self.events[at] for at in range(event.at - 1, -1, -1))

    def after(self, event):
        """The later events of its thread."""
        return (e for e in self.later(event) if e.thread == event.thread)

    def before(self, event):
        """The earlier events of its thread, backwards."""
        return (e for e in self.earlier(event) if e.thread == event.thread)

    def step(self, event):
        return next((e for e in self.after(event) if e.is_line()), None)

    def back_step(self, event):
        return next((e for e in self.before(event) if e.is_line()), None)

    def stepi(self, event):
        return next((e for e in self.after(event) if e.kind == "INSTRUCTION"), None)

    def back_stepi(self, event):
        return next((e for e in self.before(event) if e.kind == "INSTRUCTION"), None)

    def next(self, event):
        """The next line of the call. If the call ends first: the next line of its caller, in the same way."""
        stack = self.stack(event)
        if event.ends(stack):
            return self.next_of(stack.below, event)
        return self.next_of(stack, event)

    def next_of(self, stack, event):
        """The same for a call on the stack of an event."""
        if stack is None:
            return None
        suspended = event if event.kind == "PY_YIELD" and event.call == stack.call else None
        for e in self.later(event):
            if e.is_line(stack):
                return e
            if e.ends(stack):
                return self.next_of(self.stack(e).below, e)
            if e.kind == "PY_YIELD" and e.call == stack.call:
                suspended = e
        if suspended is None:
            return None
        self.abandoned = True
        return self.next_of(self.stack(suspended).below, suspended)

    def finish(self, event):
        """The end of the call; at its end, the end of its caller."""
        stack = self.stack(event)
        stack = stack.below if event.ends(stack) else stack
        return next((e for e in self.later(event) if stack and e.ends(stack)), None)

    def back_next(self, event):
        """The previous line of the call. If the call begins first: that of its caller, in the same way."""
        return self.line_before(self.stack(event), event)

    def back_finish(self, event):
        """The line of the caller that began the call."""
        begin = next(e for e in self.events if e.begins(self.stack(event)))
        return self.line_before(self.stack(begin), begin)

    def line_before(self, stack, event):
        if event.begins(stack):
            return self.line_before(stack.below, event) if stack.below else None
        for e in self.earlier(event):
            if e.is_line(stack):
                return e
            if e.begins(stack):
                return self.line_before(self.stack(e), e)
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
    """Returns the run as it really was, and as it is recorded."""
    ((count,),) = rows(dashcam, db, "select event_count from runs")
    only = "where e.kind = 'LINE' or e.kind like 'PY\\_%' escape '\\'" if count > MANY else ""
    events = [Event(at, row) for at, row in enumerate(rows(dashcam, db, EVENTS.format(only)))]
    return Run(events, links=True), Run(events, links=False)


def answer(run, verb, found, why):
    run.abandoned = False
    here = found() if callable(found) else found
    if here is None:
        why = "start" if verb.startswith("back-") else "end"
        here = run.events[0 if why == "start" else -1]
    answer = {
        "command": verb, "position": here.seq, "thread": here.thread, "event": here.kind, "path": here.path,
        "line": here.line, "function": here.function, "depth": run.stack(here).depth(), "why": why,
    }
    return here, {**answer, "abandoned": True} if run.abandoned else answer


def main(dashcam, db):
    run, recorded = load(dashcam, db)
    by_seq = {event.seq: event for event in run.events}
    here = run.events[0]
    for command in sys.stdin:
        verb, _, argument = command.strip().partition(" ")
        why = "breakpoint" if verb in ("continue", "back-continue") else "step"
        if verb == "break":
            run.break_(argument)
            recorded.break_(argument)
            print(json.dumps({"command": verb}), flush=True)
            continue
        if verb == "goto":
            there, why = by_seq[int(argument)], "goto"
            here, answered = answer(run, verb, there, why)
            _, other = answer(recorded, verb, there, why)
        else:
            move, origin = MOVES[verb], here
            here, answered = answer(run, verb, lambda: move(run, origin), why)
            _, other = answer(recorded, verb, lambda: move(recorded, origin), why)
        if other != answered:
            answered["recorded"] = other
        print(json.dumps(answered), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
