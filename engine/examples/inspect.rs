//! What is in a data directory that no process has open; nothing in it is changed.
//!
//! ```sh
//! cargo run -p syncline-engine --example inspect -- DIRECTORY
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;

use syncline_engine::{check, inspect};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os()
        .nth(1)
        .ok_or("name a data directory as the argument")?;
    let found = inspect(&directory)?;
    println!("store {} at sequence {}", found.store, found.sequence);
    println!(
        "{} datasets of {} identities in {} pools: {} bytes",
        found.datasets, found.identities, found.pools, found.bytes
    );
    for segment in &found.cold {
        let (live, bytes) = (segment.live, segment.bytes);
        println!(
            "cold segment {}: {live} of {bytes} bytes live",
            segment.number
        );
    }

    let checked = check(&directory, |_| ())?;
    for problem in &checked.problems {
        println!("{problem}");
    }
    println!(
        "{} problems in {} bytes",
        checked.problems.len(),
        checked.bytes
    );
    Ok(())
}
