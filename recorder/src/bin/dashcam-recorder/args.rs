//! The command line. The words after SCRIPT, `-m MODULE` or `-c CODE` belong to the program, as
//! with `python` itself, so they are split off before clap sees the rest.

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, ValueEnum};
use dashcam_recorder::boot::{DEFAULT_CAPTURE, DEFAULT_MAX_WAIT, LIMITS_MAX};
use dashcam_schema::record;
use dashcam_schema::value::{self, Limits};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A day.
const MAX_WAIT_MOST: f64 = 86_400.0;

const EXAMPLES: &str = "\
SCRIPT, MODULE and CODE are what python would run; everything after them belongs to the program.
COMMAND is a program on PATH, or a path to one, that is a Python or starts one: the first Python that
runs a program is recorded, whatever its options.

Examples:
  dashcam record app.py --verbose input.csv
  dashcam record -o tests.db --no-stdlib -m pytest tests/
  dashcam record --python-args '-X dev -W error' app.py
  dashcam record -- python3.13 -I app.py
  dashcam record black --check src
  dashcam query \"select qualname, calls, self_ns from function_totals order by self_ns desc\"";

/// Run a Python program and record everything it does
#[derive(Debug, Parser)]
#[command(
    name = "dashcam record",
    bin_name = "dashcam record",
    version,
    override_usage = "dashcam record [OPTIONS] (SCRIPT | -m MODULE | -c CODE | COMMAND) [ARGS]...",
    after_help = EXAMPLES
)]
pub(crate) struct Options {
    /// Database to record into; it may hold other runs already
    #[arg(short, long = "output", value_name = "DB", default_value = "dashcam.db")]
    pub(crate) output: PathBuf,
    /// Record only these: module names (with the modules in them) or path globs
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Do not record these: module names or path globs
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Do not record the standard library
    #[arg(long)]
    pub(crate) no_stdlib: bool,
    /// Record every event by callback, or derive what can be derived
    #[arg(long, value_name = "MODE", value_enum, default_value_t = Events::Derived)]
    pub(crate) events: Events,
    /// How much of the program's values to record
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = Capture::DEFAULT)]
    pub(crate) capture: Capture,
    #[command(flatten)]
    pub(crate) values: Values,
    /// Record the program's first process alone, not those that it starts
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// How long the program waits for a recorder that is held up, before recording is given up
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_MAX_WAIT.as_secs_f64(),
          value_parser = seconds)]
    pub(crate) max_wait: f64,
    /// Interpreter to run the program with [default: the virtual environment's, or python3]
    #[arg(long, value_name = "PYTHON")]
    pub(crate) python: Option<OsString>,
    /// The interpreter to prefer if the user names none: the one that runs `python -m dashcam`
    #[arg(long, value_name = "PYTHON", hide = true)]
    pub(crate) own_python: Option<OsString>,
    /// Options of the interpreter, quoted as one word: '-X dev -W error'
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, value_parser = words_of)]
    pub(crate) python_args: Option<Words>,
    /// Shared memory between the program and the recorder, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 16, hide = true,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) ring_size: u32,

    /// Print the options as JSON, for completion and manual pages
    #[arg(long, hide = true)]
    describe_options: bool,
    #[arg(long, hide = true, requires_all = ["ring_fd", "control_fd"])]
    serve: bool,
    #[arg(long, hide = true)]
    ring_fd: Option<i32>,
    #[arg(long, hide = true)]
    control_fd: Option<i32>,
    #[arg(long, hide = true)]
    values_fd: Option<i32>,
    #[arg(long, hide = true, default_value = "[]")]
    command: String,

    /// What to run, its arguments included.
    #[arg(skip)]
    pub(crate) program: Vec<OsString>,
}

/// [`record::Mode`] for the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Events {
    /// record the events from which the others are derived (default)
    Derived,
    /// record every kind by callback: the reference
    Direct,
    /// record directly, derive as well, and compare
    Verify,
}

impl From<Events> for record::Mode {
    fn from(events: Events) -> record::Mode {
        match events {
            Events::Derived => record::Mode::Derived,
            Events::Direct => record::Mode::Direct,
            Events::Verify => record::Mode::Verify,
        }
    }
}

/// [`value::Capture`] for the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Capture {
    /// none: events only
    Flow,
    /// arguments, results and exceptions
    Calls,
    /// what variables and objects hold, at every instruction
    State,
}

impl Capture {
    const DEFAULT: Capture = match DEFAULT_CAPTURE {
        value::Capture::Flow => Capture::Flow,
        value::Capture::Calls => Capture::Calls,
        value::Capture::State => Capture::State,
    };
}

impl From<Capture> for value::Capture {
    fn from(capture: Capture) -> value::Capture {
        match capture {
            Capture::Flow => value::Capture::Flow,
            Capture::Calls => value::Capture::Calls,
            Capture::State => value::Capture::State,
        }
    }
}

/// How much of a value is recorded, and which values are not.
#[derive(Debug, clap::Args)]
pub(crate) struct Values {
    /// Record at most N characters of a str, N bytes of a bytes
    #[arg(long, value_name = "N", default_value_t = Limits::default().string,
          value_parser = up_to(LIMITS_MAX.string))]
    max_string: u32,
    /// Record at most N items of a container, N attributes of an instance
    #[arg(long, value_name = "N", default_value_t = Limits::default().items,
          value_parser = up_to(LIMITS_MAX.items))]
    max_items: u32,
    /// Examine containers within containers down to depth N
    #[arg(long, value_name = "N", default_value_t = Limits::default().depth,
          value_parser = up_to(LIMITS_MAX.depth))]
    max_depth: u32,
    /// Examine at most N objects for one event
    #[arg(long, value_name = "N", default_value_t = Limits::default().objects,
          value_parser = up_to(LIMITS_MAX.objects))]
    max_objects: u32,
    /// Record at most about N digits of an int
    #[arg(long, value_name = "N", default_value_t = Limits::default().digits,
          value_parser = up_to(LIMITS_MAX.digits))]
    max_digits: u32,
    /// Leave out values whose names contain PATTERN, besides the usual ones (password, token …)
    #[arg(long, value_name = "PATTERN", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) redact: Vec<String>,
    /// Do not leave out the values of the usual names
    #[arg(long)]
    pub(crate) no_default_redact: bool,
    /// Leave out the arguments of functions written in C
    #[arg(long)]
    pub(crate) no_c_arguments: bool,
}

/// The words into which a shell splits a text.
type Words = Vec<OsString>;

fn words_of(text: &str) -> Result<Words, &'static str> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    Ok(words.into_iter().map(OsString::from).collect())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=MAX_WAIT_MOST).contains(&seconds) => Ok(seconds),
        _ => Err(format!("{text} is no number of seconds from 0 to {MAX_WAIT_MOST}")),
    }
}

fn up_to(max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=i64::from(max))
}

impl Values {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            string: self.max_string,
            items: self.max_items,
            depth: self.max_depth,
            objects: self.max_objects,
            digits: self.max_digits,
        }
    }
}

/// The task of this process.
pub(crate) enum Mode {
    Record(Box<Options>),
    Serve(Serve),
    DescribeOptions,
}

/// The settings of a recorder that the program itself started.
pub(crate) struct Serve {
    pub(crate) output: PathBuf,
    pub(crate) ring_fd: i32,
    pub(crate) control_fd: i32,
    pub(crate) values_fd: Option<i32>,
    pub(crate) command: String,
}

/// Options that are followed by a value.
const VALUED: &[&str] = &[
    "-o",
    "--output",
    "--include",
    "--exclude",
    "--events",
    "--capture",
    "--max-string",
    "--max-items",
    "--max-depth",
    "--max-objects",
    "--max-digits",
    "--max-wait",
    "--redact",
    "--python",
    "--own-python",
    "--python-args",
    "--ring-size",
    "--ring-fd",
    "--control-fd",
    "--values-fd",
    "--command",
];

/// Returns the index of the first word that is not an option of ours.
fn end_of_options(words: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        let bytes = word.as_bytes();
        let is_option = bytes.len() > 1 && bytes[0] == b'-';
        if !is_option || bytes.starts_with(b"-m") || bytes.starts_with(b"-c") || bytes == b"--" {
            break;
        }
        at += if VALUED.iter().any(|option| word == option) { 2 } else { 1 };
    }
    at.min(words.len())
}

/// Parses the command line. Ends the process if the line is invalid or asks for help.
pub(crate) fn parse(words: Vec<OsString>) -> Mode {
    let (ours, rest) = words.split_at(end_of_options(&words));
    let rest = if rest.first().is_some_and(|word| word == "--") { &rest[1..] } else { rest };
    let mut command = Options::command();
    let mut options = command
        .try_get_matches_from_mut(ours)
        .and_then(|matches| Options::from_arg_matches(&matches))
        .unwrap_or_else(|error| error.exit());
    if options.describe_options {
        return Mode::DescribeOptions;
    }
    if options.serve
        && let (Some(ring_fd), Some(control_fd)) = (options.ring_fd, options.control_fd)
    {
        let Options { output, command, values_fd, .. } = options;
        return Mode::Serve(Serve { output, ring_fd, control_fd, values_fd, command });
    }
    options.program = rest.to_vec();
    match rest.first().map(|word| word.as_bytes()) {
        None => command
            .error(
                ErrorKind::MissingRequiredArgument,
                "what to run is missing: SCRIPT, -m, -c or COMMAND",
            )
            .exit(),
        Some(flag @ (b"-m" | b"-c")) if rest.len() == 1 => {
            let flag = String::from_utf8_lossy(flag);
            let text = format!("a value is missing after {flag}");
            command.error(ErrorKind::InvalidValue, text).exit()
        }
        Some(_) => Mode::Record(Box::new(options)),
    }
}

/// Returns the visible options as a JSON array of objects: `long`, `short`, `help`, and of those
/// that take a value `value`, its name, and `values`, the words it is one of.
pub(crate) fn described_options() -> serde_json::Value {
    let command = Options::command();
    let options = command.get_arguments().filter(|option| !option.is_hide_set());
    options
        .map(|option| {
            let takes_value = option.get_action().takes_values();
            let value = option.get_value_names().filter(|_| takes_value);
            let values = option.get_possible_values();
            serde_json::json!({
                "long": option.get_long(),
                "short": option.get_short(),
                "help": option.get_help().map(ToString::to_string),
                "value": value.and_then(|names| names.first()).map(ToString::to_string),
                "values": values.iter().map(|value| value.get_name()).collect::<Vec<_>>(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> (Vec<OsString>, Vec<OsString>) {
        let words: Vec<OsString> =
            std::iter::once("dashcam").chain(line.split(' ')).map(OsString::from).collect();
        let (ours, rest) = words.split_at(end_of_options(&words));
        (ours[1..].to_vec(), rest.to_vec())
    }

    #[test]
    fn the_programs_words_are_its_own() {
        for (line, ours, program) in [
            ("app.py -o x.db", 0, "app.py -o x.db"),
            ("-o x.db --no-stdlib app.py --help", 3, "app.py --help"),
            ("-ox.db --include=a -m pkg -o y -m", 2, "-m pkg -o y -m"),
            ("--events direct app.py --events x", 2, "app.py --events x"),
            ("--capture calls --max-items 9 --no-default-redact a.py", 5, "a.py"),
            ("--python p -c pass -- x", 2, "-c pass -- x"),
            ("--python-args -Xdev a.py", 2, "a.py"),
            ("-o x.db black --check -o y", 2, "black --check -o y"),
            ("-mpkg", 0, "-mpkg"),
        ] {
            let (options, rest) = split(line);
            let expected: Vec<OsString> = program.split(' ').map(OsString::from).collect();
            assert_eq!((options.len(), rest), (ours, expected), "{line}");
        }
    }

    /// Every option that takes a value is in `VALUED`.
    #[test]
    fn values_are_not_taken_for_the_program() {
        for option in Options::command().get_arguments().filter(|o| o.get_action().takes_values()) {
            let Some(long) = option.get_long() else { continue };
            assert!(VALUED.contains(&&*format!("--{long}")), "--{long}");
        }
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        for (bad, expected) in [
            ("--capture=all", "'--capture <LEVEL>'"),
            ("--max-string=65537", "'--max-string <N>': 65537 is not in 0..=65536"),
            ("--max-depth=-1", "'--max-depth <N>'"),
            ("--redact=", "'--redact <PATTERN>'"),
            ("--python-args='", "'--python-args <OPTIONS>': a quote is not closed"),
            ("--max-wait=soon", "soon is no number of seconds"),
            ("--max-wait=-1", "'--max-wait <SECONDS>'"),
        ] {
            let error = Options::command().try_get_matches_from(["dashcam", bad]).unwrap_err();
            let text = error.to_string();
            assert!(text.lines().next().is_some_and(|line| line.contains(expected)), "{text}");
        }
    }

    #[test]
    fn the_options_are_consistent() {
        Options::command().debug_assert();
    }
}
