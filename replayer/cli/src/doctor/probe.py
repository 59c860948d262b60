"""What `dashcam doctor` asks an interpreter: one JSON object on standard output."""
import json
import platform
import sys
import sysconfig

monitoring = sys.monitoring
events = monitoring.events


def loses_instructions():
    """Whether a second tool takes a first one's INSTRUCTION events away."""
    free = [i for i in range(6) if monitoring.get_tool(i) is None][:2]
    if len(free) < 2:
        return None
    counts = [0, 0]

    def work():
        total = 0
        for i in range(10):
            total += i
        return total

    def counter(which):
        def count(code, offset):
            counts[which] += 1

        return count

    for which, tool in enumerate(free):
        monitoring.use_tool_id(tool, f"dashcam doctor {which}")
        monitoring.register_callback(tool, events.INSTRUCTION, counter(which))
    monitoring.set_local_events(free[0], work.__code__, events.INSTRUCTION)
    work()
    alone = counts[0]
    monitoring.set_local_events(free[1], work.__code__, events.INSTRUCTION)
    work()
    for tool in free:
        monitoring.set_local_events(tool, work.__code__, 0)
        monitoring.register_callback(tool, events.INSTRUCTION, None)
        monitoring.free_tool_id(tool)
    return counts[0] != 2 * alone


def jit():
    module = getattr(sys, "_jit", None)
    if module is not None:
        return "on" if module.is_enabled() else "off" if module.is_available() else "not built in"
    return "built in" if "experimental-jit" in (sysconfig.get_config_var("CONFIG_ARGS") or "") else "not built in"


def setting(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


print(json.dumps({
    "executable": sys.executable,
    "version": platform.python_version(),
    "tools": [name for name in map(monitoring.get_tool, range(6)) if name],
    "traced": sys.gettrace() is not None or sys.getprofile() is not None,
    "loses_instructions": loses_instructions(),
    "jit": jit(),
    "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
    "kinds": sorted(name for name in vars(events) if name.isupper() and name != "NO_EVENTS"),
    "ptrace_scope": setting("/proc/sys/kernel/yama/ptrace_scope"),
}))
