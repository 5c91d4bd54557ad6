//! Names of pools, identities and datasets.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use smol_str::SmolStr;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::{Invalid, invalid};
use crate::limits::{DATASET_NAME_BYTES_MAX, ID_BYTES_MAX};

/// An id of the form `[\w-]+:[0-9a-f-]+`, 1 to 55 bytes, kept inline and zero-padded, so that it
/// is copied, compared and ordered without a pointer.
///
/// The directory compares many of them for each commit, so it is done word by word: their order is
/// that of their text, since what pads them is lower than any character.
#[derive(Clone, Copy)]
struct Id {
    /// The text, zeros, and in the last place the length of the text.
    bytes: [u8; BYTES],
}

const BYTES: usize = ID_BYTES_MAX + 1;
const _: () = assert!(
    BYTES.is_multiple_of(8) && ID_BYTES_MAX < 256,
    "words hold all of an id"
);

impl Id {
    /// What was checked, padded; and how many bytes of it are text.
    #[expect(clippy::cast_possible_truncation, reason = "at most 55")]
    fn believed(mut bytes: [u8; BYTES], length: usize) -> Self {
        bytes[ID_BYTES_MAX] = length as u8;
        Self { bytes }
    }

    /// Its bytes by words.
    fn words(&self) -> &[[u8; 8]] {
        self.bytes.as_chunks().0
    }

    /// The id of a region and a uuid.
    fn of_uuid(field: &'static str, region: &[u8], uuid: Uuid) -> Result<Self, Invalid> {
        let (start, end) = (region.len() + 1, region.len() + 1 + Hyphenated::LENGTH);
        if region.is_empty() || end > ID_BYTES_MAX || !region.iter().all(is_of_region) {
            return Err(ill_formed(field));
        }
        let mut bytes = [0; BYTES];
        bytes[..region.len()].copy_from_slice(region);
        bytes[region.len()] = b':';
        uuid.hyphenated().encode_lower(&mut bytes[start..end]);
        Ok(Self::believed(bytes, end))
    }

    fn parse(field: &'static str, text: &[u8]) -> Result<Self, Invalid> {
        let colon = text.iter().position(|byte| *byte == b':');
        let well_formed = colon.is_some_and(|colon| {
            let (region, tail) = (&text[..colon], &text[colon + 1..]);
            let is_of_tail = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
            !region.is_empty()
                && !tail.is_empty()
                && region.iter().all(is_of_region)
                && tail.iter().all(is_of_tail)
        });
        if !well_formed || text.len() > ID_BYTES_MAX {
            return Err(ill_formed(field));
        }
        let mut bytes = [0; BYTES];
        bytes[..text.len()].copy_from_slice(text);
        Ok(Self::believed(bytes, text.len()))
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.bytes[ID_BYTES_MAX])]
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("parsed from ASCII")
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Id {}

impl PartialOrd for Id {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Id {
    fn cmp(&self, other: &Self) -> Ordering {
        for (mine, other) in self.words().iter().zip(other.words()) {
            if mine != other {
                return u64::from_be_bytes(*mine).cmp(&u64::from_be_bytes(*other));
            }
        }
        Ordering::Equal
    }
}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for word in self.words() {
            state.write_u64(u64::from_ne_bytes(*word));
        }
    }
}

fn is_of_region(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn ill_formed(field: &'static str) -> Invalid {
    invalid(
        field,
        "must match [\\w-]+:[0-9a-f-]+ and have at most 55 bytes",
    )
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Id);

        impl $name {
            /// Takes an id as the service writes it: `<region>:<lower-case uuid>`.
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Id;")]
            ///
            /// assert!(Id::parse("eu-west-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11").is_ok());
            /// assert!(Id::parse("eu-west-1:0B6B4A3E").is_err());
            /// ```
            ///
            /// # Errors
            /// [`Invalid`] unless the text matches `[\w-]+:[0-9a-f-]+` and has at most 55
            /// bytes.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                Self::of_bytes(text.as_bytes())
            }

            /// Like [`Self::parse`], of what may be no text at all.
            pub(crate) fn of_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
                Id::parse($field, bytes).map(Self)
            }

            /// The id that [`Self::parse`] makes of `<region>:<uuid>`, without the way by text.
            pub(crate) fn of_uuid(region: &[u8], uuid: Uuid) -> Result<Self, Invalid> {
                Id::of_uuid($field, region, uuid).map(Self)
            }

            pub(crate) fn as_bytes(&self) -> &[u8] {
                self.0.as_bytes()
            }

            /// The id as it was given.
            ///
            /// ```
            #[doc = concat!("use syncline_engine::", stringify!($name), " as Id;")]
            /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// assert_eq!(Id::parse("local:00ff")?.as_str(), "local:00ff");
            /// # Ok(())
            /// # }
            /// ```
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
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = syncline_engine::PoolId::parse("us-east-1:0b6b4a3e")?;
    /// let same = pool; // small, and copied
    /// assert_eq!(pool, same);
    /// # Ok(())
    /// # }
    /// ```
    PoolId, "pool id"
}
id! {
    /// A user of a pool.
    ///
    /// ```
    /// use syncline_engine::IdentityId;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Ordered by their text, as listings are.
    /// assert!(IdentityId::parse("us-east-1:0a")? < IdentityId::parse("us-east-1:0b")?);
    /// # Ok(())
    /// # }
    /// ```
    IdentityId, "identity id"
}

/// The name of a dataset: 1 to 128 of `[a-zA-Z0-9_.:-]`. Up to 23 are kept in place; clones of a
/// longer name share it.
///
/// ```
/// use syncline_engine::DatasetName;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (small, large) = (DatasetName::parse("scores")?, DatasetName::parse("Scores")?);
/// assert_ne!(small, large, "case matters");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatasetName(SmolStr);

impl DatasetName {
    /// Takes a name as the service allows it.
    ///
    /// ```
    /// use syncline_engine::DatasetName;
    ///
    /// assert!(DatasetName::parse("com.example:high-scores_2").is_ok());
    /// assert!(DatasetName::parse("").is_err());
    /// assert!(DatasetName::parse("a/b").is_err());
    /// ```
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
        Ok(Self(SmolStr::new(text)))
    }

    /// The name as it was given.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// assert_eq!(syncline_engine::DatasetName::parse("settings")?.as_str(), "settings");
    /// # Ok(())
    /// # }
    /// ```
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
///
/// ```
/// use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let id = DatasetId {
///     pool: PoolId::parse("us-east-1:0b6b4a3e")?,
///     identity: IdentityId::parse("us-east-1:5b1bd5d6")?,
///     name: DatasetName::parse("settings")?,
/// };
/// assert_eq!(id.to_string(), "us-east-1:0b6b4a3e/us-east-1:5b1bd5d6/settings");
/// # Ok(())
/// # }
/// ```
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
