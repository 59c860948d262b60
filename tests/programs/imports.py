"""Modules of the program: a package, a relative import, a failing one, a second import."""
import importlib

import shapes
from shapes import area
from shapes.area import circle as disc

print(shapes.NAME, area.square(3), disc(1))
import shapes  # found in sys.modules

try:
    import shapes.broken
except ZeroDivisionError as error:
    print(error)
try:
    from shapes import nothing
except ImportError as error:
    print(type(error).__name__)
try:
    import no_such_module_anywhere
except ModuleNotFoundError as error:
    print(error.name)
importlib.reload(shapes)
