//! What a dashcam recording is.
//!
//! A guided tour, in the order the data flows:
//!
//! - [`event`]: the kinds of `sys.monitoring` and what each carries;
//! - [`record`]: the words in which the shim pushes events through the ring;
//! - [`calls`]: the call stack that follows from events, kept by recorder and replayer alike;
//! - [`chunk`]: a run of events as compressed columns, the unit of storage;
//! - [`tables`]: the SQL tables, each column with its type, unit and sentence;
//! - [`bytecode`]: what follows from a code object alone, such as its lines;
//! - [`derive`]: the events that follow from others and are not recorded;
//! - [`value`]: what variables held, and how that is told, kept and written;
//! - [`uuid`]: the names of runs that were made before there were any;
//! - [`loss`]: every way something was not recorded;
//! - [`version`] and [`error`]: what can be read, and what may be wrong with it.
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

    /// FORMAT.md says what the code says.
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
