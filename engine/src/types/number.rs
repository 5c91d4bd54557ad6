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
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Number;")]
            ///
            /// assert_eq!(Number::ZERO, Number::default());
            /// ```
            pub const ZERO: Self = Self(0);
            /// The largest that there is.
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Number;")]
            ///
            /// assert_eq!(Number::MAX.get(), (1 << 48) - 1);
            /// ```
            pub const MAX: Self = Self(U48_MAX);

            /// Takes a number.
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Number;")]
            ///
            /// assert!(Number::new((1 << 48) - 1).is_ok());
            /// assert!(Number::new(1 << 48).is_err());
            /// ```
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
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Number;")]
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// assert_eq!(Number::new(7)?.get(), 7);
            /// # Ok(())
            /// # }
            /// ```
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
    ///
    /// ```
    /// use syncline_engine::SyncCount;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (seen, now) = (SyncCount::new(3)?, SyncCount::new(5)?);
    /// assert!(seen < now, "what was written since has counts 4 and 5");
    /// # Ok(())
    /// # }
    /// ```
    SyncCount, "sync count"
}
u48! {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use syncline_engine::Timestamp;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let time = Timestamp::new(1_700_000_000_000)?;
    /// let system = UNIX_EPOCH + Duration::from_millis(time.get());
    /// assert!(system < std::time::SystemTime::now());
    /// # Ok(())
    /// # }
    /// ```
    Timestamp, "time"
}

impl SyncCount {
    /// The count of the next commit, or `None` at [`SyncCount::MAX`].
    ///
    /// ```
    /// use syncline_engine::SyncCount;
    ///
    /// assert_eq!(SyncCount::ZERO.next().map(SyncCount::get), Some(1));
    /// assert_eq!(SyncCount::MAX.next(), None);
    /// ```
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| Self(self.0 + 1))
    }
}

impl Timestamp {
    /// The system's clock.
    ///
    /// ```
    /// use syncline_engine::Timestamp;
    ///
    /// assert!(Timestamp::now() > Timestamp::ZERO);
    /// ```
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let ms = since.map_or(0, |since| since.as_millis());
        Self(u64::try_from(ms).unwrap_or(U48_MAX).min(U48_MAX))
    }
}

/// The log's counter: one per commit of the store.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let before = engine.head().sequence;
/// let receipt = engine.commit(syncline_engine::Wish::Republish { dataset: settings })?;
/// assert_eq!(receipt.sequence, before.next());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(u64);

impl Sequence {
    /// Before the first commit.
    ///
    /// ```
    /// assert_eq!(syncline_engine::Sequence::ZERO.next().get(), 1);
    /// ```
    pub const ZERO: Self = Self(0);

    /// The sequence with this number.
    ///
    /// ```
    /// use syncline_engine::Sequence;
    ///
    /// assert!(Sequence::new(7) > Sequence::ZERO);
    /// ```
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    ///
    /// ```
    /// assert_eq!(syncline_engine::Sequence::new(7).get(), 7);
    /// ```
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sequence of the commit after this one.
    ///
    /// ```
    /// use syncline_engine::Sequence;
    ///
    /// assert_eq!(Sequence::new(7).next(), Sequence::new(8));
    /// ```
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
