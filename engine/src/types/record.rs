//! What records are made of, and wishes about them.

use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use super::{IdentityId, Invalid, SyncCount, Text, Timestamp, invalid};
use crate::limits::{
    KEY_BYTES_MAX, KEY_CHARS_MAX, MODIFIED_BY_BYTES_MAX, VALUE_BYTES_MAX, VALUE_CHARS_MAX,
};

/// The key of a record: 1 to 1,024 characters of any kind. Up to 23 bytes are kept in place; clones
/// of a longer key share it.
///
/// ```
/// use syncline_engine::RecordKey;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Ordered by bytes, as records of one sync count are listed.
/// assert!(RecordKey::parse("Zoo")? < RecordKey::parse("apple")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey(SmolStr);

impl RecordKey {
    /// Takes a key as the service allows it.
    ///
    /// ```
    /// use syncline_engine::RecordKey;
    ///
    /// assert!(RecordKey::parse("höchster Stand").is_ok());
    /// assert!(RecordKey::parse("").is_err());
    /// assert!(RecordKey::parse(&"ö".repeat(1024)).is_ok(), "characters count, not bytes");
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] unless the text has 1 to 1,024 characters.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() || text.len() > KEY_BYTES_MAX || text.chars().count() > KEY_CHARS_MAX {
            return Err(invalid("record key", "must have 1 to 1024 characters"));
        }
        Ok(Self(SmolStr::new(text)))
    }

    /// For text that was checked before.
    pub(crate) fn believed(text: &str) -> Self {
        Self(SmolStr::new(text))
    }

    /// The key as it was given.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(syncline_engine::RecordKey::parse("theme")?.as_str(), "theme");
    /// # Ok(())
    /// # }
    /// ```
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
///
/// ```
/// use syncline_engine::{PatchOp, RecordValue};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // An empty value is a value; what has none is a tombstone.
/// assert_ne!(PatchOp::Replace(RecordValue::parse("")?), PatchOp::Remove);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordValue(Arc<str>);

impl RecordValue {
    /// Takes a value as the service allows it.
    ///
    /// ```
    /// use syncline_engine::RecordValue;
    ///
    /// assert!(RecordValue::parse("").is_ok());
    /// assert!(RecordValue::parse("x".repeat(1 << 20)).is_err(), "one character too many");
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] if the text has more than 1,048,575 characters.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, Invalid> {
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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(syncline_engine::RecordValue::parse("dark")?.as_str(), "dark");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who changed a record or a dataset.
///
/// ```
/// use syncline_engine::ModifiedBy;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// assert_eq!(ModifiedBy::default(), ModifiedBy::Owner);
/// assert_ne!(ModifiedBy::other("phone")?, ModifiedBy::Owner);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum ModifiedBy {
    /// The identity that owns the dataset.
    #[default]
    Owner,
    /// A device, or the developer's account: a name of 1 to 1,024 bytes.
    Other(Arc<str>),
}

impl ModifiedBy {
    /// A device or an account by its name.
    ///
    /// ```
    /// use syncline_engine::ModifiedBy;
    ///
    /// assert!(ModifiedBy::other("phone").is_ok());
    /// assert!(ModifiedBy::other("").is_err());
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] unless the name has 1 to 1,024 bytes.
    pub fn other(name: &str) -> Result<Self, Invalid> {
        let modified_by = Self::Other(name.into());
        modified_by.check()?;
        Ok(modified_by)
    }

    /// The name, if it is not that of the owner, as a record has it.
    pub(crate) fn text(&self) -> Option<Text<'_>> {
        match self {
            Self::Owner => None,
            Self::Other(name) => Some((&**name).into()),
        }
    }

    /// Whether it is what [`Self::other`] would have made.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Other(name) if name.is_empty() || name.len() > MODIFIED_BY_BYTES_MAX => {
                Err(invalid("modified by", "must have 1 to 1024 bytes"))
            }
            _ => Ok(()),
        }
    }

    /// The name; `owner` where the dataset's own identity did it.
    ///
    /// ```
    /// use syncline_engine::{IdentityId, ModifiedBy};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let owner = IdentityId::parse("us-east-1:5b1bd5d6")?;
    /// assert_eq!(ModifiedBy::Owner.name(&owner), "us-east-1:5b1bd5d6");
    /// assert_eq!(ModifiedBy::other("phone")?.name(&owner), "phone");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn name<'a>(&'a self, owner: &'a IdentityId) -> &'a str {
        match self {
            Self::Owner => owner.as_str(),
            Self::Other(name) => name,
        }
    }
}

/// One wish about one record, valid only if the record still has the count that the caller saw.
///
/// ```
/// use syncline_engine::{ModifiedBy, Patch, PatchOp, RecordKey, RecordValue, SyncCount, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// // "theme" is at sync count 1; whoever did not see that is refused.
/// let patch = Patch {
///     key: RecordKey::parse("theme")?,
///     op: PatchOp::Replace(RecordValue::parse("light")?),
///     sync_count: SyncCount::ZERO,
///     device_modified: None,
/// };
/// let stale = Wish::Update {
///     dataset: settings,
///     patches: vec![patch],
///     modified_by: ModifiedBy::Owner,
/// };
/// let refused = engine.commit(stale).expect_err("it is stale");
/// assert_eq!(refused.to_string(), "Current SyncCount for: theme is: 1 not: 0");
/// # Ok(())
/// # }
/// ```
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
///
/// ```
/// use syncline_engine::{ModifiedBy, Patch, PatchOp, RecordKey, SyncCount, Wish};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let removal = Patch {
///     key: RecordKey::parse("theme")?,
///     op: PatchOp::Remove,
///     sync_count: SyncCount::new(1)?,
///     device_modified: None,
/// };
/// engine.commit(Wish::Update {
///     dataset: settings.clone(),
///     patches: vec![removal],
///     modified_by: ModifiedBy::Owner,
/// })?;
/// // Listings tell of what was removed, too.
/// let listed = engine.reader().list(&settings, &Default::default())?;
/// let tombstone = listed.records().last().ok_or("nothing listed")?;
/// assert!(tombstone.key == "theme" && tombstone.value.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatchOp {
    /// Store this value.
    Replace(RecordValue),
    /// Leave a tombstone, also where there was no record.
    Remove,
}
