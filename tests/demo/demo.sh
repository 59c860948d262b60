#!/bin/bash
# Records tests/demo/orders.py and asks what happened. Called by `make demo`.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.venv/default/bin:$PATH"
bold=; plain=
if [ -t 1 ]; then bold=$(tput bold 2>/dev/null || true); plain=$(tput sgr0 2>/dev/null || true); fi
rm -f demo.db demo.db-*

tell() { printf '\n%s# %s%s\n' "$bold" "$1" "$plain"; }
ask() {
    local command="dashcam query demo.db \"$1\""
    printf '$ %s\n' "$command"
    dashcam query demo.db "$1"
}

tell "A program totals a day's orders. It ends well and prints a report, but brian's shelf for 1049.00 is missing."
echo "\$ dashcam record -o demo.db tests/demo/orders.py"
dashcam record -o demo.db tests/demo/orders.py

tell "It will not be run again: everything it did is in demo.db. Which exceptions did it swallow?"
ask "select type, message, line, handled_line from exceptions where path like '%/orders.py' order by seq"

tell "Three in parse_price, where None has no group(): the price did not match. Who asked for those prices?"
ask "select p.qualname as caller, c.qualname as inside, x.line, count(*) as times
     from exceptions x join calls c using (call_id) join calls p on p.call_id = c.parent_call_id
     where x.type = 'AttributeError' group by 1, 2, 3"

tell "What exactly happened in the last such call, event by event?"
ask "select kind, line, target_line as target, callable, exception from events
     where code_id = (select code_id from code_objects where qualname = 'parse_price')
       and seq >= (select max(call_id) from exceptions where type = 'AttributeError')
       and kind in ('PY_START', 'LINE', 'CALL', 'C_RETURN', 'RAISE', 'EXCEPTION_HANDLED', 'PY_RETURN')
     order by seq limit 12"

tell "Which branches of the program only ever went one way? (A coupon nobody knows is one.)"
ask "select b.line, trim(c.qualname) as function, b.taken, b.not_taken
     from branch_counts b join code_objects c using (code_id)
     where b.path like '%/orders.py' and (b.taken = 0 or b.not_taken = 0) order by b.line"

tell "Where did the time go? All of Python's own code is in the recording too."
ask "select qualname, calls, total_ns / 1000 as total_us, self_ns / 1000 as self_us, replace(path, rtrim(path, replace(path, '/', '')), '') as file
     from function_totals order by self_ns desc limit 5"

tell "How much is that, and was anything lost?"
ask "select event_count as events, lost_count as lost, status, python_version from runs"
ls -l demo.db | awk '{print $5 " bytes in demo.db"}'
printf '\nNow yours: .venv/default/bin/dashcam record your_program.py, or see README.md.\n'
