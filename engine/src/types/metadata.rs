//! Keys and values of the metadata map, and the note of a proposal.

use std::fmt;

use bytes::Bytes;

use super::{Invalid, Sequence, invalid};
use crate::limits::{METADATA_KEY_BYTES_MAX, METADATA_VALUE_BYTES_MAX, NOTE_BYTES_MAX};

/// A key of the metadata map: 1 to 256 bytes of any kind, ordered by bytes.
///
/// ```
/// use syncline_engine::MetadataKey;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Keys that are scanned together begin alike.
/// let key = MetadataKey::new(*b"token/0017")?;
/// assert_eq!(key.to_string(), "\"token/0017\"");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataKey(Box<[u8]>);

impl MetadataKey {
    /// Takes the bytes of a key.
    ///
    /// ```
    /// use syncline_engine::MetadataKey;
    ///
    /// assert!(MetadataKey::new(*b"token/0017").is_ok());
    /// assert!(MetadataKey::new(vec![0; 257]).is_err());
    /// ```
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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let key = syncline_engine::MetadataKey::new(*b"token/0017")?;
    /// assert!(key.as_bytes().starts_with(b"token/"));
    /// # Ok(())
    /// # }
    /// ```
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
///
/// ```
/// use syncline_engine::MetadataValue;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(MetadataValue::new(vec![1, 2])?, MetadataValue::new(&[1, 2][..])?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetadataValue(Bytes);

impl MetadataValue {
    /// Takes the bytes of a value.
    ///
    /// ```
    /// use syncline_engine::MetadataValue;
    ///
    /// assert!(MetadataValue::new(vec![0; 64 << 10]).is_ok());
    /// assert!(MetadataValue::new(vec![0; (64 << 10) + 1]).is_err());
    /// ```
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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(syncline_engine::MetadataValue::new("used")?.as_bytes(), b"used");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What a metadata key must hold for a proposal to be accepted.
///
/// ```
/// use syncline_engine::{Expected, MetadataKey, MetadataValue, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let claim = || -> Result<Wish, syncline_engine::Invalid> {
///     Ok(Wish::PutMetadata {
///         key: MetadataKey::new(*b"token/0017")?,
///         value: MetadataValue::new("used")?,
///         expected: Expected::Nothing,
///     })
/// };
/// assert!(engine.commit(claim()?).is_ok());
/// assert!(engine.commit(claim()?).is_err(), "only the first finds nothing");
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// use syncline_engine::{Note, Proposal, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let mut feed = engine.feed(engine.head())?;
/// engine.commit(Proposal {
///     note: Note::new(*b"request 17")?,
///     wishes: vec![Wish::Republish { dataset: settings }],
///     ..Proposal::default()
/// })?;
/// assert_eq!(feed.read()?[0].note.as_bytes(), b"request 17");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Note(Box<[u8]>);

impl Note {
    /// Takes the bytes of a note.
    ///
    /// ```
    /// use syncline_engine::Note;
    ///
    /// assert!(Note::new([7; 64]).is_ok());
    /// assert!(Note::new([7; 65]).is_err());
    /// ```
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
    ///
    /// ```
    /// assert!(syncline_engine::Note::default().as_bytes().is_empty());
    /// ```
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
