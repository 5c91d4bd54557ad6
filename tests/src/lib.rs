//! Checks of the house: what its sources may look like, and which module may know which.
//!
//! The checks of what the programs do are beside this crate: `tests/*.rs` here, and the suites of
//! real clients in `clients/`. `tests/run` runs all of them.

pub mod imports;
pub mod layers;
pub mod source;

use std::path::{Path, PathBuf};

/// The top of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the crate is a directory of the workspace")
        .to_owned()
}
