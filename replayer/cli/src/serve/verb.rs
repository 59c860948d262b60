//! `dashcam serve`: answers another program's requests.

use super::output::stdout;
use crate::Recording;
use std::io::BufReader;
use std::rc::Rc;

#[derive(clap::Args)]
#[command(after_help = "\
Reads requests and writes answers, one JSON object per line, until the input ends.
  {\"id\": 1, \"method\": \"goto\", \"run\": 1, \"to\": \"start\"}
  {\"id\": 1, \"result\": {\"position\": 1, \"event\": \"PY_START\", …}}

Methods: query fetch close goto step resume stack threads source locals values interrupt.
The Python API (dashcam.open) uses it; replayer/src/serve/mod.rs describes it.")]
pub(super) struct Args {
    #[command(flatten)]
    database: super::Database,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let recording = Rc::new(Recording::open(&args.database.path)?);
    crate::serve::serve(&recording, BufReader::new(std::io::stdin()), &mut stdout())?;
    Ok(0)
}
