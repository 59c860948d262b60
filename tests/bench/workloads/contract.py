"""What every workload promises: W_SCALE scales it (1 is about a second untraced), the seconds
spent in the kernel go to the file W_TIME names, and a checksum goes to standard output."""
import os
import time


def run(kernel, full):
    n = max(1, round(full * float(os.environ.get("W_SCALE", "1"))))
    begun = time.perf_counter()
    result = kernel(n)
    seconds = time.perf_counter() - begun
    if path := os.environ.get("W_TIME"):
        with open(path, "w") as file:
            file.write(f"{seconds!r} {n}")
    print("result", result)
