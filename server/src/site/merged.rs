//! Merged datasets: what the datasets of one identity are called when another takes them over, and
//! which listings tell of them.
//!
//! A dataset `saves` of identity L appears under the winner as `saves.L`, and the listing of the
//! winner's `saves` tells of it until it is deleted, whether or not there is a `saves`.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};
use syncline_engine::limits::DATASET_NAME_BYTES_MAX;
use syncline_engine::{
    DatasetId, DatasetName, Error, Expected, IdentityId, Listing, MetadataKey, PoolId, Reader,
    SyncCount, Wish,
};
use uuid::Uuid;

use super::stored::{self, Id, MergedRecord};

/// Datasets and keys read at a time.
const SCAN: usize = 1000;
/// Names tried before the last one is taken, which the engine then judges.
const NAMES_MAX: u32 = 1000;
/// Hexadecimal digits that stand for the part of a name that was cut off.
const HASH_DIGITS: usize = 16;

/// What gives all datasets of one identity of a pool to another: a copy of each under its new name,
/// and the report of it. Where the loser's dataset came from a merge itself, the same listing goes
/// on telling of it.
///
/// The proposal must delete the loser, and must put the record of the winner: a deletion of a
/// dataset that runs meanwhile notices the merge by that record's version. A dataset of the loser
/// that was deleted meanwhile makes the engine refuse it; then everything is to be asked again.
///
/// # Errors
/// What reading says.
pub fn wishes(reader: &Reader<'_>, pool: &Id, winner: &Id, loser: &Id) -> Result<Vec<Wish>, Error> {
    let pool_id = PoolId::parse(&pool.to_string())?;
    let winner_id = IdentityId::parse(&winner.to_string())?;
    let loser_id = IdentityId::parse(&loser.to_string())?;
    let place = |identity, name| DatasetId {
        pool: pool_id,
        identity,
        name,
    };
    let roots = roots(reader, pool.uuid, loser.uuid)?;
    let floor = floor(reader, &place(winner_id, unused()?))?;
    let (mut wishes, mut taken) = (Vec::new(), HashSet::new());
    let mut after = None;
    loop {
        let found = reader.datasets(&pool_id, &loser_id, after.as_ref(), SCAN)?;
        for info in &found {
            let is_free = |name: &DatasetName| {
                let to = place(winner_id, name.clone());
                Ok(!taken.contains(name) && !is_used(reader, &to, floor)?)
            };
            let name = free_name(info.name.as_str(), loser_id.as_str(), is_free)?;
            let root = roots.get(&info.name).unwrap_or(&info.name);
            wishes.push(report(pool.uuid, winner.uuid, root, &name, loser.uuid));
            wishes.push(Wish::CopyDataset {
                from: place(loser_id, info.name.clone()),
                to: place(winner_id, name.clone()),
            });
            taken.insert(name);
        }
        let Some(last) = found.last() else {
            return Ok(wishes);
        };
        after = Some(last.name.clone());
    }
}

/// The merged datasets that the listing of a dataset tells of. Never reads the disk.
#[must_use]
pub fn reported(
    reader: &Reader<'_>,
    pool: Uuid,
    identity: Uuid,
    root: &DatasetName,
) -> Vec<String> {
    let prefix = stored::reported_prefix(pool, identity, root);
    let keys = reader.scan_keys(&prefix, None, usize::MAX);
    let names = keys.iter().filter_map(|(key, _)| stored::merged_name(key));
    names.map(str::to_owned).collect()
}

/// The key to delete with a dataset, if it came from a merge. Never reads the disk.
#[must_use]
pub fn report_of(
    reader: &Reader<'_>,
    pool: Uuid,
    identity: Uuid,
    name: &DatasetName,
) -> Option<MetadataKey> {
    let prefix = stored::merged_prefix(pool, identity);
    let mut after = None;
    loop {
        let keys = reader.scan_keys(&prefix, after.as_ref(), SCAN);
        let is_its = |key: &MetadataKey| stored::merged_name(key) == Some(name.as_str());
        if let Some((key, _)) = keys.iter().find(|(key, _)| is_its(key)) {
            return Some(key.clone());
        }
        after = Some(keys.last()?.0.clone());
    }
}

fn report(pool: Uuid, winner: Uuid, root: &DatasetName, name: &DatasetName, loser: Uuid) -> Wish {
    let record = MergedRecord {
        root: root.to_string(),
        identity: *loser.as_bytes(),
    };
    Wish::PutMetadata {
        key: stored::merged_key(pool, winner, root, name),
        value: stored::encode(&record).expect("a name and an id are far below 64 KiB"),
        expected: Expected::Nothing,
    }
}

/// Under which name each dataset of an identity is reported that came from a merge.
fn roots(
    reader: &Reader<'_>,
    pool: Uuid,
    identity: Uuid,
) -> Result<HashMap<DatasetName, DatasetName>, Error> {
    let prefix = stored::merged_prefix(pool, identity);
    let (mut roots, mut after) = (HashMap::new(), None);
    loop {
        let found = reader.scan(&prefix, after.as_ref(), SCAN)?;
        for metadata in &found {
            let name = stored::merged_name(&metadata.key).unwrap_or_default();
            // An unreadable record is no reason to refuse a merge: the dataset is reported under
            // its own name then.
            if let Ok(record) = stored::decode::<MergedRecord>(metadata) {
                let root = DatasetName::parse(&record.root)?;
                roots.insert(DatasetName::parse(name)?, root);
            }
        }
        let Some(last) = found.last() else {
            return Ok(roots);
        };
        after = Some(last.key.clone());
    }
}

/// A name that nobody can have used.
fn unused() -> Result<DatasetName, Error> {
    Ok(DatasetName::parse(&Uuid::new_v4().to_string())?)
}

/// The count that names have of which the identity remembers nothing.
fn floor(reader: &Reader<'_>, unused: &DatasetId) -> Result<SyncCount, Error> {
    Ok(reader.list(unused, &Listing::default())?.sync_count)
}

/// Whether a dataset of this name exists or is remembered.
fn is_used(reader: &Reader<'_>, dataset: &DatasetId, floor: SyncCount) -> Result<bool, Error> {
    let listing = Listing {
        limit: 1,
        ..Listing::default()
    };
    let listed = reader.list(dataset, &listing)?;
    Ok(listed.dataset.is_some() || listed.sync_count > floor)
}

fn free_name(
    dataset: &str,
    loser: &str,
    is_free: impl Fn(&DatasetName) -> Result<bool, Error>,
) -> Result<DatasetName, Error> {
    let mut number = 1;
    loop {
        let name = DatasetName::parse(&merged_name(dataset, loser, number))?;
        if number == NAMES_MAX || is_free(&name)? {
            return Ok(name);
        }
        number += 1;
    }
}

/// `<dataset>.<loser>`, from the second on with `.<number>`. Of what would be too long the identity
/// stays and a hash stands for the rest of the dataset's name.
fn merged_name(dataset: &str, loser: &str, number: u32) -> String {
    let tail = match number {
        1 => format!(".{loser}"),
        number => format!(".{loser}.{number}"),
    };
    if dataset.len() + tail.len() <= DATASET_NAME_BYTES_MAX {
        return format!("{dataset}{tail}");
    }
    let kept = DATASET_NAME_BYTES_MAX - tail.len() - HASH_DIGITS - 1;
    let hash: String = Sha256::digest(dataset)[..HASH_DIGITS / 2]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}-{hash}{tail}", &dataset[..kept])
}

#[cfg(test)]
mod tests;
