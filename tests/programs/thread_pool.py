"""A pool of one worker: its results, its exception, its end."""
from concurrent.futures import ThreadPoolExecutor


def job(n):
    if n == 2:
        raise ValueError(n)
    return [i for i in range(n)]


with ThreadPoolExecutor(1) as pool:
    futures = [pool.submit(job, n) for n in range(4)]
    for future in futures:
        try:
            print(future.result())
        except ValueError as error:
            print("failed", error)
