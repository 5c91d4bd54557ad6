//! Where an export is, as a value and as text.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::snapshot::{Scope, Told};
use crate::types::{
    Cursor, DatasetId, DatasetName, IdentityId, Invalid, MetadataKey, PoolId, Sequence, invalid,
};

/// The version of the text.
const VERSION: &str = "1";

/// Where an export is. Its text, by `to_string` and `parse`, is one word of at most about 700
/// bytes, which may be kept in a file.
///
/// ```
/// use syncline_engine::{ExportPosition, Scope};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (_home, engine, _settings) =
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
/// let position = engine.export(Scope::All)?.position();
/// let text = position.to_string();
/// assert_eq!(text.parse::<ExportPosition>()?, position);
/// assert!("elsewhere".parse::<ExportPosition>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportPosition {
    pub(super) cursor: Cursor,
    pub(super) scope: Scope,
    pub(super) told: Told,
    pub(super) done: (u64, u64),
}

impl ExportPosition {
    /// The [cursor](crate::Export::cursor) of its export.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, _settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let export = engine.export(syncline_engine::Scope::All)?;
    /// assert_eq!(export.position().cursor(), export.cursor());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// What its export tells of.
    ///
    /// ```
    /// use syncline_engine::Scope;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (_home, engine, settings) =
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/examples/scene.in"));
    /// let position = engine.export(Scope::Pool(settings.pool))?.position();
    /// assert_eq!(position.scope(), Scope::Pool(settings.pool));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }
}

impl fmt::Display for ExportPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cursor { store, sequence } = self.cursor;
        write!(f, "{VERSION}/{store}/{sequence}/")?;
        match &self.scope {
            Scope::All => write!(f, "all")?,
            Scope::Pool(pool) => write!(f, "pool,{pool}")?,
            Scope::Identity(pool, identity) => write!(f, "identity,{pool},{identity}")?,
        }
        match &self.told {
            Told::Nothing => write!(f, "/begin")?,
            Told::Pool(pool) => write!(f, "/pool,{pool}")?,
            Told::Dataset(DatasetId {
                pool,
                identity,
                name,
            }) => write!(f, "/dataset,{pool},{identity},{name}")?,
            Told::Identity(pool, identity) => write!(f, "/identity,{pool},{identity}")?,
            Told::Metadata(key) => {
                write!(f, "/metadata,")?;
                for byte in key.as_bytes() {
                    write!(f, "{byte:02x}")?;
                }
            }
            Told::All => write!(f, "/end")?,
        }
        write!(f, "/{},{}", self.done.0, self.done.1)
    }
}

impl FromStr for ExportPosition {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts: Vec<&str> = text.split('/').collect();
        let [VERSION, store, sequence, scope, told, done] = parts[..] else {
            return Err(malformed());
        };
        let store = Uuid::try_parse(store).map_err(|_| malformed())?;
        let sequence = Sequence::new(number(sequence)?);
        let (datasets, metadata) = done.split_once(',').ok_or_else(malformed)?;
        let scope = parse_scope(scope)?;
        let told = parse_told(told)?;
        if !fits(scope, &told) {
            return Err(malformed());
        }
        Ok(Self {
            cursor: Cursor { store, sequence },
            scope,
            told,
            done: (number(datasets)?, number(metadata)?),
        })
    }
}

fn parse_scope(text: &str) -> Result<Scope, Invalid> {
    match text.split(',').collect::<Vec<_>>()[..] {
        ["all"] => Ok(Scope::All),
        ["pool", pool] => Ok(Scope::Pool(PoolId::parse(pool)?)),
        ["identity", pool, identity] => Ok(Scope::Identity(
            PoolId::parse(pool)?,
            IdentityId::parse(identity)?,
        )),
        _ => Err(malformed()),
    }
}

fn parse_told(text: &str) -> Result<Told, Invalid> {
    match text.split(',').collect::<Vec<_>>()[..] {
        ["begin"] => Ok(Told::Nothing),
        ["pool", pool] => Ok(Told::Pool(PoolId::parse(pool)?)),
        ["dataset", pool, identity, name] => Ok(Told::Dataset(DatasetId {
            pool: PoolId::parse(pool)?,
            identity: IdentityId::parse(identity)?,
            name: DatasetName::parse(name)?,
        })),
        ["identity", pool, identity] => Ok(Told::Identity(
            PoolId::parse(pool)?,
            IdentityId::parse(identity)?,
        )),
        ["metadata", key] => Ok(Told::Metadata(MetadataKey::new(bytes(key)?)?)),
        ["end"] => Ok(Told::All),
        _ => Err(malformed()),
    }
}

/// Whether an export of the scope can have told this.
fn fits(scope: Scope, told: &Told) -> bool {
    match (scope, told) {
        (Scope::All, _) | (_, Told::Nothing | Told::All) => true,
        (Scope::Pool(known), Told::Pool(pool)) => known == *pool,
        (_, Told::Dataset(id)) => scope.has(&id.pool, &id.identity),
        (_, Told::Identity(pool, identity)) => scope.has(pool, identity),
        (_, Told::Pool(_) | Told::Metadata(_)) => false,
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Invalid> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match *pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(malformed)
}

fn number(text: &str) -> Result<u64, Invalid> {
    text.parse().map_err(|_| malformed())
}

fn malformed() -> Invalid {
    invalid("position", "is not that of an export")
}
