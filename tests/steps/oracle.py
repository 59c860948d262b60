"""The independent witness of stepping: where pdb's own machinery stops.

    python oracle.py OUT SCOPE PROGRAM < SEQUENCES

SEQUENCES has a JSON array of commands on each line (`step`, `next`, `finish`, `continue`; `break FILE:LINE` and
`clear`, which do not move). For each array PROGRAM is run as `__main__`, in a process of its own, under `bdb.Bdb`,
which is all of pdb but its user interface. OUT gets a JSON array on each line: the stops, the first of which is at
the program's first line:

    [kind, ordinal, path, qualified name, line]

of kind `line`, `return` or `end`. The ordinal counts the events of KINDS in the program's first thread, in code of
files that begin with SCOPE, from 0, as `sys.monitoring` reports them beside pdb: it says exactly which execution of
the line this is. `end`, after which nothing follows, has only its kind.

What pdb's user does here: skips `--Call--` and exceptions; gives the same command again in files outside of SCOPE;
at `--Return--`, `next` and `finish` refer to the caller. In four things this differs from pdb:

- Where a generator or coroutine ends, for good, pdb does not stop; it stops at the next `StopIteration` wherever
  that is, or never if there is none, as for a closed generator or a task. Here it stops where it ends.
- `sys.settrace` reports a jump back to the line it comes from as a line; there is no LINE event then.
- From 3.14 on pdb skips the line on which it got the command to continue, if that line comes again.
- Where a frame ends at an instruction without a line, as after `except*`, pdb fails.
"""
import bdb
import dis
import json
import os
import sys
import threading

M, E = sys.monitoring, sys.monitoring.events
KINDS = ("PY_START", "PY_RESUME", "PY_THROW", "PY_RETURN", "PY_YIELD", "PY_UNWIND", "LINE")
YIELDS = (dis.opmap["YIELD_VALUE"],)
JUMPS = (dis.opmap["JUMP_BACKWARD"],)
SUSPENDABLE = 0x20 | 0x80 | 0x200  # co_flags of generators, coroutines, asynchronous generators
REPEATS = 1_000_000  # more than any program here needs; after a wrong stop this would never end


class Witness:
    """Counts events of one thread, by plain `sys.monitoring`, which calls `sys.settrace` first: for an event at which
    pdb stops, only the events before it have been counted here."""

    def __init__(self, scope):
        self.scope, self.count, self.last = scope, 0, (None, None, None)
        self.bytecode = {}  # of code objects by id, and the objects; `co_code` makes it anew each time
        self.main = threading.get_ident()
        M.use_tool_id(M.PROFILER_ID, "oracle")
        for kind in (*KINDS, "INSTRUCTION", "JUMP"):
            M.register_callback(M.PROFILER_ID, getattr(E, kind), self.counter(kind))
        M.set_events(M.PROFILER_ID, sum(getattr(E, kind) for kind in KINDS))

    def counter(self, kind, get_ident=threading.get_ident):
        counts, begins = kind in KINDS, kind == "PY_START"

        def callback(code, place, *_):
            if get_ident() == self.main:
                self.last = kind, code, place
                within = code.co_filename.startswith(self.scope)
                self.count += counts and within
                if begins and (within or code.co_flags & SUSPENDABLE):
                    M.set_local_events(M.PROFILER_ID, code, E.INSTRUCTION | E.JUMP)

        return callback

    def executes(self, frame, opcodes):
        """Whether the frame is within one of these instructions, and no other event of it was reported yet."""
        kind, code, offset = self.last
        if kind != "INSTRUCTION" or code is not frame.f_code:
            return False
        if id(code) not in self.bytecode:
            self.bytecode[id(code)] = code.co_code, code
        return self.bytecode[id(code)][0][offset] in opcodes


class Debugger(bdb.Bdb):
    def __init__(self, witness, commands, out):
        super().__init__()
        self.witness, self.commands, self.out = witness, iter(commands), out
        self.command, self.repeats = "step", 0

    def run_code(self, code, namespace):
        self.reset()
        self.bottom = sys._getframe()
        sys.settrace(self.trace_dispatch)
        try:
            exec(code, namespace)
        except BaseException:
            pass  # its traceback does not matter here
        sys.settrace(None)
        self.tell(["end"])

    def trace_dispatch(self, frame, event, value):
        try:
            return super().trace_dispatch(frame, event, value)
        except BaseException as error:
            fail(error)  # pdb would print it and stop tracing
        finally:
            self.enterframe = None  # it would keep alive what the frame holds

    def dispatch_line(self, frame):
        jumps = self.witness.executes(frame, JUMPS)
        return self.trace_dispatch if jumps else super().dispatch_line(frame)

    def dispatch_return(self, frame, arg):
        suspends = self.witness.executes(frame, YIELDS)
        if frame is self.stopframe and frame.f_code.co_flags & SUSPENDABLE and not suspends:
            self.user_return(frame, arg)
            return self.trace_dispatch
        return super().dispatch_return(frame, arg)

    def stop_here(self, frame):
        if frame.f_lineno is None:
            return self.stopframe is None or frame is self.stopframe and self.stoplineno != -1
        return super().stop_here(frame)

    def user_line(self, frame):
        self.stop("line", frame)

    def user_return(self, frame, value):
        # `step` skips it too: it goes from line to line.
        if self.command == "finish" and self.within(frame):
            self.stop("return", frame)
        else:
            self.go("return", frame)

    def stop(self, kind, frame):
        if self.within(frame):
            code = frame.f_code
            self.tell([kind, self.witness.count, code.co_filename, code.co_qualname, frame.f_lineno])
            self.command = self.move()
            if self.command is None:
                self.quit()
        self.go(kind, frame)

    def move(self):
        """Returns the next command that moves."""
        for command in self.commands:
            verb, _, where = command.partition(" ")
            if verb == "break":
                path, _, line = where.rpartition(":")
                error = self.set_break(path, int(line))
                assert error is None, error
            elif verb == "clear":
                self.clear_all_breaks()
            else:
                return command
        return None

    def go(self, kind, frame):
        """Carries out the command, at a stop of this kind."""
        self.repeats += 1
        assert self.repeats < REPEATS, (self.command, frame)
        if kind == "return":
            frame = frame.f_back
            if frame is not self.bottom:
                frame.f_trace = self.trace_dispatch  # from 3.13 on pdb does so itself, but for generators
        if self.command == "step":
            self.set_step()
        elif self.command == "continue" or frame is self.bottom:
            self.set_continue()
        elif self.command == "next":
            self.set_next(frame)
        else:
            self.set_return(frame)
        self.cmdframe = None

    def within(self, frame):
        return frame.f_code.co_filename.startswith(self.witness.scope)

    def tell(self, stop):
        self.out.append(stop)

    def quit(self):
        """Ends the process without running more of the program."""
        M.set_events(M.PROFILER_ID, 0)
        sys.settrace(None)
        with open(OUT, "a", encoding="utf-8") as file:
            print(json.dumps(self.out), file=file)
        os._exit(0)


def fail(error):
    sys.settrace(None)
    print(f"oracle.py: {error!r}", file=sys.stderr, flush=True)
    os._exit(1)


def run(commands):
    with open(PROGRAM, encoding="utf-8") as file:
        code = compile(file.read(), PROGRAM, "exec")
    main = type(sys)("__main__")
    main.__file__ = PROGRAM
    sys.modules["__main__"] = main
    sys.argv = [PROGRAM]
    sys.path[0] = os.path.dirname(PROGRAM)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    debugger = Debugger(Witness(SCOPE), commands, [])
    debugger.run_code(code, main.__dict__)
    debugger.quit()


OUT, SCOPE, PROGRAM = sys.argv[1:]
keep = sys.modules["__main__"]
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            run(json.loads(line))
        except BaseException as error:
            fail(error)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"oracle.py: failed at {line}")
