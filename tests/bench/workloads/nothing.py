"""Start-up and end, and nothing between: what the others' wall time is freed of."""
from contract import run

run(lambda n: 0, 1)
