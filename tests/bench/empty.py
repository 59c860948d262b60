"""empty.py FOLDER KINDS SCRIPT: runs a script with an empty native callback (FOLDER/empty.so) on every event
(KINDS is `all`) or on all but LINE, JUMP and INSTRUCTION (`control`)."""
import sys

sys.path.insert(0, sys.argv[1])
from empty import callback

monitoring, events = sys.monitoring, sys.monitoring.events
kinds = [name for name in dir(events) if name.isupper() and name != "NO_EVENTS"]
if hasattr(events, "BRANCH_LEFT"):
    kinds.remove("BRANCH")  # deprecated there, and the same event again
if sys.argv[2] == "control":
    kinds = [kind for kind in kinds if kind not in ("LINE", "INSTRUCTION", "JUMP")]
script = sys.argv[3]
sys.argv[:] = sys.argv[3:]
sys.path[:2] = [script.rpartition("/")[0]]
with open(script) as file:
    code = compile(file.read(), script, "exec")
monitoring.use_tool_id(monitoring.PROFILER_ID, "empty")
for kind in kinds:
    monitoring.register_callback(monitoring.PROFILER_ID, getattr(events, kind), callback)
# C_RETURN and C_RAISE come with CALL; asking for them alone is an error.
monitoring.set_events(monitoring.PROFILER_ID, sum(getattr(events, kind) for kind in kinds))
exec(code, {"__name__": "__main__", "__file__": script, "__builtins__": __builtins__})
