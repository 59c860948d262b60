"""The independent witness of what functions in C are called with: every call in a program's source is rewritten to go
through a function that writes down its arguments.

    python probe.py OUT MODULES SCRIPT [ARGS…]

OUT gets a line for each call in SCRIPT, and in those modules (separated by commas, imported anew), of anything but a
Python function: the file's name, the arguments as `repr` writes them, after the object that a method is called on,
and the result; `?` for a value that is not built of builtin types alone or goes beyond the recorder's limits, and if
there is no result.
"""
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types

# The oracle's comparison of values, without the part that runs a program.
source = open(os.path.join(os.path.dirname(__file__), "oracle.py")).read()
shared = {}
exec(source[: source.index("def start(")].replace("sys.argv[1:4]", "'', '', ''"), shared)
text = shared["text"]
out, modules, script = sys.argv[1:4]
modules = {name for name in modules.split(",") if name}
log = []
# It matters which frame they are called from, or they are not what they seem.
LEFT = {"super", "locals", "globals", "vars", "dir", "eval", "exec", "__import__"}


def is_python(function):
    while isinstance(function, types.MethodType):
        function = function.__func__
    return isinstance(function, types.FunctionType)


is_writing = False


def probe(file, function, /, *arguments, **named):
    global is_writing
    # Calls by `repr` are not the program's.
    is_told = not is_writing and not is_python(function)
    if is_told:
        is_writing = True
        owner = getattr(function, "__self__", None)
        is_method = type(function).__name__ in ("builtin_function_or_method", "builtin_method", "method-wrapper")
        if is_method and owner is not None and not isinstance(owner, (types.ModuleType, type)):
            texts = [text(owner)]
        else:
            texts = []
        texts += [text(argument) for argument in arguments]
        pairs = [(name, text(value)) for name, value in named.items()]
        is_whole = "?" not in texts and all(value != "?" for _, value in pairs)
        texts += [f"{name}={value}" for name, value in pairs]
        row = [file, ", ".join(texts) if is_whole else "?", "?"]
        log.append(row)
        is_writing = False
    result = function(*arguments, **named)
    if is_told:
        is_writing = True
        row[2] = text(result)
        is_writing = False
    return result


def decorator(file, function):
    return lambda decorated: probe(file, function, decorated)


class Rewrite(ast.NodeTransformer):
    def __init__(self, file):
        self.file = file

    def visit_Call(self, node):
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in LEFT:
            return node
        name = ast.Name("__probe__", ast.Load())
        call = ast.Call(name, [ast.Constant(self.file), node.func, *node.args], node.keywords)
        return ast.copy_location(call, node)

    def visit_decorated(self, node):
        self.generic_visit(node)
        # Decorators are called, too.
        name = ast.Name("__decorator__", ast.Load())
        calls = [ast.Call(name, [ast.Constant(self.file), one], []) for one in node.decorator_list]
        node.decorator_list = [ast.copy_location(*pair) for pair in zip(calls, node.decorator_list)]
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_decorated

    def visit_match_case(self, node):
        node.body = [self.visit(one) for one in node.body]
        return node


def rewritten(source, path):
    tree = Rewrite(os.path.basename(path)).visit(ast.parse(source, path))
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Loader(importlib.machinery.SourceFileLoader):
    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return rewritten(self.get_data(path), path)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = Loader(name, spec.origin)
        return spec


def write():
    with open(out, "w", encoding="utf-8", errors="backslashreplace") as file:
        for row in log:
            print(*row, sep="\t", file=file)


import builtins  # noqa: E402

builtins.__probe__, builtins.__decorator__ = probe, decorator
for name in modules:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Finder())
main = types.ModuleType("__main__")
main.__file__ = script
kept, sys.modules["__main__"] = sys.modules["__main__"], main
sys.argv = sys.argv[3:]
sys.path[0] = os.path.dirname(script)
try:
    exec(rewritten(open(script, encoding="utf-8").read(), script), main.__dict__)
finally:
    write()
