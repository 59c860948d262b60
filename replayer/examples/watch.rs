//! Prints every write of a local variable in a run, with the lines that wrote it.
//!
//! `cargo run -p dashcam-replayer --example watch -- dashcam.db total`
#![allow(clippy::print_stdout)]

use dashcam_replayer::Recording;
use dashcam_replayer::timeline::Timeline;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which recording?")?;
    let name = arguments.next().ok_or("which variable?")?;
    let recording = Recording::open(path.as_ref())?;
    let run_id = recording.store().run(None)?;
    let timeline =
        Timeline::new(recording.store().clone(), run_id).ok_or("a run without events")?;
    let sql = "select seq, value from variables where name = ?1 and scope = 'local' order by seq";
    let mut query = recording.prepare(sql, Some(run_id))?;
    let mut rows = query.query([&name])?;
    while let Some(row) = rows.next()? {
        let (seq, value) = (row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?);
        let Some(here) = timeline.here(timeline.position(seq))? else { continue };
        let (line, value) = (here.line.unwrap_or(0), value.unwrap_or_else(|| "<deleted>".into()));
        println!("{seq:>8} {}:{line} {} {name} = {value}", here.path, here.qualname);
    }
    Ok(())
}
