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

tell "It need not be run again: everything it did is in demo.db. Which exceptions of this file were swallowed?"
ask "select type, message, line, handled_line from exceptions
     where path like '%/orders.py' and handled_seq is not null order by seq"

tell "Two prices did not match the pattern, so None has no group(), and line 39 took that for a mistake
# elsewhere. Who asked for the last of these prices? Its stack, innermost first:"
ask "with recursive stack(call_id, level) as (
       select call_id, 0 from exceptions
       where seq = (select max(seq) from exceptions where type = 'AttributeError' and path like '%/orders.py')
       union all
       select c.parent_call_id, level + 1 from stack join calls c using (call_id) where c.parent_call_id is not null)
     select qualname, call_line as called_from_line, duration_ns / 1000 as us from stack join calls using (call_id) order by level"

tell "What was it handed whenever it gave up and returned 0?"
ask "select arguments, result, count(*) as times from calls
     where path like '%/orders.py' and qualname = 'parse_price' and result = '0' group by arguments, result"

tell "Every change of every object is there, in order. How did main's totals come about?"
ask "select m.seq, m.line, m.key, m.value from mutations m join calls c using (run_id, call_id)
     where c.path like '%/orders.py' and c.qualname = 'main' order by m.seq"

tell "And every variable at every line: what did total() see when the order came to nothing?"
ask "select l.depth, l.name, l.value from exceptions x, locals_at(x.run_id, x.seq) l
     where x.seq = (select max(seq) from exceptions where type = 'AttributeError' and path like '%/orders.py')
       and l.scope <> 'global'"

tell "And what exactly happened in it, event by event? (There are also JUMP, BRANCH and INSTRUCTION.)"
ask "select e.kind, e.line, e.callable, e.exception, e.value
     from events e join calls c on e.seq between c.start_seq and c.end_seq
     where c.call_id = (select max(call_id) from exceptions where type = 'AttributeError' and path like '%/orders.py')
       and e.kind not in ('INSTRUCTION', 'JUMP', 'BRANCH', 'BRANCH_LEFT', 'BRANCH_RIGHT') order by e.seq"

tell "Which branches of the program only ever went one way?"
ask "select b.line, c.qualname as function, b.taken, b.not_taken
     from branch_counts b join code_objects c using (code_id)
     where b.path like '%/orders.py' and (b.taken = 0 or b.not_taken = 0) order by b.line"

tell "Where did the time go? All of Python's own code is in the recording too."
ask "select qualname, calls, total_ns / 1000 as total_us, self_ns / 1000 as self_us
     from function_totals order by self_ns desc limit 5"

tell "How much is that, and was anything lost?"
ask "select event_count as events, lost_count as lost, status, python_version from runs"
ls -l demo.db | awk '{print $5 " bytes in demo.db"}'
printf '\nNow yours: .venv/default/bin/dashcam record your_program.py, or see README.md.\n'
