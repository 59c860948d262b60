"""Tasks, threads and context managers share an object."""

import asyncio, threading, contextlib, contextvars, queue, concurrent.futures
class St:
    def __init__(self): self.n = 0; self.log = []
async def worker(st, name, q):
    while True:
        item = await q.get()
        if item is None: break
        before = st.n
        await asyncio.sleep(0)
        st.n = before + item
        st.log.append((name, st.n))
    return name
async def agen(n):
    for i in range(n):
        got = yield i
        await asyncio.sleep(0)
async def amain():
    st = St()
    q = asyncio.Queue()
    ts = [asyncio.create_task(worker(st, f"w{i}", q)) for i in range(2)]
    for i in range(4):
        await q.put(i)
        z = st.n
    for t in ts: await q.put(None)
    res = await asyncio.gather(*ts)
    out = []
    async for v in agen(3):
        out.append(v)
        k = st.n
    comp = [v async for v in agen(2)]
    async with contextlib.AsyncExitStack() as es:
        es.push_async_callback(asyncio.sleep, 0)
        st.n = 100
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)
    except TimeoutError:
        st.n += 1
    return st
def thr(st, ev, n):
    for i in range(5):
        st.log.append(n)
        st.n += 1
    ev.set()
@contextlib.contextmanager
def cm(st):
    st.n += 1
    try: yield st
    finally: st.n -= 1
def main():
    st = asyncio.run(amain())
    a = st.n
    ev = threading.Event()
    t = threading.Thread(target=thr, args=(st, ev, "t"))
    t.start(); ev.wait(); t.join()
    b = st.n
    with cm(st) as s:
        c = s.n
    d = st.n
    with concurrent.futures.ThreadPoolExecutor(2) as ex:
        f = ex.submit(setattr, st, "n", 7)
        f.result()
        e = st.n
        list(ex.map(st.log.append, (1, 2)))
    g = len(st.log)
    cv = contextvars.ContextVar("cv", default=0)
    ctx = contextvars.copy_context()
    ctx.run(setattr, st, "n", 8)
    ctx.run(st.log.clear)
    h = st.n
    tm = threading.Timer(0, setattr, (st, "n", 9))
    tm.start(); tm.join()
    i = st.n
    it = iter(lambda: st.log.append(1) or len(st.log), 3)
    for x in it:
        y = st.n
    with contextlib.suppress(KeyError):
        st.d = {}
        st.d["x"]
    st.d["y"] = 1
    with contextlib.ExitStack() as es:
        es.callback(setattr, st, "n", 11)
        j = st.n
    k = st.n
    st.log.sort(key=lambda v: -v)
    return st
z = main()
q = z.n
