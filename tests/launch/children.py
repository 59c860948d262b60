"""Starts a process or interpreter in the way its argument names."""
import os
import subprocess
import sys

CODE = "print('child', flush=True)"


def popen():
    subprocess.run([sys.executable, "-c", CODE], check=True)


def shell():
    subprocess.run(f'"{sys.executable}" -c "{CODE}"', shell=True, check=True)


def system():
    os.system(f'"{sys.executable}" -c "{CODE}"')


def path_object():
    import pathlib

    subprocess.run([pathlib.Path(sys.executable), "-c", CODE], check=True)


def through_env():
    subprocess.run(["env", "-u", "NOBODY", sys.executable, "-c", CODE], check=True)


def script():
    with open("child.py", "w") as file:
        file.write(f"#!{sys.executable}\n{CODE}\n")
    os.chmod("child.py", 0o700)
    subprocess.run(["./child.py"], check=True)


def posix_spawn():
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", CODE], os.environ)
    os.waitpid(pid, 0)


def execs():
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", CODE])


def square(x):
    return x * x


def multiprocess(how):
    import multiprocessing

    with multiprocessing.get_context(how).Pool(1) as pool:
        print(pool.map(square, [3]))


def spawn():
    multiprocess("spawn")


def forkserver():
    multiprocess("forkserver")


def fork():
    multiprocess("fork")


def other():
    subprocess.run(["true"])
    subprocess.run("exit 0", shell=True)
    os.system("exit 0")


def interpreter():
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    name = "legacy" if hasattr(interpreters, "new_config") else None
    made = interpreters.create(name) if name else interpreters.create(isolated=False)
    interpreters.run_string(made, "def f(): return 1\nf()")
    interpreters.destroy(made)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
