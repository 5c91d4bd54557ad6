//! Random proposals, most of which fit what is there.

use syncline_engine::{
    DatasetId, DatasetName, Expected, IdentityId, MetadataKey, MetadataValue, ModifiedBy, Note,
    Patch, PatchOp, PoolId, Proposal, RecordKey, RecordValue, SyncCount, Wish,
};

use crate::model::{Dataset, Model};

/// Numbers that look random and repeat with the seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The next proposal for a store that is as the model says.
pub fn proposal(random: &mut Random, model: &Model) -> Proposal {
    let mut wishes = vec![wish(random, model)];
    if random.below(6) == 0 {
        wishes.extend((0..random.below(4)).map(|_| wish(random, model)));
    }
    let note = Note::new(random.next().to_le_bytes().to_vec()).unwrap();
    Proposal {
        note,
        wishes,
        ..Proposal::default()
    }
}

/// A proposal of one change, after which a commit needs several frames.
pub fn large_proposal(random: &mut Random, model: &Model) -> Proposal {
    let wishes = (0..6).map(|at| {
        let dataset = DatasetId {
            name: name(&format!("large-{at}")),
            ..dataset(random)
        };
        let patches = vec![patch(random, model.datasets.get(&dataset), "blob", 900_000)];
        Wish::Update {
            dataset,
            patches,
            modified_by: ModifiedBy::Owner,
        }
    });
    Proposal {
        wishes: wishes.collect(),
        ..Proposal::default()
    }
}

fn wish(random: &mut Random, model: &Model) -> Wish {
    let expected = match random.below(4) {
        0 => Expected::Nothing,
        1 => Expected::Something,
        _ => Expected::Anything,
    };
    let key = MetadataKey::new(format!("key/{}", random.below(6)).into_bytes()).unwrap();
    match random.below(40) {
        0 => Wish::DeletePool {
            pool: pool(random.below(2)),
        },
        1 | 2 => {
            let DatasetId { pool, identity, .. } = dataset(random);
            Wish::DeleteIdentity { pool, identity }
        }
        3..6 => Wish::DeleteDataset {
            dataset: dataset(random),
            modified_by: modifier(random),
        },
        6..9 => {
            let value = vec![7; usize::try_from(random.below(3000)).unwrap()];
            Wish::PutMetadata {
                key,
                value: MetadataValue::new(value).unwrap(),
                expected,
            }
        }
        9 => Wish::DeleteMetadata { key, expected },
        12 => Wish::Rewrite {
            dataset: dataset(random),
        },
        13 => Wish::Republish {
            dataset: dataset(random),
        },
        10 | 11 => {
            let (from, to) = (dataset(random), dataset(random));
            let name = name(&format!("{}.{}", from.name, from.identity));
            Wish::CopyDataset {
                to: DatasetId { name, ..to },
                from,
            }
        }
        _ => update(random, model),
    }
}

fn update(random: &mut Random, model: &Model) -> Wish {
    let dataset = dataset(random);
    let found = model.datasets.get(&dataset);
    let first = random.below(12);
    let patches = (0..=random.below(4))
        .map(|at| {
            let bytes = [0, 10, 100, 2500][usize::try_from(random.below(4)).unwrap()];
            patch(random, found, &format!("key-{}", (first + at) % 12), bytes)
        })
        .collect();
    Wish::Update {
        dataset,
        patches,
        modified_by: modifier(random),
    }
}

fn patch(random: &mut Random, dataset: Option<&Dataset>, key: &str, bytes: u64) -> Patch {
    let stored = dataset
        .and_then(|dataset| dataset.records.get(key))
        .map_or(0, |r| r.1);
    let seen = if random.below(20) == 0 {
        random.below(9)
    } else {
        stored
    };
    let value = format!("{:x}", random.next()).repeat(usize::try_from(bytes / 16 + 1).unwrap());
    let op = match random.below(5) {
        0 => PatchOp::Remove,
        _ => PatchOp::Replace(RecordValue::parse(value).unwrap()),
    };
    let sync_count = SyncCount::new(seen).unwrap();
    Patch {
        key: RecordKey::parse(key).unwrap(),
        op,
        sync_count,
        device_modified: None,
    }
}

fn modifier(random: &mut Random) -> ModifiedBy {
    match random.below(2) {
        0 => ModifiedBy::Owner,
        _ => ModifiedBy::other("device-1").unwrap(),
    }
}

fn dataset(random: &mut Random) -> DatasetId {
    let identity = format!(
        "us-east-1:0000000{}-0000-4000-8000-00000000000a",
        random.below(3)
    );
    DatasetId {
        pool: pool(random.below(2)),
        identity: IdentityId::parse(&identity).unwrap(),
        name: name(&format!("dataset-{}", random.below(3))),
    }
}

fn pool(number: u64) -> PoolId {
    // One that is a uuid, and one that is not.
    PoolId::parse(
        [
            "us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11",
            "local:a-1",
        ][usize::try_from(number).unwrap()],
    )
    .unwrap()
}

fn name(text: &str) -> DatasetName {
    DatasetName::parse(text).unwrap()
}
