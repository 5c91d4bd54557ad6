//! Cognito Streams: what a stream tells of each change, how it is read page by page, and the links
//! to what is too large for it.

mod event;
mod link;
mod page;
mod place;

pub use event::{Event, EventId, INLINE_BYTES_MAX, Told, events};
pub use link::{LINK_LIFE_MS, LINK_PATH, link, records};
pub use page::{NoPage, Page, Wanted, at_time, read};
pub use place::Place;
