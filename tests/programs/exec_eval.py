"""Code made at run time."""
scope = {"n": 3}
exec("total = 0\nfor i in range(n):\n    total += i", scope)
print(scope["total"], eval("[n * i for i in range(n) if i]", scope))
code = compile("def twice(x):\n    return x * 2\n", __file__ + "-generated", "exec")
exec(code, scope)
print(scope["twice"](4), eval(compile("twice(n)", "<string>", "eval"), scope))
try:
    exec("1 /")
except SyntaxError as error:
    print(error.msg)
try:
    exec("n.missing", scope)
except AttributeError as error:
    print(error)
