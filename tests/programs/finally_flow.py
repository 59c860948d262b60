"""finally with return, break and continue; it may swallow what was in flight."""
import warnings

warnings.simplefilter("ignore")
SWALLOWS = """
def swallow():
    for i in range(3):
        try:
            raise ValueError(i)
        finally:
            if i == 0:
                continue
            break
    try:
        return 1
    finally:
        return 2
"""
exec(SWALLOWS)


def through():
    for i in range(4):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            if i == 2:
                return i
        finally:
            print("finally", i)


print(swallow(), through())
