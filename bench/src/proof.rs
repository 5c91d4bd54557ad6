//! Long runs against the real server that prove instead of measure: clients that know exactly what
//! was acknowledged to them, and compare all that they read with it.

mod known;
mod link;
mod settle;
mod stage;
mod tally;
mod walk;

pub use link::Trouble;
pub use settle::Settled;
pub use stage::{Mode, Place, Stage};
pub use tally::{Counts, Tally};
pub use walk::Shape;
