//! What the server keeps in the engine's metadata: how keys and values are laid out.
//!
//! Keys are a kind byte and ids as bytes. An identity exists, and may sign, as long as its key
//! does; its region is that of its pool. Values are a version byte, a CRC-32 of that byte and the
//! body, and the body: bincode with fixed-width little-endian numbers.

mod belongings;
mod cursor;
mod developer_key;
mod device;
mod former;
mod merged;
mod readable;
mod roles;
mod settings;
mod streaming;

use bincode::{Decode, Encode, config};
use sha2::{Digest, Sha256};
use syncline_engine::limits::METADATA_VALUE_BYTES_MAX;
use syncline_engine::{Metadata, MetadataKey, MetadataValue, Reader};
use thiserror::Error;
use uuid::Uuid;

pub use belongings::{doomed_key, home_of, keys_behind_identity, keys_of_identity};
pub use belongings::{keys_of_pool, prefixes_of_pool};
pub use cursor::{CursorRecord, push_cursor_key};
pub use developer_key::{DeveloperKeyRecord, developer_key, developer_of};
pub use device::{DeviceRecord, Platform, SubscribersRecord, devices_prefix, followers_prefix};
pub use device::{device_key, device_of, subscribers_key};
pub use former::{FormerRecord, former_key};
pub use merged::{MergedRecord, merged_key, merged_name, merged_prefix, reported_prefix};
pub use readable::readable;
pub use roles::{PrincipalTagsRecord, principal_tags_key, principal_tags_prefix};
pub use roles::{RoleMapping, RoleRule, RolesRecord, roles_key};
pub use settings::{BulkPublishRecord, BulkPublishStatus, bulk_publish_key};
pub use settings::{ConfigurationRecord, Push, StreamingStatus, Streams, configuration_key};
pub use settings::{EventsRecord, events_key};
pub use settings::{StreamRecord, stream_key};
pub use streaming::{LinksRecord, PublishingRecord, StreamCursorRecord};
pub use streaming::{links_key, publishing_key, stream_cursor_key};

/// Kind byte of a pool's key; then its uuid and its region.
pub const POOL: u8 = 1;
/// Kind byte of an identity's key; then the uuids of its pool and its own.
pub const IDENTITY: u8 = 2;
/// Kind byte of the key that finds an identity's pool; then the identity's uuid.
pub const HOME: u8 = 3;
/// Kind byte of a login's key; then the uuid of its pool and the hash of provider and user.
pub const LOGIN: u8 = 4;
/// Kind byte of the key of a pool's count of sessions; then the pool's uuid.
pub const SESSIONS: u8 = 5;
/// Kind byte of the key of a pool's push and stream configuration; then the pool's uuid.
pub const CONFIGURATION: u8 = 6;
/// Kind byte of the key of a pool's functions; then the pool's uuid.
pub const EVENTS: u8 = 7;
/// Kind byte of the key of a pool's bulk publish; then the pool's uuid.
pub const BULK_PUBLISH: u8 = 8;
/// Kind byte of a device's key; then the uuids of its pool, its identity and its own.
pub const DEVICE: u8 = 9;
/// Kind byte of the key of a dataset's subscribers; then the uuids of its pool and identity, and
/// its name.
pub const SUBSCRIBERS: u8 = 10;
/// Kind byte of a merged dataset's key; then the uuids of its pool and identity, the hash of the
/// name under which it is reported, and its own name.
pub const MERGED: u8 = 11;
/// Kind byte of the key that tells that a pool is deleted but not all that it had; then its uuid.
pub const DOOMED: u8 = 12;
/// Kind byte of the key that tells where a pool's stream begins; then the pool's uuid.
pub const STREAM: u8 = 13;

/// Kind byte of the key that tells how far a pool's stream is; then the pool's uuid.
pub const STREAM_CURSOR: u8 = 20;
/// Kind byte of the key that tells how far a bulk publish is that runs; then the pool's uuid.
pub const PUBLISHING: u8 = 21;

/// Kind byte of the key of the place up to which everything was pushed; nothing behind it.
pub const PUSH_CURSOR: u8 = 22;
/// Kind byte of the key of what links to oversize events lead to; nothing behind it.
pub const LINKS: u8 = 23;

/// Kind byte of the key of a pool's roles; then the pool's uuid.
pub const ROLES: u8 = 32;
/// Kind byte of the key of principal tags; then the uuid of the pool and the hash of the provider.
pub const PRINCIPAL_TAGS: u8 = 33;
/// Kind byte of the key of an identity that was merged into another one; then the uuids of its
/// pool and its own. Such an identity keeps its [`HOME`].
pub const FORMER: u8 = 34;

/// Kind byte of the key of a developer's access key; then its id.
pub const DEVELOPER_KEY: u8 = 64;

/// Version of the values.
const VERSION: u8 = 1;
/// Version and checksum.
const HEAD_BYTES: usize = 5;

/// An id taken apart: `<region>:<uuid>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id {
    /// Where it was made.
    pub region: String,
    /// The uuid.
    pub uuid: Uuid,
}

impl Id {
    /// A new id.
    #[must_use]
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            uuid: Uuid::new_v4(),
        }
    }

    /// Takes an id apart; `None` for one that this server cannot have given out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (region, tail) = text.split_once(':')?;
        let uuid = Uuid::try_parse(tail).ok()?;
        // Other spellings of a uuid would be other ids.
        let same = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == tail;
        same.then(|| Self {
            region: region.to_owned(),
            uuid,
        })
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.region, self.uuid)
    }
}

/// The key of a pool.
#[must_use]
pub fn pool_key(pool: &Id) -> MetadataKey {
    key(POOL, &[pool.uuid.as_bytes(), pool.region.as_bytes()])
}

/// The pool that a key is of.
#[must_use]
pub fn pool_of(key: &MetadataKey) -> Option<Id> {
    let [POOL, rest @ ..] = key.as_bytes() else {
        return None;
    };
    let (uuid, region) = rest.split_at_checked(16)?;
    let region = std::str::from_utf8(region).ok()?;
    Some(Id {
        region: region.to_owned(),
        uuid: Uuid::from_slice(uuid).ok()?,
    })
}

/// The pool that has a uuid, if it exists. Never reads the disk.
#[must_use]
pub fn find_pool(reader: &Reader<'_>, uuid: Uuid) -> Option<Id> {
    let keys = reader.scan_keys(key(POOL, &[uuid.as_bytes()]).as_bytes(), None, 1);
    pool_of(&keys.first()?.0)
}

/// The key of an identity.
#[must_use]
pub fn identity_key(pool: Uuid, identity: Uuid) -> MetadataKey {
    key(IDENTITY, &[pool.as_bytes(), identity.as_bytes()])
}

/// The key that finds the pool of an identity.
#[must_use]
pub fn home_key(identity: Uuid) -> MetadataKey {
    key(HOME, &[identity.as_bytes()])
}

/// The key of a login: the user of a provider in a pool.
#[must_use]
pub fn login_key(pool: Uuid, login: &Login) -> MetadataKey {
    // The length first, so that no two pairs read alike.
    let hash = Sha256::new()
        .chain_update((login.provider.len() as u64).to_le_bytes())
        .chain_update(&login.provider)
        .chain_update(&login.user)
        .finalize();
    key(LOGIN, &[pool.as_bytes(), &hash])
}

/// The key of a pool's count of sessions.
#[must_use]
pub fn sessions_key(pool: Uuid) -> MetadataKey {
    key(SESSIONS, &[pool.as_bytes()])
}

/// The uuid right after the kind byte.
#[must_use]
pub fn first_uuid(key: &MetadataKey) -> Option<Uuid> {
    Uuid::from_slice(key.as_bytes().get(1..17)?).ok()
}

fn key(kind: u8, parts: &[&[u8]]) -> MetadataKey {
    let bytes = [&[kind], parts.concat().as_slice()].concat();
    MetadataKey::new(bytes).expect("a key is a kind, two ids or a hash: far below 256 bytes")
}

/// An identity pool.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct PoolRecord {
    /// For people.
    pub name: String,
    /// Whether guests may come to be.
    pub allow_guests: bool,
    /// Whether the basic flow is allowed.
    pub allow_classic_flow: Option<bool>,
    /// What the developer's own login system is called.
    pub developer_provider: Option<String>,
    /// App ids by public provider.
    pub login_providers: Vec<(String, String)>,
    /// OpenID Connect providers.
    pub open_id_connect: Vec<String>,
    /// User pools.
    pub user_pools: Vec<UserPool>,
    /// SAML providers.
    pub saml: Vec<String>,
    /// Free for the developer.
    pub tags: Vec<(String, String)>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// A user pool that an identity pool trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct UserPool {
    /// The user pool.
    pub provider: Option<String>,
    /// Its client.
    pub client: Option<String>,
    /// Whether its tokens are checked for revocation.
    pub token_check: Option<bool>,
}

/// An identity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct IdentityRecord {
    /// When it came to be, in milliseconds since 1970.
    pub created_ms: u64,
    /// When its logins last changed.
    pub modified_ms: u64,
    /// Who it is; nobody for a guest. At most 20.
    pub logins: Vec<Login>,
    /// Whether its last login was taken away: then it is no guest, and nobody can act as it.
    pub orphaned: bool,
}

impl IdentityRecord {
    /// Whether it is a guest: whoever knows its id may act as it.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.logins.is_empty() && !self.orphaned
    }
}

/// A user of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Login {
    /// The provider's name.
    pub provider: String,
    /// The user's name there.
    pub user: String,
}

/// Where an identity is at home.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct HomeRecord {
    /// The uuid of its pool.
    pub pool: [u8; 16],
    /// The region of both.
    pub region: String,
}

/// To whom a login belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct LoginRecord {
    /// The uuid of the identity.
    pub identity: [u8; 16],
}

/// How many sync sessions a pool has ever seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct SessionsRecord {
    /// The number.
    pub opened: u64,
}

/// A stored value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoredError {
    /// Too short, another version, or bytes that are not the structure.
    #[error("the value of metadata {0} has an unknown form")]
    Form(MetadataKey),
    /// The checksum does not match.
    #[error("the value of metadata {0} does not match its checksum")]
    Checksum(MetadataKey),
}

/// Lays out a value. `None`: it is larger than a value may be.
#[must_use]
pub fn encode<T: Encode>(record: &T) -> Option<MetadataValue> {
    let body = bincode::encode_to_vec(record, layout()).ok()?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    bytes.push(VERSION);
    bytes.extend_from_slice(&checksum(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    MetadataValue::new(bytes).ok()
}

/// Reads a value.
///
/// # Errors
/// When it is not what [`encode`] wrote.
pub fn decode<T: Decode<()>>(metadata: &Metadata) -> Result<T, StoredError> {
    let form = || StoredError::Form(metadata.key.clone());
    let (head, body) = metadata
        .value
        .as_bytes()
        .split_at_checked(HEAD_BYTES)
        .ok_or_else(form)?;
    if head[0] != VERSION {
        return Err(form());
    }
    if head[1..] != checksum(body).to_le_bytes() {
        return Err(StoredError::Checksum(metadata.key.clone()));
    }
    match bincode::decode_from_slice(body, layout()) {
        Ok((record, read)) if read == body.len() => Ok(record),
        _ => Err(form()),
    }
}

fn layout() -> impl config::Config {
    config::standard()
        .with_fixed_int_encoding()
        .with_limit::<METADATA_VALUE_BYTES_MAX>()
}

fn checksum(body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[VERSION]);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
