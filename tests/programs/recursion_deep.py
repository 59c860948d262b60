"""A deep, but legal, recursion, and mutual recursion."""


def down(n):
    return 0 if n == 0 else 1 + down(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def unwind(n):
    if n == 0:
        raise LookupError("bottom")
    try:
        unwind(n - 1)
    finally:
        n += 1


print(down(300), even(51))
try:
    unwind(40)
except LookupError as error:
    print(error)
