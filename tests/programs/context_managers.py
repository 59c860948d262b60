"""contextlib: the library runs our generator."""
import contextlib


@contextlib.contextmanager
def tag(name):
    print("<", name)
    try:
        yield name
    except ValueError:
        print("swallowed")
    finally:
        print(">", name)


with tag("a"), tag("b") as b:
    raise ValueError(b)
with contextlib.suppress(ZeroDivisionError):
    1 / 0
with contextlib.ExitStack() as stack:
    for name in "xy":
        stack.enter_context(tag(name))
    stack.callback(print, "callback")
