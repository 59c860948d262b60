"""Prints everything a program can see of how it was started, as JSON."""
import json
import os
import signal
import sys
import threading

# First of all, so that what this script opens itself does not count.
first_fd = os.open("/dev/null", os.O_RDONLY)
os.close(first_fd)
modules = sorted(sys.modules)
report = {
    "argv": sys.argv,
    "orig_argv": sys.orig_argv[1:],
    "executable": sys.executable,
    "path": sys.path,
    "name": __name__,
    "file": globals().get("__file__"),
    "spec": getattr(__spec__, "name", None),
    "package": __package__,
    "cached": globals().get("__cached__"),
    "loader": type(__loader__).__name__,
    "main_globals": sorted(k for k in globals() if k.startswith("__")),
    "main_is_main": sys.modules["__main__"].__dict__ is globals(),
    "environment": list(os.environ.items()),
    "environment_bytes": [list(map(repr, pair)) for pair in os.environb.items()],
    "cwd": os.getcwd(),
    "first_fd": first_fd,
    "low_fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) < 64),
    "modules": modules,
    "flags": str(sys.flags),
    "signals": [str(signal.getsignal(n)) for n in range(1, 32)],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": [t.name for t in threading.enumerate()],
    "os_threads": len(os.listdir("/proc/self/task")),
    "tty": [stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "buffering": sys.stdout.line_buffering,
    "input": sys.stdin.read(),
    "hooks": [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__,
              sys.gettrace(), sys.getprofile(), len(sys.meta_path), len(sys.path_hooks)],
    "recursion": sys.getrecursionlimit(),
    "switch": sys.getswitchinterval(),
    "depth": len(__import__("traceback").extract_stack()),
    "umask": os.umask(0o22),
}
report["environment_of_a_child"] = __import__("subprocess").check_output("env", text=True)
print(json.dumps(report))
sys.stderr.write("to stderr\n")
sys.exit(len(sys.argv))
