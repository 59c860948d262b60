//! The kinds of losses: what was not recorded, or nearly was not. Each is a row of `losses`.

/// How much a loss matters to the reader of the recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Nothing is missing; the row is about a cost or a circumstance worth knowing.
    Info,
    /// Something the user asked for is missing.
    Loss,
    /// Recording ended early, or what was written cannot be trusted.
    Error,
}

impl Severity {
    /// The name in `losses.severity`.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Loss => "loss",
            Severity::Error => "error",
        }
    }
}

/// A row's detail gets no further entries once it has this many bytes.
pub const DETAIL_MAX: usize = 2000;

macro_rules! losses {
    ($($variant:ident $name:literal $severity:ident $unit:literal $sentence:literal)*) => {
        /// A kind of loss.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug,
                 bincode::Encode, bincode::Decode)]
        pub enum LossKind { $(#[doc = $sentence] $variant),* }

        impl LossKind {
            /// All kinds, in the order of declaration.
            pub const ALL: &'static [LossKind] = &[$(LossKind::$variant),*];
            /// The name in `losses.kind`.
            pub const fn name(self) -> &'static str { match self { $(LossKind::$variant => $name),* } }
            /// How much a loss of this kind matters.
            pub const fn severity(self) -> Severity { match self { $(LossKind::$variant => Severity::$severity),* } }
            /// The unit of `losses.count`.
            pub const fn unit(self) -> &'static str { match self { $(LossKind::$variant => $unit),* } }
            /// A sentence for users about what happened.
            pub const fn sentence(self) -> &'static str { match self { $(LossKind::$variant => $sentence),* } }
            /// The detail of a row: the sentence, followed by what is `known` about this loss.
            pub fn detail(self, known: &str) -> String {
                match self {
                    // What is known is a whole sentence here.
                    LossKind::InterpreterUnknown if !known.is_empty() => known.to_owned(),
                    _ => format!("{} {known}", self.sentence()),
                }
            }
            /// Whether a row's detail lists each loss of this kind, up to [`DETAIL_MAX`] bytes.
            pub const fn lists_each(self) -> bool { matches!(self, LossKind::Waited | LossKind::ChildNotRecorded) }
        }
    };
}

losses! {
    Waited "waited" Info "ns" "The program waited for the recorder because the ring was full; nothing is missing."
    Filtered "filtered" Info "code objects" "Code objects were left out by --include, --exclude or --no-stdlib."
    MessageCut "message_cut" Info "messages" "Exception messages longer than the limit were cut; the text includes their full length."
    MessageUnread "message_unread" Info "messages" "Exception messages were not read where that would have run the program's own code."
    ChildNotFollowed "child_not_followed" Loss "processes" "A forked child process continued without being recorded."
    ChildNotRecorded "child_not_recorded" Loss "processes" "A child process that runs Python was not recorded:"
    InterpreterNotRecorded "interpreter_not_recorded" Loss "interpreters" "The program made another interpreter in its process; what runs there is not recorded."
    ForeignCode "foreign_code" Loss "events" "Events whose code is not a code object were left out."
    UnknownKind "unknown_kind" Loss "kinds" "This interpreter has more event kinds than a recording has numbers for."
    ToolTaken "tool_taken" Error "times" "Our sys.monitoring tool id was freed or taken by another tool; what happened after it is missing."
    EventsSwitchedOff "events_switched_off" Error "times" "The program changed the events or callbacks of our sys.monitoring tool; what happened after it may be missing."
    CallbackFailed "callback_failed" Error "times" "A callback of dashcam's failed; recording stopped there and the program went on."
    BadRecord "bad_record" Error "records" "A record in the ring was invalid; recording stopped there."
    BadValue "bad_value" Loss "records" "A record of values in the ring was invalid; events are still recorded, but values after it are missing."
    ObjectsForgotten "objects_forgotten" Info "objects" "The program had more objects than the recorder can keep track of; those it dropped have another number from then on."
    NotLookedAt "not_looked_at" Info "objects" "Of objects passed to frequently called functions only type and identity were recorded. At capture level state this happens only on Python 3.12, where code is left out (--include, --exclude, --no-stdlib), and where one event has too many objects for a record."
    ValueUnread "value_unread" Info "values" "Some values could not be read and are shown as <unread>: variables that CPython changes without an event (lazy imports, from 3.15 on), private fields of an extension's class, and variables of a module that has more of them than a record holds."
    StoreFailed "store_failed" Error "chunks" "Chunks could not be written to the database."
    Desync "desync" Loss "calls" "The call stack did not match an event; calls were closed to resynchronise."
    Underived "underived" Loss "events" "The rules by which events follow from others did not cover an event; events before it may be missing."
    Traced "traced" Info "times" "A trace function was in use. Where a debugger jumps (sets f_lineno), the events derived up to the next recorded one may be wrong."
    DerivedDiffers "derived_differs" Error "events" "Recorded events differ from the events derived from the others (--events verify)."
    InstructionsTaken "instructions_taken" Info "stretches" "Another tool started and CPython dropped our INSTRUCTION events; the derived events include them (--events verify)."
    SourceUnread "source_unread" Info "files" "Source files could not be read."
    GaveUp "gave_up" Error "times" "The recorder made no room in the ring for longer than --max-wait; recording stopped there and the program went on."
    RecorderDied "recorder_died" Error "times" "The recorder process died before the program did."
    NotStarted "not_started" Error "times" "Recording could not start, and the program ran unrecorded:"
    OutOfMemory "out_of_memory" Error "times" "The program had used up all memory; recording stopped there and the program went on."
    InterpreterUnknown "interpreter_unknown" Loss "interpreters" "This version of dashcam does not know the interpreter, or found it different from what it knows. Less was recorded than was requested, or recording was slower."
    Outlived "outlived" Loss "processes" "A process went on after the program's first process had ended; what it did then is missing."
}
