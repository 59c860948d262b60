//! Prints where the last two runs of a recording part.
//!
//! `cargo run -p dashcam-replayer --example parts -- dashcam.db`
#![allow(clippy::print_stdout)]

use dashcam_replayer::Recording;
use dashcam_replayer::diff::{Options, Run, compare};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "dashcam.db".into());
    let recording = Recording::open(path.as_ref())?;
    let store = recording.store();
    let [.., good, bad] = store.directory().runs[..] else {
        return Err("fewer than two runs".into());
    };
    let [good, bad] = [good, bad].map(|run_id| Run { store, run_id });
    let report = compare(good, bad, &Options::default(), &|_, _| Ok(()))?;
    for difference in &report.differences {
        println!("{:?}", difference.change);
        for place in difference.places.iter().flatten() {
            println!("  {place:?}");
        }
    }
    println!("{} differences", report.differences.len());
    Ok(())
}
