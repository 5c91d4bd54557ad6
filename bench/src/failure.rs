//! Why a run ends without figures: in words for whoever started it.

use std::error::Error;

/// Anything that went wrong. A benchmark does not recover, it stops.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Figures, or why there are none.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure in words.
pub fn fail<T>(why: impl Into<String>) -> Result<T> {
    Err(why.into().into())
}
