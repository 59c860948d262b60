from collections.abc import Sequence

__version__: str

def boot(value: str) -> bytes | None: ...
def create_ring(mib: int) -> int: ...
def start(
    ring_fd: int,
    control_fd: int,
    recorder_pid: int,
    include: Sequence[str],
    exclude: Sequence[str],
    no_stdlib: bool,
    package: str,
    events: str,
) -> None: ...
def stop() -> bool: ...
def is_recording() -> bool: ...
