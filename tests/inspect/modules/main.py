import importlib
import threading

import settings
import twice

START = 5


def work():
    settings.limit()
    return START


settings.DEBUG = True
settings.debug()
thread = threading.Thread(target=work)
thread.start()
thread.join()
START = [6]
work()
settings.more()
settings.limit()
importlib.reload(twice)
twice.value()
del START
try:
    work()
except NameError:
    pass
