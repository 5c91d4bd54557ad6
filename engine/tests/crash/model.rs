//! The store as a few dozen lines without a disk: what an engine must show after each commit.

use std::collections::BTreeMap;

use syncline_engine::{
    DatasetId, Engine, Expected, FeedChange, FeedCommit, IdentityId, Listing, MetadataKey, Patch,
    PatchOp, PoolId, Proposal, RecordRef, Wish,
};

/// One dataset, possibly deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    pub exists: bool,
    pub sync_count: u64,
    pub floor: u64,
    /// Value (none: a tombstone) and count by key.
    pub records: BTreeMap<String, (Option<String>, u64)>,
}

impl Dataset {
    fn bytes(&self) -> u64 {
        let size = |(key, (value, _)): (&String, &(Option<String>, u64))| {
            value.as_ref().map_or(0, |value| key.len() + value.len()) as u64
        };
        self.records.iter().map(size).sum()
    }

    fn live(&self) -> u64 {
        self.records
            .values()
            .filter(|(value, _)| value.is_some())
            .count() as u64
    }

    fn accepts(&self, patch: &Patch) -> bool {
        let seen = patch.sync_count.get();
        match self.records.get(patch.key.as_str()) {
            Some(&(_, count)) => seen == count,
            None => seen == 0 || (self.floor..=self.sync_count).contains(&seen),
        }
    }
}

/// Everything that is true after some commits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    pub datasets: BTreeMap<DatasetId, Dataset>,
    pub metadata: BTreeMap<MetadataKey, (Vec<u8>, u64)>,
    pub commits: u64,
}

impl Model {
    /// The model after a proposal, or none if it is to be refused.
    pub fn after(&self, proposal: &Proposal) -> Option<Self> {
        let mut next = self.clone();
        next.commits += 1;
        let expected = proposal
            .expect
            .iter()
            .all(|(key, expected)| self.holds(key, *expected));
        let fits = proposal.wishes.iter().all(|wish| next.apply(self, wish));
        (expected && fits && !touch(&proposal.wishes)).then_some(next)
    }

    fn holds(&self, key: &MetadataKey, expected: Expected) -> bool {
        let found = self.metadata.get(key).map(|(_, version)| *version);
        match expected {
            Expected::Anything => true,
            Expected::Nothing => found.is_none(),
            Expected::Something => found.is_some(),
            Expected::Version(version) => found == Some(version.get()),
        }
    }

    fn update(&mut self, dataset: &DatasetId, patches: &[Patch]) -> bool {
        let dataset = self.datasets.entry(dataset.clone()).or_default();
        if !patches.iter().all(|patch| dataset.accepts(patch)) {
            return false;
        }
        dataset.exists = true;
        dataset.sync_count += 1;
        for patch in patches {
            let value = match &patch.op {
                PatchOp::Replace(value) => Some(value.as_str().to_owned()),
                PatchOp::Remove => None,
            };
            let key = patch.key.as_str().to_owned();
            dataset.records.insert(key, (value, dataset.sync_count));
        }
        true
    }

    fn apply(&mut self, before: &Self, wish: &Wish) -> bool {
        match wish {
            Wish::Update {
                dataset, patches, ..
            } => self.update(dataset, patches),
            Wish::CopyDataset { from, to } => {
                let source = before.datasets.get(from).filter(|dataset| dataset.exists);
                let used = before
                    .datasets
                    .get(to)
                    .is_some_and(|dataset| dataset.sync_count > 0);
                let Some(source) = source.filter(|_| !used) else {
                    return false;
                };
                let live = source
                    .records
                    .iter()
                    .filter(|(_, (value, _))| value.is_some());
                let records = live
                    .map(|(key, (value, _))| (key.clone(), (value.clone(), 1)))
                    .collect();
                let copy = Dataset {
                    exists: true,
                    sync_count: 1,
                    floor: 0,
                    records,
                };
                self.datasets.insert(to.clone(), copy);
                true
            }
            Wish::Rewrite { dataset } | Wish::Republish { dataset } => {
                before.datasets.get(dataset).is_some_and(|d| d.exists)
            }
            Wish::Import { .. } | Wish::ImportIdentity { .. } | Wish::ImportPool { .. } => {
                unreachable!("the workload imports nothing")
            }
            Wish::DeleteDataset { dataset, .. } => match self.datasets.get_mut(dataset) {
                Some(dataset) if dataset.exists => {
                    dataset.exists = false;
                    dataset.sync_count += 1;
                    dataset.floor = dataset.sync_count;
                    dataset.records.clear();
                    true
                }
                _ => false,
            },
            Wish::DeleteIdentity { pool, identity } => {
                self.datasets
                    .retain(|id, _| (id.pool, id.identity) != (*pool, *identity));
                true
            }
            Wish::DeletePool { pool } => {
                self.datasets.retain(|id, _| id.pool != *pool);
                true
            }
            Wish::PutMetadata {
                key,
                value,
                expected,
            } => {
                let holds = before.holds(key, *expected);
                let value = (value.as_bytes().to_vec(), self.commits);
                self.metadata.insert(key.clone(), value);
                holds
            }
            Wish::DeleteMetadata { key, expected } => {
                self.metadata.remove(key);
                before.holds(key, *expected)
            }
        }
    }

    /// Whether an engine shows exactly this; says the first difference.
    pub fn compare(&self, engine: &Engine) -> Result<(), String> {
        let reader = engine.reader();
        let mut sums: BTreeMap<(PoolId, IdentityId), (u64, u64)> = BTreeMap::new();
        for (id, dataset) in &self.datasets {
            let listed = reader
                .list(id, &Listing::default())
                .map_err(|e| format!("{id}: {e}"))?;
            let found = Dataset {
                exists: listed.dataset.is_some(),
                sync_count: listed.sync_count.get(),
                floor: dataset.floor,
                records: listed
                    .records()
                    .map(|r| {
                        (
                            r.key.to_string(),
                            (r.value.map(|value| value.to_string()), r.sync_count.get()),
                        )
                    })
                    .collect(),
            };
            same(id, &found, dataset)?;
            let info = reader.dataset(id).map_err(|e| format!("{id}: {e}"))?;
            let sizes = info.map(|info| (info.bytes, info.records, info.sync_count.get()));
            let expected = (dataset.bytes(), dataset.live(), dataset.sync_count);
            same(id, &sizes, &dataset.exists.then_some(expected))?;
            let sum = sums.entry((id.pool, id.identity)).or_default();
            *sum = (sum.0 + u64::from(dataset.exists), sum.1 + dataset.bytes());
        }
        self.compare_usage(engine, &sums)?;
        let exist = self.datasets.values().filter(|dataset| dataset.exists);
        same(
            &"datasets",
            &engine.stats().datasets,
            &(exist.count() as u64),
        )?;
        let metadata: BTreeMap<_, _> = reader
            .scan(b"", None, 10_000)
            .map_err(|e| e.to_string())?
            .into_iter()
            .map(|m| (m.key, (m.value.as_bytes().to_vec(), m.version.get())))
            .collect();
        same(&"metadata", &metadata, &self.metadata)?;
        same(&"sequence", &engine.head().sequence.get(), &self.commits)
    }

    fn compare_usage(
        &self,
        engine: &Engine,
        sums: &BTreeMap<(PoolId, IdentityId), (u64, u64)>,
    ) -> Result<(), String> {
        let mut pools: BTreeMap<PoolId, u64> = BTreeMap::new();
        for (&(pool, identity), &(datasets, bytes)) in sums {
            let usage = engine.reader().identity(&pool, &identity);
            same(
                &identity,
                &usage.map(|u| (u.datasets, u.bytes)),
                &Some((datasets, bytes)),
            )?;
            *pools.entry(pool).or_default() += bytes;
        }
        for (pool, bytes) in pools {
            same(
                &pool,
                &engine.reader().pool(&pool).map(|usage| usage.bytes),
                &Some(bytes),
            )?;
        }
        Ok(())
    }

    /// Takes a commit as the feed tells it.
    pub fn follow(&mut self, commit: &FeedCommit) {
        self.commits = commit.cursor.sequence.get();
        for change in &commit.changes {
            match change {
                FeedChange::Updated {
                    dataset,
                    sync_count,
                    records,
                    ..
                } => {
                    let dataset = self.datasets.entry(dataset.clone()).or_default();
                    assert_eq!(
                        sync_count.get(),
                        dataset.sync_count + 1,
                        "no commit is missing"
                    );
                    dataset.exists = true;
                    dataset.sync_count = sync_count.get();
                    for record in records {
                        assert_eq!(record.sync_count, *sync_count, "only news is told");
                        dataset.records.extend([told(record)]);
                    }
                }
                FeedChange::Whole {
                    dataset,
                    sync_count,
                    records,
                    ..
                } => {
                    let known = self.datasets.get(dataset).expect("it was told of");
                    let told = Dataset {
                        records: records.iter().map(told).collect(),
                        ..known.clone()
                    };
                    assert_eq!(sync_count.get(), known.sync_count);
                    assert_eq!(&told, known, "what is told again is what was told");
                }
                FeedChange::DeletedDataset {
                    dataset,
                    sync_count,
                    ..
                } => {
                    let dataset = self.datasets.get_mut(dataset).expect("it was told of");
                    *dataset = Dataset {
                        sync_count: sync_count.get(),
                        floor: sync_count.get(),
                        ..Dataset::default()
                    };
                }
                FeedChange::DeletedIdentity { pool, identity, .. } => {
                    self.datasets
                        .retain(|id, _| (id.pool, id.identity) != (*pool, *identity));
                }
                FeedChange::DeletedPool { pool } => {
                    self.datasets.retain(|id, _| id.pool != *pool);
                }
            }
        }
    }
}

fn told(record: RecordRef<'_>) -> (String, (Option<String>, u64)) {
    let value = record.value.map(|value| value.to_string());
    (record.key.to_string(), (value, record.sync_count.get()))
}

/// Whether two wishes are about the same thing.
fn touch(wishes: &[Wish]) -> bool {
    let same = |a: &Wish, b: &Wish| match (scope(a), scope(b)) {
        ((Some(a), None), (Some(b), None)) => a.iter().zip(&b).all(|(a, b)| a == b),
        ((None, Some(a)), (None, Some(b))) => a == b,
        _ => false,
    };
    wishes
        .iter()
        .enumerate()
        .any(|(at, a)| wishes[..at].iter().any(|b| same(a, b)))
}

/// What a wish is about: a path in the directory, or a metadata key.
fn scope(wish: &Wish) -> (Option<Vec<String>>, Option<&MetadataKey>) {
    match wish {
        Wish::Update { dataset, .. }
        | Wish::DeleteDataset { dataset, .. }
        | Wish::Rewrite { dataset }
        | Wish::Republish { dataset }
        | Wish::Import { dataset, .. }
        | Wish::CopyDataset { to: dataset, .. } => {
            let DatasetId {
                pool,
                identity,
                name,
            } = dataset;
            (
                Some(vec![
                    pool.to_string(),
                    identity.to_string(),
                    name.to_string(),
                ]),
                None,
            )
        }
        Wish::DeleteIdentity { pool, identity } | Wish::ImportIdentity { pool, identity, .. } => {
            (Some(vec![pool.to_string(), identity.to_string()]), None)
        }
        Wish::DeletePool { pool } | Wish::ImportPool { pool, .. } => {
            (Some(vec![pool.to_string()]), None)
        }
        Wish::PutMetadata { key, .. } | Wish::DeleteMetadata { key, .. } => (None, Some(key)),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &dyn std::fmt::Display,
    found: &T,
    expected: &T,
) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: found {found:?}, expected {expected:?}"))
}
