"""Two threads that take strict turns at what they share: while one runs, the other is in the middle of a line."""
import threading


class Account:
    def __init__(self):
        self.balance = 0
        self.log = []


def work(me, other, amounts):
    global last
    started.release(); turn[me].acquire()
    local = []
    for amount in amounts:
        before = account.balance
        account.balance += amount
        account.log.append((me, amount))
        shared[me] = shared.get(me, 0) + amount
        last = [me, amount]
        view, same = account, shared
        local.append(account.balance - before)
        del view, same
        turn[other].release(); turn[me].acquire()
    results[me] = local
    turn[other].release()


def pair(first, second):
    one = threading.Thread(target=work, args=("a", "b", first))
    two = threading.Thread(target=work, args=("b", "a", second))
    one.start(); started.acquire()
    two.start(); started.acquire()
    turn["a"].release(); one.join(); two.join()


def by_events():
    """A variable of one thread's function that the other's changes."""
    go, done = threading.Event(), threading.Event()
    box, seen = [0], []

    def other():
        nonlocal box
        for k in range(3):
            box.append(k)
            box = box[-2:]
            done.set(); go.wait(); go.clear()
        seen.append("end")
        done.set()

    thread = threading.Thread(target=other)
    thread.start(); done.wait(); done.clear()
    for k in range(3):
        seen.append(tuple(box))
        box[0] += 10
        go.set(); done.wait(); done.clear()
    thread.join()
    return box, seen


def condition():
    """Each waits for its parity, in one line."""
    ready = threading.Condition()
    state = {"n": 0}
    log = []

    def odd():
        with ready:
            while state["n"] < 5:
                log.append(state["n"])
                state["n"] += 1
                ready.notify(); ready.wait_for(lambda: state["n"] % 2 == 0)
            log.append("odd ends")

    def run():
        with ready:
            thread.start(); ready.wait_for(lambda: state["n"] % 2)
            while state["n"] < 5:
                state["n"] += 1
                log.append([state["n"]])
                ready.notify(); ready.wait_for(lambda: state["n"] % 2)
            state["n"] += 1
            ready.notify()

    thread = threading.Thread(target=odd)
    run(); thread.join()
    return state, log


local = threading.local()
local.value = 1
started = threading.Semaphore(0)
turn = {"a": threading.Semaphore(0), "b": threading.Semaphore(0)}
account, shared, results, last = Account(), {}, {}, None
account.balance = 100
pair([1, 2, 3], [-10, -20, -30])
print(account.balance, account.log, shared, results, last)
print(by_events(), local.value)
print(condition())
