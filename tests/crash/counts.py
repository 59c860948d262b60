"""Says which signals come, until SIGTERM comes; goes on after being stopped."""
import os
import signal


def handler(number, frame):
    os.write(1, f"{signal.Signals(number).name}\n".encode())
    if number == signal.SIGTERM:
        os._exit(0)


for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCONT):
    signal.signal(number, handler)
print(os.getpid(), flush=True)
while True:
    signal.pause()
