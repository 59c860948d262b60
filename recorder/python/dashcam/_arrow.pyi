"""The output of `dashcam export arrow`, as an Arrow C stream."""

import os
from collections.abc import Sequence
from types import CapsuleType

def stream(command: Sequence[str | os.PathLike[str]], input: bytes) -> CapsuleType:
    """Runs a command with `input` on its standard input. Returns its output as a capsule
    `arrow_array_stream`. Raises RuntimeError if the command fails."""

def schema(command: Sequence[str | os.PathLike[str]], input: bytes) -> CapsuleType:
    """Runs a command likewise. Returns its columns' names and types as a capsule `arrow_schema`.
    Raises RuntimeError if the command fails."""
