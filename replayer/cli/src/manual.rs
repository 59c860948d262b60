//! `dashcam completions` and `dashcam man`: what shells and `man` want to know of the command line.

use super::record;
use clap::{Arg, ArgAction, Command, CommandFactory as _, ValueHint};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
Examples: for this session, and for all
  source <(dashcam completions bash)
  dashcam completions bash > ~/.local/share/bash-completion/completions/dashcam
  dashcam completions zsh > \"${fpath[1]}/_dashcam\"
  dashcam completions fish > ~/.config/fish/completions/dashcam.fish")]
pub(super) struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> clap_complete::Shell {
        match shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        }
    }
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  dashcam man record | man -l -
  dashcam man --all ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The command the page is about [default: dashcam itself]
    #[arg(value_name = "COMMAND")]
    verb: Option<String>,
    /// Write all pages into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "verb", value_hint = ValueHint::DirPath)]
    all: Option<PathBuf>,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    let shell = clap_complete::Shell::from(args.shell);
    clap_complete::generate(shell, &mut command()?, "dashcam", &mut script);
    print(&script)
}

pub(super) fn man(args: &Man) -> anyhow::Result<u8> {
    let mut command = command()?;
    command.build();
    if let Some(folder) = &args.all {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(command, folder)?;
        return Ok(0);
    }
    let page = match &args.verb {
        None => command,
        Some(verb) => {
            let found = command.find_subcommand(verb).filter(|found| !found.is_hide_set());
            found.cloned().ok_or_else(|| anyhow::anyhow!("{verb} is not a command of dashcam"))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    print(&text)
}

fn print(bytes: &[u8]) -> anyhow::Result<u8> {
    let mut out = super::output::stdout();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(0)
}

/// The whole command line, with the options of `dashcam record`, which are dashcam-recorder's.
fn command() -> anyhow::Result<Command> {
    let options = record::options()?;
    Ok(super::Cli::command().mut_subcommand("record", |verb| {
        let about = verb.get_about().cloned().unwrap_or_default();
        let program = Arg::new("program")
            .value_name("PROGRAM")
            .help("The script, -m MODULE, -c CODE or command to record, and its arguments")
            .value_hint(ValueHint::CommandWithArguments)
            .trailing_var_arg(true)
            .num_args(1..);
        let options = options.as_array().into_iter().flatten().filter_map(option);
        Command::new("record").about(about).args(options).arg(program)
    }))
}

/// An option as dashcam-recorder describes it.
fn option(described: &Value) -> Option<Arg> {
    let text = |key: &str| described[key].as_str().map(str::to_owned);
    let long = text("long")?;
    let mut option = Arg::new(long.clone()).long(long).help(text("help").unwrap_or_default());
    if let Some(short) = text("short").and_then(|short| short.chars().next()) {
        option = option.short(short);
    }
    let Some(value) = text("value") else { return Some(option.action(ArgAction::SetTrue)) };
    let values: Vec<String> = described["values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(str::to_owned))
        .collect();
    let hint = match value.as_str() {
        "DB" => ValueHint::FilePath,
        "PYTHON" => ValueHint::CommandName,
        _ => ValueHint::Unknown,
    };
    option = option.value_name(value).value_hint(hint).action(ArgAction::Set);
    Some(if values.is_empty() { option } else { option.value_parser(values) })
}
