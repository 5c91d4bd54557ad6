//! The domain's types, parsed at the edge so that inside nothing has to be checked again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::limits::{
    DATASET_NAME_BYTES_MAX, ID_BYTES_MAX, KEY_BYTES_MAX, KEY_CHARS_MAX, METADATA_KEY_BYTES_MAX,
    METADATA_VALUE_BYTES_MAX, MODIFIED_BY_BYTES_MAX, NOTE_BYTES_MAX, U48_MAX, VALUE_BYTES_MAX,
    VALUE_CHARS_MAX,
};

/// A value that breaks a rule whatever the state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Invalid {
    /// What was wrong, by its name in this API.
    pub field: &'static str,
    /// The rule, and what was found.
    pub why: String,
}

pub(crate) fn invalid(field: &'static str, why: impl Into<String>) -> Invalid {
    Invalid {
        field,
        why: why.into(),
    }
}

/// An id of the form `[\w-]+:[0-9a-f-]+`, 1 to 55 bytes, kept inline and zero-padded, so that it
/// is copied, compared and ordered without a pointer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Id {
    bytes: [u8; ID_BYTES_MAX],
    length: u8,
}

impl Id {
    fn parse(field: &'static str, text: &str) -> Result<Self, Invalid> {
        let well_formed = text.split_once(':').is_some_and(|(region, tail)| {
            !region.is_empty()
                && !tail.is_empty()
                && region
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
                && tail
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b) || b == b'-')
        });
        if !well_formed || text.len() > ID_BYTES_MAX {
            return Err(invalid(
                field,
                "must match [\\w-]+:[0-9a-f-]+ and have at most 55 bytes",
            ));
        }
        let mut bytes = [0; ID_BYTES_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "at most 55")]
        Ok(Self {
            bytes,
            length: text.len() as u8,
        })
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).expect("parsed from ASCII")
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Id);

        impl $name {
            /// Takes an id as the service writes it: `<region>:<lower-case uuid>`.
            ///
            /// # Errors
            /// [`Invalid`] unless the text matches `[\w-]+:[0-9a-f-]+` and has at most 55
            /// bytes.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                Id::parse($field, text).map(Self)
            }

            /// The id as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }
    };
}

id! {
    /// An identity pool: the tenant to which identities belong.
    PoolId, "pool id"
}
id! {
    /// A user of a pool.
    IdentityId, "identity id"
}

/// The name of a dataset: 1 to 128 of `[a-zA-Z0-9_.:-]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName(Arc<str>);

impl DatasetName {
    /// Takes a name as the service allows it.
    ///
    /// # Errors
    /// [`Invalid`] unless the text is 1 to 128 of `[a-zA-Z0-9_.:-]`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
        if text.is_empty() || text.len() > DATASET_NAME_BYTES_MAX || !text.bytes().all(allowed) {
            return Err(invalid(
                "dataset name",
                "must be 1 to 128 of [a-zA-Z0-9_.:-]",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Where a dataset is: pool, identity and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatasetId {
    /// The pool.
    pub pool: PoolId,
    /// The identity in the pool.
    pub identity: IdentityId,
    /// The dataset of the identity.
    pub name: DatasetName,
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pool, self.identity, self.name)
    }
}

/// The key of a record: 1 to 1,024 characters of any kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(Box<str>);

impl RecordKey {
    /// Takes a key as the service allows it.
    ///
    /// # Errors
    /// [`Invalid`] unless the text has 1 to 1,024 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > KEY_BYTES_MAX || text.chars().count() > KEY_CHARS_MAX {
            return Err(invalid("record key", "must have 1 to 1024 characters"));
        }
        Ok(Self(text.into()))
    }

    /// For text that was checked before.
    pub(crate) fn believed(text: &str) -> Self {
        Self(text.into())
    }

    /// The key as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The value of a record: at most 1,048,575 characters, possibly none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordValue(Box<str>);

impl RecordValue {
    /// Takes a value as the service allows it.
    ///
    /// # Errors
    /// [`Invalid`] if the text has more than 1,048,575 characters.
    pub fn parse(text: impl Into<Box<str>>) -> Result<Self, Invalid> {
        let text = text.into();
        let too_long = text.len() > VALUE_BYTES_MAX
            || (text.len() > VALUE_CHARS_MAX && text.chars().count() > VALUE_CHARS_MAX);
        if too_long {
            return Err(invalid(
                "record value",
                "must have at most 1048575 characters",
            ));
        }
        Ok(Self(text))
    }

    /// For text that was checked before.
    pub(crate) fn believed(text: &str) -> Self {
        Self(text.into())
    }

    /// The value as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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

/// Who changed a record or a dataset.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ModifiedBy {
    /// The identity that owns the dataset.
    #[default]
    Owner,
    /// A device, or the developer's account.
    Other(Arc<str>),
}

impl ModifiedBy {
    /// A device or an account by its name.
    ///
    /// # Errors
    /// [`Invalid`] unless the name has 1 to 1,024 bytes.
    pub fn other(name: &str) -> Result<Self, Invalid> {
        if name.is_empty() || name.len() > MODIFIED_BY_BYTES_MAX {
            return Err(invalid("modified by", "must have 1 to 1024 bytes"));
        }
        Ok(Self::Other(name.into()))
    }

    /// The name; `owner` where the dataset's own identity did it.
    #[must_use]
    pub fn name<'a>(&'a self, owner: &'a IdentityId) -> &'a str {
        match self {
            Self::Owner => owner.as_str(),
            Self::Other(name) => name,
        }
    }
}

/// One wish about one record, valid only if the record still has the count that the caller saw.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch {
    /// The record.
    pub key: RecordKey,
    /// What to do with it.
    pub op: PatchOp,
    /// The count of the record when the caller read it; 0 for one that it does not know.
    pub sync_count: SyncCount,
    /// When the device changed it, by the device's clock; the time of the commit if absent.
    pub device_modified: Option<Timestamp>,
}

/// What a patch does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatchOp {
    /// Store this value.
    Replace(RecordValue),
    /// Leave a tombstone, also where there was no record.
    Remove,
}

/// A key of the metadata map: 1 to 256 bytes of any kind, ordered by bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataKey(Box<[u8]>);

impl MetadataKey {
    /// Takes the bytes of a key.
    ///
    /// # Errors
    /// [`Invalid`] unless there are 1 to 256 bytes. Hash what is longer.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > METADATA_KEY_BYTES_MAX {
            return Err(invalid("metadata key", "must have 1 to 256 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::borrow::Borrow<[u8]> for MetadataKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for MetadataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Debug for MetadataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value of the metadata map: at most 64 KiB of any kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataValue(Bytes);

impl MetadataValue {
    /// Takes the bytes of a value.
    ///
    /// # Errors
    /// [`Invalid`] if there are more than 64 KiB.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        if bytes.len() > METADATA_VALUE_BYTES_MAX {
            return Err(invalid("metadata value", "must have at most 65536 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes of the value.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a metadata key must hold for a proposal to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// No value.
    Nothing,
    /// Some value, of any version.
    Something,
    /// The value that the commit with this sequence put.
    Version(Sequence),
}

/// Opaque bytes of a proposal, at most 64, which its commit keeps.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Note(Box<[u8]>);

impl Note {
    /// Takes the bytes of a note.
    ///
    /// # Errors
    /// [`Invalid`] if there are more than 64.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, Invalid> {
        let bytes = bytes.into();
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(invalid("note", "must have at most 64 bytes"));
        }
        Ok(Self(bytes))
    }

    /// The bytes of the note.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A place in the change feed: which store, and after which of its commits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Cursor {
    /// The store; a restored store has a new one.
    pub store: Uuid,
    /// The last commit that was read.
    pub sequence: Sequence,
}

/// Where a change lies: a frame, by segment and offset, and the position of the change in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Location {
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) change: u16,
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
