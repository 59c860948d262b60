//! Names of modules, as functions see them among their globals.

use crate::truth::value_at;
use dashcam_tests::{Python, Recording, program};

/// Returns the positions at which calls of functions with this name are at their first line.
fn lines_in(recording: &Recording, qualname: &str) -> Vec<i64> {
    let rows = recording.rows(&format!(
        "select min(e.seq) from events e join code_objects c using (code_id)
         join calls k on k.code_id = c.code_id and e.seq between k.start_seq and k.end_seq
         where e.kind = 'LINE' and c.qualname = '{qualname}' and c.path like '%/modules/%'
         group by k.call_id order by 1"
    ));
    rows.iter().map(|row| row[0].as_i64().unwrap()).collect()
}

#[test]
fn globals_are_what_the_module_bound_last() {
    for python in Python::all() {
        let options = ["--capture", "state"].map(Into::into);
        let what = options.into_iter().chain([program("inspect/modules/main.py").into_os_string()]);
        let recording = Recording::new(&python, what);
        let values = |qualname: &str, expression: &str| -> Vec<String> {
            let at = |seq: &i64| value_at(&recording, *seq, expression);
            let found = lines_in(&recording, qualname);
            found.iter().map(at).map(|found| found.unwrap_or_else(|error| error)).collect()
        };
        // In another thread: first while the module's frame waits, then after it has bound the name
        // again.
        let start = values("work", "START");
        assert_eq!(start[..2], ["5", "[6]"], "{python}");
        assert!(start[2].ends_with("START is not bound here"), "{python}: {}", start[2]);
        assert_eq!(values("work", "settings"), ["<module 'settings'>"; 3], "{python}");
        // The module has ended, and a function has bound the name since.
        assert_eq!(values("limit", "LIMIT"), ["10", "10", "11", "11"], "{python}");
        assert_eq!(values("more", "LIMIT"), ["10"], "{python}");
        assert_eq!(values("names", "NAMES"), ["['x']"], "{python}");
        assert_eq!(values("names", "len(NAMES) == 1 and LIMIT == 11"), ["True"], "{python}");
        // There is no answer for what may have been set from outside, or in another namespace.
        let debug = values("debug", "DEBUG");
        assert!(debug[0].contains("not certain: line 15 of"), "{python}: {}", debug[0]);
        let twice = values("value", "VALUE");
        assert!(twice[0].contains("not certain"), "{python}: {}", twice[0]);
    }
}
