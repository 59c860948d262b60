def gen():
    try:
        yield 1
        yield 2
    finally:
        print("closed")


g = gen()
next(g)
g.close()
