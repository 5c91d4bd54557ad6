//! What an update is to a store of tables: the record's count is compared, and the record, its
//! dataset, the sizes of identity and pool, and the feed are written.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use syncline_engine::{DatasetId, RecordKey};
use syncline_peers::{Look, Rows, Table};

use crate::failure::{Result, fail};
use crate::workload::{Update, Workload};

/// An update, spelled as the tables want it.
pub struct Job {
    dataset: Vec<u8>,
    identity: Vec<u8>,
    pool: Vec<u8>,
    /// The count that the caller saw last, of each record.
    expected: u64,
    /// Keys, behind that of the dataset, and new values.
    records: Vec<(Vec<u8>, String)>,
}

/// What parts of a key are kept apart by: it is in none of them.
const APART: u8 = 0;
/// Before the value of a record: its count, and when it was written.
const HEADER_BYTES: usize = 16;

fn key(parts: &[&str]) -> Vec<u8> {
    let mut key = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        key.extend_from_slice(part.as_bytes());
        key.push(APART);
    }
    key
}

fn dataset_key(dataset: &DatasetId) -> Vec<u8> {
    let DatasetId {
        pool,
        identity,
        name,
    } = dataset;
    key(&[pool.as_str(), identity.as_str(), name.as_str()])
}

/// Numbers in a row.
fn row<const N: usize>(found: Option<Vec<u8>>) -> [u64; N] {
    let mut numbers = [0; N];
    for (number, bytes) in numbers
        .iter_mut()
        .zip(found.unwrap_or_default().chunks_exact(8))
    {
        *number = bytes.try_into().map_or(0, u64::from_le_bytes);
    }
    numbers
}

fn bytes(numbers: &[u64]) -> Vec<u8> {
    numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0))
}

impl Job {
    pub fn new(update: Update<'_>) -> Self {
        let DatasetId { pool, identity, .. } = update.dataset;
        let dataset = dataset_key(update.dataset);
        let record = |(record, key): (usize, &RecordKey)| {
            let mut place = dataset.clone();
            place.extend_from_slice(key.as_str().as_bytes());
            (place, update.value(record))
        };
        Self {
            records: update.keys.iter().enumerate().map(record).collect(),
            dataset,
            identity: key(&[pool.as_str(), identity.as_str()]),
            pool: key(&[pool.as_str()]),
            expected: update.sync_count,
        }
    }

    /// Does all of it as the commit with this sequence.
    pub fn run(&self, rows: &mut dyn Rows, sequence: u64) -> Result<()> {
        let now = now();
        // Count, bytes, live records, removed ones, when it was made and changed.
        let [count, mut size, mut live, removed, made, _] =
            row(rows.get(Table::Datasets, &self.dataset)?);
        let (count, before) = (count + 1, size);
        let mut told = bytes(&[count, now]);
        for (key, value) in &self.records {
            let old = rows.get(Table::Records, key)?;
            let [at] = row(old.clone());
            if at != self.expected {
                return fail(format!("the record is at {at}, not {}", self.expected));
            }
            let key_bytes = key.len() - self.dataset.len();
            let was = old
                .as_ref()
                .map_or(0, |old| old.len() - HEADER_BYTES + key_bytes);
            size = size - was as u64 + (value.len() + key_bytes) as u64;
            live += u64::from(old.is_none());
            let mut record = bytes(&[count, now]);
            record.extend_from_slice(value.as_bytes());
            rows.put(Table::Records, key, &record)?;
            for text in [&key[..], value.as_bytes()] {
                told.extend_from_slice(&(text.len() as u64).to_le_bytes());
                told.extend_from_slice(text);
            }
        }
        let made = if made == 0 { now } else { made };
        let dataset = bytes(&[count, size, live, removed, made, now]);
        rows.put(Table::Datasets, &self.dataset, &dataset)?;
        for (table, key) in [
            (Table::Identities, &self.identity),
            (Table::Pools, &self.pool),
        ] {
            let [all, datasets, _] = row(rows.get(table, key)?);
            let datasets = datasets + u64::from(count == 1);
            rows.put(table, key, &bytes(&[all - before + size, datasets, now]))?;
        }
        rows.put(Table::Feed, &sequence.to_be_bytes(), &told)
    }
}

/// Fails unless a dataset is at a count, with the values that belong to it.
pub fn verify(look: &mut dyn Look, workload: &Workload, number: usize, count: u64) -> Result<()> {
    let dataset = &workload.datasets[number];
    let place = dataset_key(dataset);
    let [found, ..] = row::<6>(look.get(Table::Datasets, &place)?);
    let mut records = HashMap::new();
    look.scan(Table::Records, &place, &mut |key, record| {
        records.insert(key[place.len()..].to_vec(), record.to_vec());
        Ok(())
    })?;
    let is_right = |(record, key): (usize, &RecordKey)| {
        let wanted = workload.value(number, record, count);
        records.get(key.as_str().as_bytes()).is_some_and(|found| {
            row(Some(found.clone())) == [count] && found[HEADER_BYTES..] == *wanted.as_bytes()
        })
    };
    let all = workload.keys.iter().enumerate().all(is_right);
    if found == count && records.len() == workload.keys.len() && all {
        return Ok(());
    }
    fail(format!(
        "{dataset} is at {found}, not {count}, or a record is not what it was"
    ))
}

/// Records of a dataset above a count, and the bytes of their keys and values.
pub fn list(look: &mut dyn Look, dataset: &DatasetId, since: u64) -> Result<(usize, usize)> {
    let place = dataset_key(dataset);
    if row::<6>(look.get(Table::Datasets, &place)?)[0] < since {
        return fail(format!("{dataset} was never at {since}"));
    }
    let (mut records, mut bytes) = (0, 0);
    look.scan(Table::Records, &place, &mut |key, record| {
        let count = record[..8].try_into().map_or(0, u64::from_le_bytes);
        if count > since {
            records += 1;
            bytes += key.len() - place.len() + record.len() - HEADER_BYTES;
        }
        Ok(())
    })?;
    Ok((records, bytes))
}

/// Commits in the feed, and the bytes of their keys and values, each of which is looked at.
pub fn follow(look: &mut dyn Look) -> Result<(usize, usize)> {
    let (mut commits, mut bytes) = (0, 0);
    look.scan(Table::Feed, &[], &mut |_, told| {
        let mut rest = &told[16..];
        let mut is_key = true;
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length))?;
            let (text, behind) = behind.split_at(length);
            bytes += std::str::from_utf8(text)?.len();
            if is_key {
                bytes -= end_of_dataset(text);
            }
            is_key = !is_key;
            rest = behind;
        }
        commits += 1;
        Ok(())
    })?;
    Ok((commits, bytes))
}

/// Bytes of the key of a dataset, which stands before that of its record.
fn end_of_dataset(key: &[u8]) -> usize {
    let ends = key.iter().enumerate().filter(|(_, byte)| **byte == APART);
    ends.map(|(at, _)| at + 1).nth(2).unwrap_or(0)
}

/// Records, and the bytes of their keys and values, each of which is looked at.
pub fn export(look: &mut dyn Look) -> Result<(usize, usize)> {
    let (mut records, mut bytes) = (0, 0);
    look.scan(Table::Records, &[], &mut |key, record| {
        let text = std::str::from_utf8(&record[HEADER_BYTES..])?;
        records += 1;
        bytes += key.len() - end_of_dataset(key) + text.len();
        Ok(())
    })?;
    Ok((records, bytes))
}

/// The last sequence in the feed.
pub fn last_sequence(look: &mut dyn Look) -> Result<u64> {
    let mut last = 0;
    look.scan(Table::Feed, &[], &mut |key, _| {
        last = key.try_into().map_or(0, u64::from_be_bytes);
        Ok(())
    })?;
    Ok(last)
}
