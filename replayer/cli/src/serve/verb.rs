//! `dashcam serve`: answers another program's requests.

use crate::output::stdout;
use dashcam_replayer::Recording;
use std::io::BufReader;
use std::rc::Rc;

#[derive(clap::Args)]
#[command(after_help = "\
Reads requests and writes answers, one JSON object per line, until the input ends.
  {\"id\": 1, \"method\": \"goto\", \"run\": 1, \"to\": \"start\"}
  {\"id\": 1, \"result\": {\"position\": 1, \"event\": \"PY_START\", …}}

Methods: query fetch close goto step resume stack threads source locals values interrupt.
The Python API (dashcam.open) uses it; replayer/cli/src/serve/mod.rs describes it.")]
pub(crate) struct Args {
    #[command(flatten)]
    database: crate::Database,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<u8> {
    let recording = Rc::new(Recording::open(&args.database.path)?);
    super::serve(&recording, BufReader::new(std::io::stdin()), &mut stdout())?;
    Ok(0)
}
