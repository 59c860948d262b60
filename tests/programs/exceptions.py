"""try, except, else, finally: every way through."""


def way(n):
    try:
        if n == 1:
            raise KeyError(n)
        if n == 2:
            [][n]
        if n == 3:
            raise OSError("os")
    except KeyError:
        r = "key"
    except (IndexError, ValueError) as error:
        r = type(error).__name__
    else:
        r = "else"
    finally:
        print("finally", n)
    return r


for n in range(4):
    try:
        print(way(n))
    except OSError as error:
        print(error)
