//! What records are made of, and wishes about them.

use std::fmt;
use std::sync::Arc;

use super::{IdentityId, Invalid, SyncCount, Timestamp, invalid};
use crate::limits::{
    KEY_BYTES_MAX, KEY_CHARS_MAX, MODIFIED_BY_BYTES_MAX, VALUE_BYTES_MAX, VALUE_CHARS_MAX,
};

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
