"""empty.py FOLDER SCRIPT: runs a script with an empty native callback (FOLDER/empty.so) on every event."""
import sys

sys.path.insert(0, sys.argv[1])
from empty import callback

monitoring, events = sys.monitoring, sys.monitoring.events
kinds = [name for name in dir(events) if name.isupper() and name != "NO_EVENTS"]
if hasattr(events, "BRANCH_LEFT"):
    kinds.remove("BRANCH")  # deprecated there, and the same event again
script = sys.argv[2]
sys.argv[:] = sys.argv[2:]
sys.path[:2] = [script.rpartition("/")[0]]
with open(script) as file:
    code = compile(file.read(), script, "exec")
monitoring.use_tool_id(monitoring.PROFILER_ID, "empty")
for kind in kinds:
    monitoring.register_callback(monitoring.PROFILER_ID, getattr(events, kind), callback)
# C_RETURN and C_RAISE come with CALL; asking for them alone is an error.
monitoring.set_events(monitoring.PROFILER_ID, sum(getattr(events, kind) for kind in kinds))
exec(code, {"__name__": "__main__", "__file__": script, "__builtins__": __builtins__})
