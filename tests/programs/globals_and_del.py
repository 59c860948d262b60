"""Scopes: global, del, unbound names, class scope, star import."""
from shapes.area import *

counter = 0


def bump():
    global counter, made
    counter += 1
    made = counter
    del counter


bump()
print(made, square(2))
for attempt in (bump, lambda: unbound()):
    try:
        attempt()
    except NameError as error:
        print(type(error).__name__)


def unbound():
    if False:
        x = 1
    return x


try:
    unbound()
except UnboundLocalError:
    print("unbound")
