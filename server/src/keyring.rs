//! Developers' keys and the keys that seal, as an operator changes them: on the data directory,
//! while no server runs, which the lock of the store makes sure of.

use std::path::PathBuf;
use std::sync::Arc;

use syncline_engine::{
    Engine, Error as EngineError, Expected, Fault, Options, Proposal, Refusal, Timestamp, Wish,
};
use thiserror::Error;
use uuid::Uuid;

use crate::access::{self, KEYS_MAX};
use crate::config::{Config, Secret};
use crate::seal::{self, Keys, KeysError, Rotated};
use crate::site::stored::{self, DeveloperKeyRecord, Id, StoredError};

/// Longest name of a key.
const NAME_CHARS_MAX: usize = 128;
/// Pools that one key may be held to.
const POOLS_MAX: usize = 100;
/// The file by which a data directory is known.
const MARK: &str = "LOCK";

/// Why a key cannot be changed.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// Nothing to change.
    #[error(
        "{} is not a data directory; name it with --data, or start the server once to make it",
        path.display()
    )]
    NoStore {
        /// The directory.
        path: PathBuf,
    },
    /// A server runs.
    #[error(
        "the data directory {} is in use by {holder}: stop the server, then run this again; \
         the server reads keys when it starts",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The store failed.
    #[error("cannot use the data directory {}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: EngineError,
    },
    /// The file `keys` failed.
    #[error("cannot use the keys that seal")]
    Keys(#[from] KeysError),
    /// A stored key that cannot be read.
    #[error("cannot read a developer's key")]
    Stored(#[from] StoredError),
    /// No such key.
    #[error("there is no key {0}; `syncline key list` shows all")]
    NoKey(String),
    /// A key whose secret may be known to others.
    #[error(
        "{0} is revoked, since its secret could be computed from keys that others may have read: \
         it is never good again; make a new one and delete it"
    )]
    Revoked(String),
    /// No such pool.
    #[error("there is no identity pool {0}; a key can only be held to pools that exist")]
    NoPool(String),
    /// Something about the wish.
    #[error("{0}")]
    Refused(&'static str),
}

/// What a new key is to be.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// For people.
    pub name: String,
    /// The pools that it reaches; none: all.
    pub pools: Vec<String>,
    /// Whether it may only read.
    pub read_only: bool,
}

/// A developer's key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The access key id.
    pub id: String,
    /// For people.
    pub name: String,
    /// The pools that it reaches; none: all.
    pub pools: Vec<String>,
    /// Whether it may only read.
    pub read_only: bool,
    /// Whether it is good.
    pub standing: Standing,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// Whether a key is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Enabled,
    /// Not at present.
    Disabled,
    /// Never again: its master secret was revoked.
    Revoked,
}

impl Standing {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// A data directory whose keys can be changed.
pub struct Keyring {
    engine: Engine,
    keys: Keys,
    directory: PathBuf,
}

impl Keyring {
    /// Takes hold of a data directory that exists. Blocks on the disk.
    ///
    /// # Errors
    /// When there is none, a server runs on it, or it cannot be opened.
    pub fn open(config: &Config) -> Result<Self, KeyringError> {
        let directory = config.data.clone();
        if !directory.join(MARK).is_file() {
            return Err(KeyringError::NoStore { path: directory });
        }
        let options = Options {
            segment_bytes: config.engine.segment_bytes,
            clock: Arc::new(Timestamp::now),
            // One commit at most: nothing is worth making ready.
            threads: false,
            ..Options::default()
        };
        let engine = match Engine::open(&directory, options) {
            Ok(engine) => engine,
            Err(EngineError::Fault(Fault::Locked { holder })) => {
                let path = directory;
                return Err(KeyringError::InUse { path, holder });
            }
            Err(source) => {
                let path = directory;
                return Err(KeyringError::Store { path, source });
            }
        };
        let keys = Keys::obtain(&directory)?;
        Ok(Self {
            engine,
            keys,
            directory,
        })
    }

    /// Makes a key. Its secret is told here and never again.
    ///
    /// # Errors
    /// When a pool does not exist, a bound is passed, or the store fails.
    pub fn create(&self, wish: NewKey) -> Result<(Listed, Secret), KeyringError> {
        if wish.name.chars().count() > NAME_CHARS_MAX || wish.name.chars().any(char::is_control) {
            let why = "the name must have at most 128 characters, none of them a control character";
            return Err(KeyringError::Refused(why));
        }
        if wish.pools.len() > POOLS_MAX {
            return Err(KeyringError::Refused(
                "a key can be held to at most 100 pools",
            ));
        }
        for pool in &wish.pools {
            self.check_pool(pool)?;
        }
        let reader = self.engine.reader();
        let stored = reader.scan_keys(&[stored::DEVELOPER_KEY], None, KEYS_MAX);
        if stored.len() >= KEYS_MAX {
            let why = "there are 1000 keys already: delete one that is not needed any more";
            return Err(KeyringError::Refused(why));
        }
        let master = self.keys.developer_master();
        let master = master.ok_or(KeyringError::Refused(
            "the file of keys has no master secret",
        ))?;
        let (id, nonce) = (access::new_key_id(), Uuid::new_v4().into_bytes());
        let secret = self.keys.developer_secret(master, &id, &nonce);
        let secret = secret.ok_or(KeyringError::Refused("the master secret is gone"))?;
        let record = DeveloperKeyRecord {
            master,
            nonce,
            name: wish.name,
            pools: wish.pools,
            read_only: wish.read_only,
            enabled: true,
            created_ms: Timestamp::now().get(),
        };
        self.put(&id, &record, Expected::Nothing)?;
        Ok((self.listed(id, record), secret))
    }

    /// All keys, by their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, KeyringError> {
        let reader = self.engine.reader();
        let found = reader
            .scan(&[stored::DEVELOPER_KEY], None, KEYS_MAX)
            .map_err(|source| self.failed(source))?;
        let mut keys = Vec::with_capacity(found.len());
        for metadata in found {
            let id = stored::developer_of(&metadata.key).unwrap_or_default();
            keys.push(self.listed(id.to_owned(), stored::decode(&metadata)?));
        }
        Ok(keys)
    }

    /// Makes a key good, or not good, from the next start of the server on.
    ///
    /// # Errors
    /// When there is no such key, it is to be good and was revoked, or the store fails.
    pub fn enable(&self, id: &str, enabled: bool) -> Result<Listed, KeyringError> {
        let mut record = self.find(id)?;
        if enabled && self.is_revoked(&record) {
            return Err(KeyringError::Revoked(id.to_owned()));
        }
        record.enabled = enabled;
        self.put(id, &record, Expected::Something)?;
        Ok(self.listed(id.to_owned(), record))
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// When there is no such key, or the store fails.
    pub fn delete(&self, id: &str) -> Result<Listed, KeyringError> {
        let record = self.find(id)?;
        self.commit(Wish::DeleteMetadata {
            key: stored::developer_key(id),
            expected: Expected::Something,
        })?;
        Ok(self.listed(id.to_owned(), record))
    }

    /// Replaces the keys that seal and sign; see [`seal::rotate`].
    ///
    /// # Errors
    /// When the file `keys` cannot be replaced.
    pub fn rotate(&self, revoke: bool) -> Result<Rotated, KeyringError> {
        Ok(seal::rotate(
            &self.directory,
            revoke,
            Timestamp::now().get(),
        )?)
    }

    /// Lets go of the data directory.
    ///
    /// # Errors
    /// When the store cannot be marked as closed; what was changed is durable all the same.
    pub fn close(self) -> Result<(), KeyringError> {
        self.engine.close().map_err(|source| self.failed(source))
    }

    fn check_pool(&self, pool: &str) -> Result<(), KeyringError> {
        let reader = self.engine.reader();
        let found =
            Id::parse(pool).and_then(|pool| reader.metadata_version(&stored::pool_key(&pool)));
        match found {
            Some(_) => Ok(()),
            None => Err(KeyringError::NoPool(pool.to_owned())),
        }
    }

    fn find(&self, id: &str) -> Result<DeveloperKeyRecord, KeyringError> {
        let no_key = || KeyringError::NoKey(id.to_owned());
        // An id has 20 characters; what is far longer would not even be a key of the store.
        if id.len() > NAME_CHARS_MAX {
            return Err(no_key());
        }
        let reader = self.engine.reader();
        let found = reader
            .metadata(&stored::developer_key(id))
            .map_err(|source| self.failed(source))?;
        Ok(stored::decode(&found.ok_or_else(no_key)?)?)
    }

    fn put(
        &self,
        id: &str,
        record: &DeveloperKeyRecord,
        expected: Expected,
    ) -> Result<(), KeyringError> {
        let value = stored::encode(record);
        let value = value.ok_or(KeyringError::Refused("the key is too large to be stored"))?;
        self.commit(Wish::PutMetadata {
            key: stored::developer_key(id),
            value,
            expected,
        })
    }

    fn commit(&self, wish: Wish) -> Result<(), KeyringError> {
        match self.engine.commit(Proposal::from(wish)) {
            Ok(_) => Ok(()),
            Err(EngineError::Refusal(Refusal::Unexpected { .. })) => Err(KeyringError::Refused(
                "the key changed meanwhile; try again",
            )),
            Err(source) => Err(self.failed(source)),
        }
    }

    fn listed(&self, id: String, record: DeveloperKeyRecord) -> Listed {
        let standing = if self.is_revoked(&record) {
            Standing::Revoked
        } else if record.enabled {
            Standing::Enabled
        } else {
            Standing::Disabled
        };
        Listed {
            id,
            name: record.name,
            pools: record.pools,
            read_only: record.read_only,
            standing,
            created_ms: record.created_ms,
        }
    }

    fn is_revoked(&self, record: &DeveloperKeyRecord) -> bool {
        self.keys.developer_master() != Some(record.master)
    }

    fn failed(&self, source: EngineError) -> KeyringError {
        KeyringError::Store {
            path: self.directory.clone(),
            source,
        }
    }
}
