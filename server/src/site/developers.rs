//! Reads the developers' keys at start; they change only while no server runs.

use syncline_engine::{Engine, Error};

use crate::access::{Developer, DeveloperKeys, KEYS_MAX};
use crate::seal::Keys;

use super::stored::{self, DeveloperKeyRecord};

/// The keys that are good. Blocks on the disk.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn load(engine: &Engine, keys: &Keys) -> Result<DeveloperKeys, Error> {
    let mut good = DeveloperKeys::default();
    let found = engine
        .reader()
        .scan(&[stored::DEVELOPER_KEY], None, KEYS_MAX)?;
    for metadata in found {
        let Some(id) = stored::developer_of(&metadata.key) else {
            continue;
        };
        match stored::decode::<DeveloperKeyRecord>(&metadata) {
            Ok(record) if record.enabled => {
                let developer = Developer {
                    key: id.to_owned(),
                    pools: record.pools,
                    read_only: record.read_only,
                };
                good.add(keys, developer, record.master, &record.nonce);
            }
            Ok(_) => {}
            // One key that cannot be read is no reason to shut out all others.
            Err(error) => tracing::error!("the developer's key {id} is not good: {error}"),
        }
    }
    Ok(good)
}
