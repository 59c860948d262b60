//! The format of a dashcam recording.
//!
//! The modules, in the order the data flows:
//!
//! - [`event`]: the event kinds of `sys.monitoring` and what each carries;
//! - [`record`]: the words that the shim writes into the ring for events;
//! - [`calls`]: the call stacks that follow from events, computed by recorder and replayer alike;
//! - [`chunk`]: consecutive events as compressed columns, the unit of storage;
//! - [`tables`]: the SQL tables, each column with its type, unit and a sentence about it;
//! - [`bytecode`]: what follows from a code object alone, such as its lines;
//! - [`derive`]: the events that follow from recorded events and are not stored;
//! - [`value`]: the values of variables and objects: how they are recorded, stored and printed;
//! - [`uuid`]: UUIDs for runs that were recorded before runs had UUIDs;
//! - [`loss`]: every way that something is not recorded;
//! - [`version`] and [`error`]: which recordings can be read, and what can be wrong with one.
//!
//! `FORMAT.md` beside this crate is the specification in prose.
#![forbid(unsafe_code)]

pub mod bytecode;
pub mod calls;
pub mod chunk;
pub mod derive;
pub mod error;
pub mod event;
pub mod loss;
pub mod record;
pub mod tables;
pub mod uuid;
pub mod value;
pub mod version;

pub use error::FormatError;
pub use event::EventKind;

#[cfg(test)]
mod tests {
    use super::*;

    /// FORMAT.md has the same constants as the code.
    #[test]
    fn the_specification_agrees() {
        let text = include_str!("../FORMAT.md");
        let row = |what: &str, value: i32| format!("| {what} | {value} ");
        assert!(text.contains(&row("`PRAGMA application_id`", version::APPLICATION_ID)));
        assert!(text.contains(&row("`PRAGMA user_version`", version::FORMAT_VERSION)));
        assert!(
            text.contains(&row("oldest `user_version` this code reads", version::OLDEST_READABLE))
        );
        for kind in EventKind::known() {
            assert!(text.contains(&format!("| {} | {kind:?} |", kind.number())), "{kind:?}");
        }
        let timed = EventKind::known().filter(|kind| kind.is_timed()).map(|k| format!("{k:?}"));
        let timed: Vec<String> = timed.collect();
        let (last, rest) = timed.split_last().expect("some kinds are timed");
        let sentence = format!("Timed events are {} and {last}.", rest.join(", "));
        assert!(text.replace('\n', " ").contains(&sentence), "{sentence}");
    }

    #[test]
    fn every_table_has_a_sentence_and_unique_columns() {
        for table in tables::TABLES {
            assert!(table.sentence.ends_with('.'), "{}", table.name);
            let mut names: Vec<_> = table.columns.iter().map(|c| c.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), table.columns.len(), "{}", table.name);
            assert!(table.columns.iter().all(|c| c.sentence.ends_with('.')), "{}", table.name);
        }
    }
}
