//! Tests the fence: an error in a table becomes an error of the statement and does not end the
//! process.

use super::source::Source;
use super::{guard, scope, vtab};
use crate::Recording;
use crate::store::{Error, Store};
use crate::tables::batch::Batch;
use crate::tables::plan::{Op, Plan, Request, Top, decode};
use crate::tables::{Scan, Table};
use dashcam_schema::{tables, version};
use rusqlite::Connection;
use std::rc::Rc;

/// Replaces `calls`, and panics where the constants say.
struct Broken<const PLAN: bool, const SCAN: bool>;
struct BrokenScan;

impl<const PLAN: bool, const SCAN: bool> Table for Broken<PLAN, SCAN> {
    const NAME: &'static str = "calls";
    type Scan = BrokenScan;

    fn plan(_: &Store, _: &mut Request) {
        assert!(!PLAN, "no plan");
    }

    fn scan(_: Rc<Store>, _: Plan) -> Result<BrokenScan, Error> {
        assert!(!SCAN, "no scan");
        Ok(BrokenScan)
    }
}

impl Scan for BrokenScan {
    fn fill(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let nothing: &[usize] = &[];
        batch.rows = nothing[batch.rows];
        Ok(())
    }

    fn rowid(&self, _: usize) -> i64 {
        0
    }
}

#[test]
fn a_panic_is_an_error_of_the_statement() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("x.db");
    let db = Connection::open(&path)?;
    db.execute_batch(&tables::create())?;
    db.pragma_update(None, "application_id", version::APPLICATION_ID)?;
    db.pragma_update(None, "user_version", version::FORMAT_VERSION)?;
    type Register = fn(&Connection, &Source) -> rusqlite::Result<()>;
    let error_of = |register: Register| -> rusqlite::Result<String> {
        let recording = Recording::open(&path).map_err(|_| rusqlite::Error::InvalidQuery)?;
        let connection = recording.connection();
        guard::lift(connection)?;
        connection.execute_batch("DROP TABLE temp.calls")?;
        register(connection, &Source::Own(Rc::downgrade(&recording.store)))?;
        scope::create(connection)?;
        let count =
            recording.connection().query_row("SELECT count(*) FROM calls", [], |row| row.get(0));
        let error =
            count.map(|n: i64| n.to_string()).map_err(|error| crate::store::message(&error));
        // The connection still works.
        recording.connection().query_row("SELECT count(*) FROM events", [], |_| Ok(()))?;
        Ok(error.unwrap_or_else(|error| error))
    };
    assert_eq!(error_of(vtab::register::<Broken<true, false>>)?, "bug in dashcam: no plan");
    assert_eq!(error_of(vtab::register::<Broken<false, true>>)?, "bug in dashcam: no scan");
    let index = error_of(vtab::register::<Broken<false, false>>)?;
    assert!(index.starts_with("bug in dashcam: index out of bounds"), "{index}");
    Ok(())
}

#[test]
fn plans_that_are_not_ours_are_refused() {
    let top = "000000000000000000";
    for plan in [
        String::new(),
        format!("000000000000000z{top}b="),
        format!("0000000000000001{top}b!"),
        format!("0000000000000001{top}B="),
        format!("0000000000000001{top}b=").replacen('0', "x", 1),
        "0000000000000001b=".to_owned(),
    ] {
        assert_eq!(decode(&plan), None, "{plan}");
    }
    let plan = decode(&format!("0000000000000001{top}b=")).unwrap();
    assert_eq!((plan.used, plan.top, plan.arguments), (1, None, vec![(1, Op::Eq)]));
    let plan = decode("0000000000000003000000000000000a0eb=").unwrap();
    assert_eq!(plan.top, Some(Top { rows: 10, column: 14 }));
}
