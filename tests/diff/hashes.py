"""What no two runs have in common, but the same behaviour."""
import threading


class Thing:
    def __hash__(self):
        return hash(id(self))


def show(value):
    return value


show({"a", "b", "c", str(len("word"))})
show(Thing())
show([Thing(), id(Thing()), repr(object())])
show(threading.get_ident())
{Thing(): 1}
show(lambda: 1)
