//! Cognito Streams: what a stream tells of each change, and the links to what is too large for it.

mod event;
mod link;

pub use event::{Event, EventId, INLINE_BYTES_MAX, Told, events};
pub use link::{LINK_LIFE_MS, LINK_PATH, link, records};
