"""terminal.py KEY COMMAND…: runs a command at a terminal of its own, presses the key once it has printed
"ready", prints what the terminal showed and ends as the command did. The key "hang-up" closes the terminal;
the command leads its session."""
import os
import pty
import signal
import sys

pid, terminal = pty.fork()
if pid == 0:
    for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # by a shell that runs the tests in the background
        signal.signal(ignored, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
signal.alarm(120)  # then the terminal goes away, and with it the command
shown = b""
pressed = False
while True:
    try:
        some = os.read(terminal, 4096)
    except OSError:  # how Linux reports that no process has the other end any more
        some = b""
    if not some:
        break
    shown += some
    if b"ready" in shown and not pressed:
        if sys.argv[1] == "hang-up":
            break
        os.write(terminal, sys.argv[1].encode())
        pressed = True
os.close(terminal)
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode().replace("\r\n", "\n"))
sys.stdout.flush()
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.waitstatus_to_exitcode(status))
