"""Functions so big that jumps, names and constants need EXTENDED_ARG, one of them past 65,536 units."""


def source(name, arms):
    yield f"def {name}(n):"
    yield "    total = 0"
    yield "    for k in range(3):"
    for i in range(arms):
        yield f"        if k == {i % 4}: total += v{i % 300} * {i}.5"
    yield "        else: total -= 1"
    yield "    try:"
    for i in range(arms):
        yield f"        total += n + {i}.25"
    yield "        raise KeyError(total)"
    yield "    except KeyError:"
    yield "        return total"


scope = {f"v{i}": i for i in range(300)}
for name, arms in (("medium", 30), ("big", 400), ("huge", 2700)):
    exec(compile("\n".join(source(name, arms)), __file__ + "-generated", "exec"), scope)
    print(name, len(scope[name].__code__.co_code) // 2, scope[name](1))
