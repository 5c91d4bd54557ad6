//! The store of a server that is stopped: opened for one command, closed behind it.

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Args;
use syncline_engine::{Engine, Error as EngineError, Fault, Options};
use syncline_server::start;
use thiserror::Error;

use super::place::Place;

/// By any of these a data directory is known, however damaged it is.
const MARKS: [&str; 5] = ["STORE", "hot", "cold", "checkpoint", "REPAIR"];

/// Flags that all these commands have.
#[derive(Debug, Args)]
pub(crate) struct Stopped {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print JSON, for scripts
    #[arg(long)]
    pub(crate) json: bool,
}

/// Why the store cannot be had.
#[derive(Debug, Error)]
pub(crate) enum StoppedError {
    /// Nothing there.
    #[error(
        "{} is not a data directory; name it with --data",
        path.display()
    )]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A server runs.
    #[error(
        "the data directory {} is in use by {holder}: stop the server, then run this again",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The store cannot be opened.
    #[error("cannot open the data directory {}; `syncline check` tells more", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
}

impl Stopped {
    /// Opens the store, which does nothing of its own accord until it is closed.
    pub(crate) fn open(self) -> Result<Engine, Box<dyn Error>> {
        open(self.place, false, false)
    }
}

/// Refuses what is no data directory, before anything is made in it.
pub(crate) fn known(path: &Path) -> Result<(), StoppedError> {
    if MARKS.iter().any(|mark| path.join(mark).exists()) {
        return Ok(());
    }
    let path = path.to_owned();
    Err(StoppedError::NoStore { path })
}

/// Tells who has the store, and what to do then.
pub(crate) fn refused(path: &Path, error: EngineError) -> StoppedError {
    let path = path.to_owned();
    match error {
        EngineError::Fault(Fault::Locked { holder }) => StoppedError::InUse { path, holder },
        source => StoppedError::Store { path, source },
    }
}

/// Opens a store, with threads of its own or without; makes it only if that is what is asked for.
pub(crate) fn open(place: Place, make: bool, threads: bool) -> Result<Engine, Box<dyn Error>> {
    let config = place.read()?;
    config.check()?;
    let path = config.data.clone();
    if !make {
        known(&path)?;
    }
    let options = Options {
        threads,
        ..start::options(&config)
    };
    Engine::open(&path, options).map_err(|error| refused(&path, error).into())
}
