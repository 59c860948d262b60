"""Exception groups: split, all handled, rest re-raised, a new one raised while handling."""


def star(*errors):
    try:
        raise ExceptionGroup("g", list(errors))
    except* ValueError as group:
        print("value", len(group.exceptions))
    except* KeyError:
        raise TypeError("new")


star(ValueError(1), ValueError(2))
for errors in ([ValueError(1), OSError(2)], [KeyError(1)], [KeyError(1), OSError(2), ValueError(3)]):
    try:
        star(*errors)
    except ExceptionGroup as group:
        print(group.message, [type(e).__name__ for e in group.exceptions])
    except TypeError as error:
        print(type(error.__context__).__name__)
try:
    raise ValueError("naked")
except* ValueError as group:
    print(group.exceptions)
