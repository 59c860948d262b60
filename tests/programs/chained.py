"""raise from, implicit context, from None, bare raise, re-raise of a kept exception."""


def chain(how):
    try:
        {}["missing"]
    except KeyError as error:
        if how == "from":
            raise ValueError("v") from error
        if how == "none":
            raise ValueError("v") from None
        if how == "context":
            raise ValueError("v")
        if how == "bare":
            raise
        kept = error
    raise kept


for how in ("from", "none", "context", "bare", "kept"):
    try:
        chain(how)
    except Exception as error:
        print(how, type(error).__name__, error.__cause__, error.__context__, error.__suppress_context__)
try:
    raise
except RuntimeError as error:
    print(error)
