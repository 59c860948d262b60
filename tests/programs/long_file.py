"""Line numbers far apart, forwards and backwards, past what sixteen bits hold."""
GAP = "\n" * 40_000
SOURCE = f"""
def near(n):
    return far(n) if n else 0
{GAP}
def far(n):
    a = (n
{GAP}
         - 1)
    try:
        return near(a)
    finally:
{GAP}
        a = None


print(near(3), far.__code__.co_firstlineno)
"""
exec(compile(SOURCE, __file__ + "-generated", "exec"))
