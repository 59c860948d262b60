VALUE = 1


def value():
    return VALUE
