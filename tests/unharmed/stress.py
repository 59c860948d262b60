"""stress.py ROUNDS DASHCAM [SEED]: kills programs and recorders, sends them other signals, opens and
closes readers, all while they record into one file. Fails if anything hangs, if a program ends in another
way than its signals cause, or if a database is not whole."""
import os
import random
import signal
import subprocess
import sys
import threading
import time

ROUNDS, DASHCAM = int(sys.argv[1]), sys.argv[2]
SEED = int(sys.argv[3]) if sys.argv[3:] else 1
PATIENCE = 120
PROGRAM = """
import signal, sys
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
    signal.signal(number, lambda *_: None)
class Thing:
    pass
def f(i):
    thing = Thing()
    thing.value = [i]
    return i + 1
print("ready", flush=True)
t = 0
for i in range(60_000):
    t += f(i)
print(t, flush=True)
# From here on the interpreter takes its handlers down.
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
"""
HARMLESS = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGALRM]
random.seed(SEED)
problems = []


def child_of(pid):
    """Returns the program that a recorder runs, if it still runs."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError):
        return None


def send(pid, number):
    try:
        os.kill(pid, number)
    except (ProcessLookupError, TypeError):
        pass


def one(number, what, db):
    recorder = subprocess.Popen([DASHCAM, "record", "-o", db, "-c", PROGRAM],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True)
    if recorder.stdout.readline() != "ready\n":
        problems.append(f"{number} {what}: {recorder.communicate()}")
        return
    program = child_of(recorder.pid)
    time.sleep(random.random() * 0.3)
    if what == "kill program":
        send(program, signal.SIGKILL)
    elif what == "kill recorder":
        send(recorder.pid, signal.SIGKILL)
    elif what == "stop recorder":
        send(recorder.pid, signal.SIGSTOP)
        time.sleep(random.random() * 0.5)
        send(recorder.pid, signal.SIGCONT)
    elif what == "stop program":
        send(program, signal.SIGSTOP)
        time.sleep(random.random() * 0.2)
        send(program, signal.SIGCONT)
    else:
        send(random.choice([recorder.pid, program]), what)
    try:
        # Waits for the end of the program's output, also if the recorder is already dead.
        out, errors = recorder.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        problems.append(f"{number} {what}: hangs")
        os.killpg(recorder.pid, signal.SIGKILL)
        return
    expected = {"kill program": (137, "1800030000\n" if "1800030000" in out else "")}.get(
        what, (-9 if what == "kill recorder" else 0, "1800030000\n"))
    if what == "kill program" and recorder.returncode == -9:
        recorder.returncode = 137
    is_late = what in ("kill program", "kill recorder") and recorder.returncode == 0
    if not is_late and (recorder.returncode, out) != expected:
        problems.append(f"{number} {what}: {recorder.returncode} {out!r} {errors!r}")
    ours = [line for line in errors.splitlines() if line.startswith("dashcam: ")]
    others = [line for line in errors.splitlines() if not line.startswith("dashcam: ")]
    if others or len(ours) > 1:
        problems.append(f"{number} {what}: said {errors!r}")


def read(db, done):
    verbs = (["runs"], ["query", "select count(*) from events"], ["check"])
    while not done.is_set():
        verb, *rest = random.choice(verbs)
        try:
            said = subprocess.run([DASHCAM, verb, db, *rest], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            problems.append(f"{verb}: hangs")
            return
        if said.returncode:
            problems.append(f"{verb}: {said.stdout} {said.stderr}")
        done.wait(random.random() * 0.3)


def main():
    db = "stress.db"
    subprocess.run([DASHCAM, "record", "-o", db, "-c", "pass"], check=True, capture_output=True)
    kinds = ["kill program", "kill recorder"]
    work = [kinds[i % 2] for i in range(ROUNDS)]
    work += [("stop recorder", "stop program", *HARMLESS)[i % (2 + len(HARMLESS))] for i in range(ROUNDS // 2)]
    random.shuffle(work)
    done = threading.Event()
    reader = threading.Thread(target=read, args=(db, done))
    reader.start()
    lock = threading.Lock()

    def worker():
        while True:
            with lock:
                if not work:
                    return
                number, what = len(work), work.pop()
            one(number, what, db)

    workers = [threading.Thread(target=worker) for _ in range(2)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    reader.join()
    checked = subprocess.run([DASHCAM, "check", db], capture_output=True, text=True)
    if checked.returncode:
        problems.append(f"check: {checked.stdout}{checked.stderr}")
    if os.listdir() != [db]:
        problems.append(f"left: {os.listdir()}")
    for problem in problems:
        print(problem)
    sys.exit(bool(problems))


main()
