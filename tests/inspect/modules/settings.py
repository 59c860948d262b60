DEBUG = False
LIMIT = 10
NAMES = []


def limit():
    return LIMIT


def debug():
    return DEBUG


def more():
    global LIMIT
    NAMES.append("x")
    LIMIT = LIMIT + 1
    return names()


def names():
    return NAMES
