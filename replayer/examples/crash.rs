//! Prints what ended the program of the last run, and the variables on its stack at that moment.
//!
//! `cargo run -p dashcam-replayer --example crash -- dashcam.db`
#![allow(clippy::print_stdout)]

use dashcam_replayer::Recording;
use dashcam_replayer::timeline::Timeline;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "dashcam.db".into());
    let recording = Recording::open(path.as_ref())?;
    let run_id = recording.store().run(None)?;
    // Tables are questions of SQL.
    let sql = "select seq, type, message from exceptions where outcome = 'program'";
    let mut query = recording.prepare(sql, Some(run_id))?;
    let found = query.query_row([], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    });
    let Ok((seq, class, message)) = found else {
        println!("run {run_id} was not ended by an exception");
        return Ok(());
    };
    println!("{class}: {}", message.unwrap_or_default());
    // Positions are questions of the timeline, contents of variables questions of the state.
    let timeline =
        Timeline::new(recording.store().clone(), run_id).ok_or("a run without events")?;
    if let Some(here) = timeline.here(timeline.position(seq))? {
        println!("raised in {} ({}:{})", here.qualname, here.path, here.line.unwrap_or(0));
    }
    for variable in timeline.state().locals_at(run_id, seq, None)? {
        println!("  #{} {} = {}", variable.depth, variable.name, variable.value);
    }
    Ok(())
}
