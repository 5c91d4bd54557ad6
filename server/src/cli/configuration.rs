//! `syncline config`: whether a configuration can be used, and what one looks like.

use std::error::Error;
use std::io::Write;

use clap::Subcommand;
use syncline_server::config::{EXAMPLE, misspelt};

use super::place::Place;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the server would start with this file and this environment.
    Check(Place),
    /// Print a complete file with every setting, its default and what it is for.
    Example,
}

/// Does it, and says what was found.
pub(crate) fn run(command: ConfigCommand) -> Result<(), Box<dyn Error>> {
    let mut stdout = std::io::stdout().lock();
    match command {
        ConfigCommand::Check(place) => {
            let config = place.read()?;
            config.check()?;
            for remark in remarks() {
                writeln!(stdout, "note: {remark}")?;
            }
            for (name, stream) in &config.streams {
                writeln!(stdout, "stream {name:?}: {}", stream.describe())?;
            }
            writeln!(stdout, "The configuration is good.")?;
        }
        ConfigCommand::Example => write!(stdout, "{EXAMPLE}")?,
    }
    Ok(())
}

/// What is no error, but may not be what was meant.
pub(crate) fn remarks() -> Vec<String> {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let misspelt = misspelt(names).into_iter().map(|(name, meant)| {
        format!("the environment variable {name} is not known; did you mean {meant}?")
    });
    misspelt.collect()
}
