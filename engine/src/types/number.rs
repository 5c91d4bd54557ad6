//! Counters and times.

use std::fmt;

use super::{Invalid, invalid};
use crate::limits::U48_MAX;

macro_rules! u48 {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// Nothing yet.
            pub const ZERO: Self = Self(0);
            /// The largest that there is.
            pub const MAX: Self = Self(U48_MAX);

            /// Takes a number.
            ///
            /// # Errors
            /// [`Invalid`] if it is 2^48 or more.
            pub fn new(value: u64) -> Result<Self, Invalid> {
                if value > U48_MAX {
                    return Err(invalid($field, "must be less than 2^48"));
                }
                Ok(Self(value))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

u48! {
    /// A dataset's counter, shown to clients: it rises by one per commit and survives deletion. A
    /// record has the count of the commit that wrote it; 0 means "none yet".
    SyncCount, "sync count"
}
u48! {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp, "time"
}

impl SyncCount {
    /// The count of the next commit, or `None` at [`SyncCount::MAX`].
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| Self(self.0 + 1))
    }
}

impl Timestamp {
    /// The system's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis());
        Self(u64::try_from(ms).unwrap_or(U48_MAX).min(U48_MAX))
    }
}

/// The log's counter: one per commit of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first commit.
    pub const ZERO: Self = Self(0);

    /// The sequence with this number.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence of the commit after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Timestamp {
    /// For numbers that were checked before.
    pub(crate) const fn believed(value: u64) -> Self {
        Self(value)
    }
}

impl SyncCount {
    /// For numbers that were checked before.
    pub(crate) const fn believed(value: u64) -> Self {
        Self(value)
    }
}
