"""terminal.py COMMAND…: runs a command at a terminal of its own, presses Ctrl-C once it has said "ready",
prints what the terminal showed and ends with the command's exit status, 128 + N for signal N."""
import os
import pty
import signal
import sys

pid, terminal = pty.fork()
if pid == 0:
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # by whoever runs the tests in the background
        signal.signal(ignored, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
signal.alarm(120)  # then the terminal goes away, and with it the command
shown = b""
pressed = False
while True:
    try:
        some = os.read(terminal, 4096)
    except OSError:  # how Linux says that nobody has the other end any more
        some = b""
    if not some:
        break
    shown += some
    if b"ready" in shown and not pressed:
        os.write(terminal, b"\x03")
        pressed = True
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode().replace("\r\n", "\n"))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
