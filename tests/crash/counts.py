"""Says which signals come, until SIGTERM comes; goes on after being stopped."""
import os
import signal


def handler(number, frame):
    os.write(1, f"{signal.Signals(number).name}\n".encode())
    if number == signal.SIGTERM:
        os._exit(0)


for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCONT):
    signal.signal(number, handler)
# What arrives just before the wait ends it too.
arrived, wake_up = os.pipe()
os.set_blocking(wake_up, False)
signal.set_wakeup_fd(wake_up)
print(os.getpid(), flush=True)
while True:
    os.read(arrived, 1)
