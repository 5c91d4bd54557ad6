//! Cognito Streams: what a stream tells of each change.

mod event;

pub use event::{Event, EventId, INLINE_BYTES_MAX, Told, events};
