//! Calls by id and by caller, in memory.
//!
//! A join on `call_id` or `parent_call_id` looks up one call after another, thousands of times.
//! Each look-up alone reads a chunk or more. After a few of them all calls are read once, if memory
//! allows, and further look-ups are answered from memory.

use super::CallScan;
use super::filter::Filter;
use super::rows::Row;
use crate::store::{Error, Store};
use crate::tables::filter::IntSet;
use crate::tables::plan::Plan;
use dashcam_schema::EventKind;
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// Look-ups answered from chunks before all calls are read.
const SCANS_BEFORE_INDEX: u32 = 4;
/// The largest number of calls that are kept, at some hundred bytes each.
pub(super) const CALLS_MAX: i64 = 2_000_000;

/// Kept by the store from one look-up to the next.
#[derive(Default)]
pub(crate) struct Lookups {
    asked: Cell<u32>,
    /// `None` if there are too many calls.
    index: OnceCell<Option<Index>>,
}

struct Index {
    /// Sorted by id.
    calls: Vec<Row>,
    /// Indexes into `calls`, sorted by caller.
    by_parent: Vec<u32>,
}

/// The calls that pass, if the plan looks up one id or one caller and the index exists.
pub(super) fn look_up(store: &Rc<Store>, filter: &Filter) -> Result<Option<Vec<Row>>, Error> {
    let (id, parent) = (only(&filter.starts), only(&filter.parents));
    if id.is_none() && parent.is_none() {
        return Ok(None);
    }
    let lookups = store.keep::<Lookups>();
    lookups.asked.set(lookups.asked.get().saturating_add(1));
    if lookups.asked.get() <= SCANS_BEFORE_INDEX {
        return Ok(None);
    }
    if lookups.index.get().is_none() {
        let _ = lookups.index.set(build(store)?);
    }
    let Some(Some(Index { calls, by_parent })) = lookups.index.get() else { return Ok(None) };
    let passes = |row: &&Row| filter.passes_row(store, row);
    Ok(Some(match (id, parent) {
        (Some(id), _) => {
            let from = calls.partition_point(|row| row.call_id < id);
            let equal = calls[from..].iter().take_while(|row| row.call_id == id);
            equal.filter(passes).cloned().collect()
        }
        (None, parent) => {
            let parent = parent.unwrap_or(0);
            let call = |place: &u32| &calls[*place as usize];
            let from = by_parent.partition_point(|place| call(place).parent < parent);
            let equal = by_parent[from..].iter().map(call).take_while(|row| row.parent == parent);
            equal.filter(passes).cloned().collect()
        }
    }))
}

/// The value of a set that has only one.
fn only(set: &IntSet) -> Option<u64> {
    match set.values.as_deref() {
        Some([value]) => u64::try_from(*value).ok().filter(|value| *value > 0),
        _ => None,
    }
}

fn build(store: &Rc<Store>) -> Result<Option<Index>, Error> {
    let sql = "SELECT coalesce(sum(count), 0) FROM main.event_counts WHERE kind = ?";
    let starts: rusqlite::Result<i64> =
        store.connection().query_row(sql, [EventKind::PY_START.name()], |row| row.get(0));
    // Without the counts, slow is better than out of memory.
    if starts.unwrap_or(i64::MAX) > CALLS_MAX {
        return Ok(None);
    }
    let mut scan = CallScan::over(store.clone(), Plan::default())?;
    let mut calls = Vec::new();
    while scan.more()? {
        calls.append(&mut scan.found.rows);
    }
    calls.sort_by_key(|row| row.call_id);
    let mut by_parent: Vec<u32> = (0..calls.len() as u32).collect();
    by_parent.sort_by_key(|place| calls[*place as usize].parent);
    Ok(Some(Index { calls, by_parent }))
}
