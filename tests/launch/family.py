"""Starts processes in the way its argument names, and checks what they return."""
import multiprocessing
import os
import signal
import subprocess
import sys
import threading


def leaf(n):
    return n * 2


def fork(work, *arguments):
    """Forks a child that calls work, and returns its exit status."""
    pid = os.fork()
    if pid == 0:
        os._exit(work(*arguments))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def grandchild():
    return fork(leaf, 10) + 1


def nested():
    print(fork(grandchild))


def ends():
    """How a forked child ends: by itself, by an exception, by a signal."""
    for end in [lambda: os._exit(3), lambda: sys.exit(4), lambda: 1 / 0, lambda: os.kill(os.getpid(), signal.SIGKILL)]:
        pid = os.fork()
        if pid == 0:
            sys.stderr = open(os.devnull, "w")
            leaf(1)
            end()
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def from_threads():
    statuses = []
    threads = [threading.Thread(target=lambda n=n: statuses.append(fork(leaf, n))) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(statuses))


def environments():
    """What children see of their environment."""
    code = "import os; print(sorted(os.environ.items()))"
    for given in [{}, {"A": "1"}, {"LD_PRELOAD": "libm.so.6", "B": "x" * 5000}, dict.fromkeys(map("V{}".format, range(2000)), "v")]:
        sys.stdout.flush()
        subprocess.run([sys.executable, "-I", "-c", code], env=given, check=True)
        subprocess.run(["/usr/bin/env"], env=given, check=True)
        subprocess.run("/usr/bin/env | sort", shell=True, env=given, check=True)


def descriptors():
    """Which files are open, here and in children."""
    show = "import os; print(sorted(fd for fd in os.listdir('/proc/self/fd') if int(fd) < 100))"
    subprocess.run([sys.executable, "-c", show], check=True)
    subprocess.run([sys.executable, "-c", show], check=True, close_fds=False)
    exec(show)


def before_exec():
    subprocess.run([sys.executable, "-c", "print('executed')"], preexec_fn=lambda: leaf(1), check=True)


def chain():
    sys.stdout.flush()
    rest = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(2)'])"
    os.execv(sys.executable, [sys.executable, "-c", rest])


def orphan():
    """A child that outlives the program: it goes on when it is told to."""
    os.mkfifo("go")
    os.mkfifo("done")
    readable, writable = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            leaf(1)
            for fd in range(3):
                os.close(fd)
            os.close(writable)
            with open("go") as go:
                go.read()
            count = sum(leaf(1) // 2 for _ in range(200_000))
            with open("done", "w") as done:
                done.write(f"{count} leaves")
        os._exit(0)
    os.wait()
    # Until it has closed the files.
    os.close(writable)
    os.read(readable, 1)


def pools():
    for how in ["fork", "spawn", "forkserver"]:
        with multiprocessing.get_context(how).Pool(2) as pool:
            print(pool.map(leaf, range(20), chunksize=1))
            pool.close()
            pool.join()


def executor():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(3) as pool:
        print(list(pool.map(leaf, range(10))))


def many():
    for n in range(100):
        assert fork(leaf, n % 100) == n % 100 * 2
    print(threading.active_count())


def closes():
    """Closes every descriptor it does not know, as daemons do."""
    os.closerange(3, 4096)
    print(fork(leaf, 4))
    subprocess.run([sys.executable, "-c", "print('after')"], check=True)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    sys.stdout.flush()
