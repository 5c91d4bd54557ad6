//! The shapes of both APIs as JSON, written by hand, and the rules of reading them.
//!
//! Nothing here is a domain type: everything that a caller may leave out is an `Option`, and what
//! a value may be is decided by the operation. Unknown members are skipped, since clients of many
//! ages send more than the model names; doubled ones are refused, since two readers of such a body
//! may disagree.

pub mod arn;
pub mod changes;
pub mod constraint;
pub mod device;
pub mod form;
pub mod identity;
pub mod json;
pub mod kinesis;
mod layout;
pub mod linking;
pub mod query;
pub mod reach;
pub mod roles;
pub mod settings;
pub mod sync;
pub mod time;

pub use constraint::Violations;
pub use form::Form;
pub use json::{Object, Pairs};
pub use query::Query;
pub use time::EpochSeconds;
