//! Keys and values of the metadata map, and the note of a proposal.

use std::fmt;

use bytes::Bytes;

use super::{Invalid, Sequence, invalid};
use crate::limits::{METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX, NOTE_BYTES_MAX};

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
