"""What `dashcam export arrow` writes, as an Arrow C stream."""

import os
from collections.abc import Sequence
from types import CapsuleType

def stream(command: Sequence[str | os.PathLike[str]], input: bytes) -> CapsuleType:
    """A capsule `arrow_array_stream` of what the command writes. RuntimeError if it fails."""

def schema(command: Sequence[str | os.PathLike[str]], input: bytes) -> CapsuleType:
    """A capsule `arrow_schema` of its columns. RuntimeError if it fails."""
