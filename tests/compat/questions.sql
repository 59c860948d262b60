select status, exit_code, python_version, capture, events_by, event_count from runs
select kind, count(*) from events group by 1 order by 1
select * from events order by seq limit 40
select seq, kind, thread_id, code_id, line, value from events where value is not null order by seq
select call_id, parent_call_id, qualname, arguments, result, exit from calls order by call_id
select seq, callable, arguments, result, exception from c_calls order by seq
select seq, type, message, line, outcome, handled_line from exceptions order by seq
select seq, line, name, scope, value from variables order by seq, name
select seq, line, operation, type, key, value from mutations order by seq
select e.seq, l.name, l.value from events e, locals_at(e.run_id, e.seq, 0) l where e.kind = 'PY_RETURN' order by 1, 2
select e.seq, s.depth, s.qualname, s.line from events e, stack_at(e.run_id, e.seq) s where e.kind = 'RAISE' order by 1, 2
select path, line, count from line_counts order by 1, 2
select path, line, taken, not_taken from branch_counts order by 1, 2, 3, 4
select kind, severity, count, detail from losses order by 1
select callable, count(*) from c_calls group by 1 order by 1
select name, count(*), count(distinct value) from variables group by 1 order by 1
