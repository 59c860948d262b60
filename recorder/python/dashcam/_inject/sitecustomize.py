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
    try:
        if sys.version_info < (3, 12):
            raise RuntimeError(
                "%s is Python %d.%d, but sys.monitoring needs 3.12 or newer; name another with --python"
                % ((sys.executable,) + tuple(sys.version_info[:2]))
            )
        if sys.implementation.name != "cpython":
            raise RuntimeError("%s is not CPython" % sys.executable)
        import _imp
        from _frozen_importlib import ModuleSpec
        from _frozen_importlib_external import ExtensionFileLoader

        path = os.path.join(os.path.dirname(here), "_shim.abi3.so")
        spec = ModuleSpec("dashcam._shim", ExtensionFileLoader("dashcam._shim", path), origin=path)
        shim = _imp.create_dynamic(spec)
        _imp.exec_dynamic(shim)
        original = shim.boot(value)
        if original is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environb[b"PYTHONPATH"] = original
    except BaseException as error:
        control, path = value.split(":")[:2]
        said = str(error)
        # What the dynamic loader says.
        has_no_memory = isinstance(error, MemoryError) or "allocate memory" in said or "failed to map" in said
        if not has_no_memory:
            os.write(int(control), b"E" + said.encode("utf-8", "replace"))
            os._exit(1)
        os.write(int(control), b"Unot enough memory to record with")
        if path == "-":
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environb[b"PYTHONPATH"] = bytes.fromhex(path)


_start()
del _start

# Whatever sitecustomize the program's environment has of its own.
import sys  # noqa: E402

del sys.modules["sitecustomize"], sys
import sitecustomize  # noqa: E402, F401
