"""kernels.py FOLDER: kernels of pyperformance as workloads of this bench. Needs pyperformance installed."""
import re
import sys
from pathlib import Path

import pyperformance

BENCHMARKS = Path(pyperformance.__file__).parent / "data-files" / "benchmarks"


def source(name):
    """A benchmark without the parts that have to do with pyperf."""
    text = (BENCHMARKS / f"bm_{name}" / "run_benchmark.py").read_text()
    text = re.sub(r"^import pyperf\n", "", text, flags=re.M)
    text = text[: text.index("if __name__ ==")].rstrip() + "\n"
    for function in ("add_cmdline_args", "add_metadata", "add_parser_args"):
        text = re.sub(rf"\ndef {function}\(.*?(?=\n\S)", "\n", text, flags=re.S)
    return text.replace("pyperf.perf_counter()", "0.0")


def chaos():
    text = source("chaos").replace("def main(runner, args):", "def make_chaos():")
    text = re.sub(r"    runner\.metadata.*?(?=\n    chaos = )", "", text, flags=re.S)
    text = text.replace("chaos = Chaosgame(splines, args.thickness)", "return Chaosgame(splines, 0.25)")
    return re.sub(r"    runner\.bench_func\(.*?\)\n", "", text, flags=re.S)


RAYTRACE = """
def work(n):
    import hashlib
    digest = hashlib.md5()
    for i in range(n):
        canvas = Canvas(10, 10)
        s = Scene()
        s.addLight(Point(30, 30, 10))
        s.addLight(Point(-10, 100, 30))
        s.lookAt(Point(0, 3, 0))
        s.addObject(Sphere(Point(1, 3, -10), 2), SimpleSurface(baseColour=(1, 1, 0)))
        for y in range(6):
            s.addObject(Sphere(Point(-3 - y * 0.4, 2.3, -5), 0.4),
                        SimpleSurface(baseColour=(y / 6.0, 1 - y / 6.0, 0.5)))
        s.addObject(Halfspace(Point(0, 0, 0), Vector.UP), CheckerboardSurface())
        s.render(canvas)
        digest.update(bytes(canvas.bytes))
    return digest.hexdigest()
"""
GO = """
N_GAMES = GAMES


def work(n):
    global N_GAMES
    N_GAMES = n
    return versus_cpu()
"""
ASYNC_TREE = """
class NoneAsyncTree(AsyncTree):
    async def workload_func(self):
        return


def work(n):
    for _ in range(n):
        asyncio.run(NoneAsyncTree().run())
    return n
"""
GENERATORS = """
def work(n):
    iterable = tree(range(1000))
    total = 0
    for _ in range(n):
        for v in iterable:
            total += v
    return total
"""
# Name → source, work(n), the n that takes about a second.
KERNELS = {
    "richards": (source("richards"), "\ndef work(n):\n    return Richards().run(n)\n", 22),
    "nbody": (
        source("nbody"),
        "\ndef work(n):\n    bench_nbody(n, DEFAULT_REFERENCE, 500)\n    return round(report_energy(), 12)\n",
        338,
    ),
    "raytrace": (source("raytrace"), RAYTRACE, 400),
    "chaos": (
        chaos(),
        "\ndef work(n):\n    make_chaos().create_image_chaos(256, 256, n, None, 1234)\n    return n\n",
        75000,
    ),
    "go": (source("go").replace("for game in range(GAMES):", "for game in range(N_GAMES):"), GO, 1400),
    "async_tree": (
        source("async_tree").split("class EagerMixin")[0].replace("NUM_RECURSE_LEVELS = 6", "NUM_RECURSE_LEVELS = 4"),
        ASYNC_TREE,
        100,
    ),
    "generators": (source("generators").split("def bench_generators")[0], GENERATORS, 4960),
}
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, (text, work, full) in KERNELS.items():
    end = f"\n\nfrom contract import run\n\nrun(work, {full})\n"
    (folder / f"{name}.py").write_text(text.rstrip() + "\n\n" + work.rstrip() + end)
