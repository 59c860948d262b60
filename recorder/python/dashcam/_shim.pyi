from collections.abc import Sequence

__version__: str
DEFAULT_CAPTURE: str
DEFAULT_MAX_WAIT: float
LIMITS: tuple[int, int, int, int, int]
LIMITS_MAX: tuple[int, int, int, int, int]
REDACTED: list[str]

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
    capture: str,
    values_fd: int,
    limits: tuple[int, int, int, int, int],
    redact: Sequence[str],
    no_c_arguments: bool,
    max_wait: float,
) -> None: ...
def stop() -> bool: ...
def is_recording() -> bool: ...
def failure() -> str | None: ...
def warn(text: str) -> None: ...
