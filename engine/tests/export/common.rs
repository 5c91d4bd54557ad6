//! Stores, random work on them, and what they hold as a map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::data;
pub(crate) use super::data::{identity, pool};
use syncline_engine::disk::SimDisk;
use syncline_engine::{
    Content, DatasetId, DatasetName, Engine, Error, Expected, Exported, FeedChange, IdentityId,
    MetadataKey, MetadataValue, ModifiedBy, Options, PoolId, Record, RecordKey, Scope, SyncCount,
    Timestamp, Wish,
};

/// Numbers that look random and are the same for a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// A clock that a test moves.
#[derive(Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_700_000_000_000)))
    }

    pub(crate) fn wait(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn options(&self, threads: bool) -> Options {
        let clock = Arc::clone(&self.0);
        Options {
            segment_bytes: 64 << 10,
            checkpoint_bytes: 128 << 10,
            cache_bytes: 64 << 10,
            feed_retention_bytes: 256 << 10,
            clock: Arc::new(move || Timestamp::new(clock.load(Ordering::Relaxed)).unwrap()),
            threads,
            ..Options::default()
        }
    }
}

pub(crate) fn open(disk: &SimDisk, clock: &Clock) -> Engine {
    Engine::open_on(Arc::new(disk.clone()), clock.options(false)).unwrap()
}

pub(crate) fn dataset(pool: u64, identity: u64, name: u64) -> DatasetId {
    data::dataset_of(pool, identity, &format!("set-{name}"))
}

pub(crate) fn key(number: u64) -> MetadataKey {
    MetadataKey::new(format!("key-{number:04}").into_bytes()).unwrap()
}

pub(crate) fn update(engine: &Engine, id: &DatasetId, keys: &[(u64, Option<usize>)]) -> Wish {
    let changes = keys.iter().map(|(key, length)| {
        let value = length.map(|length| "v".repeat(length));
        (format!("record-{key}"), value)
    });
    let patches = data::patches(engine, id, changes);
    Wish::Update {
        dataset: id.clone(),
        patches,
        modified_by: ModifiedBy::other("phone").unwrap(),
    }
}

/// One random change; pools are counted from `pools`, since ids are not used again.
pub(crate) fn work(engine: &Engine, dice: &mut Dice, pools: &mut u64) {
    let first = pools.saturating_sub(3);
    let any_pool = first + dice.below(3);
    let id = dataset(any_pool, dice.below(8), dice.below(90));
    let wish = match dice.below(100) {
        0..60 => {
            let from = dice.below(20);
            let records = 1 + dice.below(4);
            let keys: Vec<_> = (from..from + records)
                .map(|key| (key, (key % 4 > 0).then_some(dice.below(400) as usize)))
                .collect();
            update(engine, &id, &keys)
        }
        60..75 => Wish::DeleteDataset {
            dataset: id,
            modified_by: ModifiedBy::Owner,
        },
        75..78 => Wish::DeleteIdentity {
            pool: id.pool,
            identity: id.identity,
        },
        78 => {
            *pools += 1;
            Wish::DeletePool { pool: pool(first) }
        }
        79..90 => Wish::PutMetadata {
            key: key(dice.below(300)),
            value: MetadataValue::new(vec![b'm'; dice.below(300) as usize]).unwrap(),
            expected: Expected::Anything,
        },
        90..95 => Wish::DeleteMetadata {
            key: key(dice.below(300)),
            expected: Expected::Anything,
        },
        95..98 => Wish::Rewrite { dataset: id },
        _ => Wish::Republish { dataset: id },
    };
    match engine.commit(wish) {
        Ok(_) | Err(Error::Refusal(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// When an identity was modified, its floor, and its deleted names.
type Beside = (Timestamp, SyncCount, Vec<(DatasetName, SyncCount)>);

/// Everything that an export tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) pools: BTreeMap<PoolId, Timestamp>,
    pub(crate) datasets: BTreeMap<DatasetId, Content>,
    pub(crate) identities: BTreeMap<(PoolId, IdentityId), Beside>,
    pub(crate) metadata: BTreeMap<MetadataKey, Vec<u8>>,
}

impl Copy {
    /// Takes what was told, which must be new.
    pub(crate) fn take(&mut self, exported: Exported) {
        let twice = match exported {
            Exported::Pool { pool, modified } => self.pools.insert(pool, modified).is_some(),
            Exported::Dataset { dataset, content } => {
                let owner = (dataset.pool, dataset.identity);
                assert!(
                    !self.identities.contains_key(&owner),
                    "{dataset} comes late"
                );
                self.datasets.insert(dataset, *content).is_some()
            }
            Exported::Identity {
                pool,
                identity,
                modified,
                floor,
                deleted,
            } => {
                let beside = (modified, floor, deleted);
                self.identities.insert((pool, identity), beside).is_some()
            }
            Exported::Metadata { key, value } => {
                let value = value.as_bytes().to_vec();
                self.metadata.insert(key, value).is_some()
            }
        };
        assert!(!twice, "something was told twice");
    }

    pub(crate) fn of(engine: &Engine, scope: Scope) -> Self {
        let mut copy = Self::default();
        for exported in engine.export(scope).unwrap() {
            copy.take(exported.unwrap());
        }
        copy
    }

    /// Keys, values and counts: what the feed tells of datasets.
    pub(crate) fn records(&self) -> BTreeMap<DatasetId, (SyncCount, BTreeMap<RecordKey, Record>)> {
        let records = |content: &Content| {
            let live = content
                .records
                .iter()
                .filter(|record| record.value.is_some());
            let by_key = live.map(|record| (record.key.clone(), record.clone()));
            (content.sync_count, by_key.collect())
        };
        let datasets = self.datasets.iter();
        datasets
            .map(|(id, content)| (id.clone(), records(content)))
            .collect()
    }
}

/// Makes a change that the feed tells of true.
pub(crate) fn follow(
    records: &mut BTreeMap<DatasetId, (SyncCount, BTreeMap<RecordKey, Record>)>,
    change: FeedChange,
) {
    match change {
        FeedChange::Updated {
            dataset,
            sync_count,
            records: written,
            ..
        } => {
            let (count, known) = records.entry(dataset).or_default();
            // A gap or an overlap would show in the counts of a dataset that goes on existing.
            assert!(known.is_empty() || sync_count.get() == count.get() + 1);
            *count = sync_count;
            for record in written.iter().map(|record| record.to_record()) {
                match record.value {
                    Some(_) => known.insert(record.key.clone(), record),
                    None => known.remove(&record.key),
                };
            }
        }
        FeedChange::Whole {
            dataset,
            sync_count,
            records: written,
            ..
        } => {
            let written = written.iter().map(|record| record.to_record());
            let live = written.filter(|record| record.value.is_some());
            let by_key = live.map(|record| (record.key.clone(), record)).collect();
            records.insert(dataset, (sync_count, by_key));
        }
        FeedChange::DeletedDataset { dataset, .. } => {
            records.remove(&dataset);
        }
        FeedChange::DeletedIdentity { pool, identity, .. } => {
            records.retain(|id, _| (id.pool, id.identity) != (pool, identity));
        }
        FeedChange::DeletedPool { pool } => records.retain(|id, _| id.pool != pool),
    }
}

pub(crate) fn import(engine: &Engine, exported: Exported) -> Result<(), Error> {
    engine.commit(Wish::from(exported)).map(drop)
}
