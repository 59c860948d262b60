"""Loaded by the interpreter `dashcam record` starts, before the program.

Undoes what brought it here, so that the program sees the path and the environment it would have
had, and hands over to the shim. Must be readable by any Python, so that an old one is told so.
"""


def _start():
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    value = os.environ.pop("DASHCAM_BOOT", "")
    sys.path[:] = [entry for entry in sys.path if entry != here]
    sys.path_importer_cache.pop(here, None)
    if not value:
        return
    control = int(value.split(":")[0])
    problem = None
    if sys.version_info < (3, 12):
        problem = (
            "%s is Python %d.%d, but sys.monitoring needs 3.12 or newer; name another with --python"
            % ((sys.executable,) + tuple(sys.version_info[:2]))
        )
    elif sys.implementation.name != "cpython":
        problem = "%s is not CPython" % sys.executable
    if problem:
        os.write(control, b"E" + problem.encode("utf-8", "replace"))
        os._exit(1)
    try:
        import _imp
        from _frozen_importlib import ModuleSpec
        from _frozen_importlib_external import ExtensionFileLoader

        path = os.path.join(os.path.dirname(here), "_shim.abi3.so")
        spec = ModuleSpec("dashcam._shim", ExtensionFileLoader("dashcam._shim", path), origin=path)
        shim = _imp.create_dynamic(spec)
        _imp.exec_dynamic(shim)
        original = shim.boot(value)
    except BaseException as error:
        # The program is not to suffer for that.
        reason = str(error).replace("\n", " ")
        os.write(control, b"U" + reason.encode("utf-8", "replace") + b"\n")
        original = os.environb.get(b"PYTHONPATH", b"")[len(os.fsencode(here)) + 1 :] or None
    if original is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environb[b"PYTHONPATH"] = original


_start()
del _start

# Whatever sitecustomize the program's environment has of its own.
import sys  # noqa: E402

del sys.modules["sitecustomize"], sys
import sitecustomize  # noqa: E402, F401
