//! Every way something was not recorded, or nearly was not. Each is a row of `losses`.

/// How much a loss matters to who reads the recording.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// Nothing is missing; a cost or a circumstance worth knowing.
    Info,
    /// Something the user asked for is missing.
    Loss,
    /// Recording ended early, or what was written cannot be trusted.
    Error,
}

impl Severity {
    /// As `losses.severity` spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Loss => "loss",
            Severity::Error => "error",
        }
    }
}

/// Bytes of a row's detail beyond which no more is listed.
pub const DETAIL_MAX: usize = 2000;

macro_rules! losses {
    ($($variant:ident $name:literal $severity:ident $unit:literal $sentence:literal)*) => {
        /// A way not to record something.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug,
                 bincode::Encode, bincode::Decode)]
        pub enum LossKind { $(#[doc = $sentence] $variant),* }

        impl LossKind {
            /// All of them, in the order of declaration.
            pub const ALL: &'static [LossKind] = &[$(LossKind::$variant),*];
            /// As `losses.kind` spells it.
            pub const fn name(self) -> &'static str { match self { $(LossKind::$variant => $name),* } }
            /// How much it matters.
            pub const fn severity(self) -> Severity { match self { $(LossKind::$variant => Severity::$severity),* } }
            /// What `losses.count` counts.
            pub const fn unit(self) -> &'static str { match self { $(LossKind::$variant => $unit),* } }
            /// What happened, for a person.
            pub const fn sentence(self) -> &'static str { match self { $(LossKind::$variant => $sentence),* } }
            /// The detail of a row: what happened, and what is known of it.
            pub fn detail(self, known: &str) -> String {
                match self {
                    // Whole sentences.
                    LossKind::InterpreterUnknown if !known.is_empty() => known.to_owned(),
                    _ => format!("{} {known}", self.sentence()),
                }
            }
            /// Whether a row tells of each of several, up to [`DETAIL_MAX`] bytes.
            pub const fn lists_each(self) -> bool { matches!(self, LossKind::Waited | LossKind::ChildNotRecorded) }
        }
    };
}

losses! {
    Waited "waited" Info "ns" "The program waited for the recorder because the ring was full; nothing is missing."
    Filtered "filtered" Info "code objects" "Code objects left out by --include, --exclude or --no-stdlib."
    MessageCut "message_cut" Info "messages" "Exception messages longer than the limit were cut; the text says how long they were."
    MessageUnread "message_unread" Info "messages" "Exception messages that only user code could have produced were not asked for."
    ChildNotFollowed "child_not_followed" Loss "processes" "A forked child went on without being recorded."
    ChildNotRecorded "child_not_recorded" Loss "processes" "A child process that runs Python was not recorded:"
    InterpreterNotRecorded "interpreter_not_recorded" Loss "interpreters" "The program made another interpreter in its process; what runs there is not recorded."
    ForeignCode "foreign_code" Loss "events" "Events from something that is not a code object were left out."
    UnknownKind "unknown_kind" Loss "kinds" "This interpreter has more event kinds than a recording has numbers for."
    ToolTaken "tool_taken" Error "times" "Our sys.monitoring tool id was freed or taken by another tool; what happened after it is missing."
    EventsSwitchedOff "events_switched_off" Error "times" "The program changed the events or callbacks of our sys.monitoring tool; what happened after it may be missing."
    CallbackFailed "callback_failed" Error "times" "A callback of dashcam's failed; recording stopped there and the program went on."
    BadRecord "bad_record" Error "records" "A record in the ring made no sense; recording stopped there."
    BadValue "bad_value" Loss "records" "A record of values in the ring made no sense; events went on, values after it are missing."
    ObjectsForgotten "objects_forgotten" Info "objects" "More objects than can be told apart; those forgotten have another number from then on."
    NotLookedAt "not_looked_at" Info "objects" "Objects that frequent functions were handed go by type and identity alone; at capture level state none do, but on Python 3.12, where code is left out (--include, --exclude, --no-stdlib), and where one event has too many for a record."
    ValueUnread "value_unread" Info "values" "Variables whose value could not be read, and reads <unread>: what CPython changes without an event (lazy imports, from 3.15 on), fields that an extension's class keeps for itself, and those of a module with more variables than a record holds."
    StoreFailed "store_failed" Error "chunks" "Chunks could not be written to the database."
    Desync "desync" Loss "calls" "The call stack did not fit an event; calls were closed to resynchronise."
    Underived "underived" Loss "events" "The rules by which events follow from others did not cover an event; events before it may be missing."
    Traced "traced" Info "times" "A trace function was in use; where a debugger jumps (sets f_lineno), events derived up to the next recorded one may not be what happened."
    DerivedDiffers "derived_differs" Error "events" "Events that were recorded are not those that follow from the others (--events verify)."
    InstructionsTaken "instructions_taken" Info "stretches" "Another tool started and CPython dropped our INSTRUCTION events; the events that follow from the others have them (--events verify)."
    SourceUnread "source_unread" Info "files" "Source files that could not be read."
    GaveUp "gave_up" Error "times" "The recorder made no room for longer than --max-wait; recording stopped there and the program went on."
    RecorderDied "recorder_died" Error "times" "The recorder process died before the program did."
    NotStarted "not_started" Error "times" "Recording could not start, and the program ran unrecorded:"
    OutOfMemory "out_of_memory" Error "times" "The program had used up all memory there was; recording stopped there and the program went on."
    InterpreterUnknown "interpreter_unknown" Loss "interpreters" "This version does not know the interpreter, or not as it was found, and less was recorded than was asked for, or at a higher price."
}
