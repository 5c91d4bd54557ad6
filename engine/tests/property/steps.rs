//! Steps of a sequence, as small numbers that shrink well, and what they stand for.

use proptest::collection::vec;
use proptest::prelude::*;
use syncline_engine::{
    DatasetId, DatasetName, Expected, IdentityId, MetadataKey, MetadataValue, ModifiedBy, Note,
    Patch, PatchOp, PoolId, Proposal, RecordKey, RecordValue, SyncCount, Wish,
};

use crate::model::Model;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    Commit(Vec<Want>),
    CommitAll(Vec<Vec<Want>>),
    Overlap(Vec<Vec<Want>>),
    /// Pages of a dataset, with a commit behind the first.
    List {
        of: u8,
        since: u8,
        limit: usize,
        between: Option<Want>,
    },
    Scan {
        prefix: String,
        after: Option<u8>,
        limit: usize,
    },
    /// From this part of all commits on, and from before the time of that part of them.
    Feed {
        from: u8,
        behind: u8,
    },
    Maintain,
    Compact,
    Purge,
    Wait(u8),
    Close,
    Kill,
    PowerFailure(u64),
}

/// One wish, for whatever is there when its turn comes.
#[derive(Clone, Debug)]
pub enum Want {
    Update { of: u8, patches: Vec<Change> },
    Copy { from: u8, to: u8 },
    Rewrite(u8),
    Republish(u8),
    Delete(u8),
    DeleteIdentity(u8),
    DeletePool(u8),
    Put { key: u8, bytes: u16, expected: Held },
    Take { key: u8, expected: Held },
    Expect { key: u8, expected: Held },
}

/// What a metadata key is expected to hold.
#[derive(Clone, Copy, Debug)]
pub enum Held {
    Anything,
    Nothing,
    Something,
    Newest,
    Older,
}

/// One patch.
#[derive(Clone, Debug)]
pub struct Change {
    key: u8,
    /// Bytes of the value; `None` removes the record.
    bytes: Option<u16>,
    /// Another count than the stored one, as a client has that missed something.
    seen: Option<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = prop_oneof![
        1 => Just(None),
        6 => (0u16..40).prop_map(Some),
        2 => (0u16..9000).prop_map(Some),
    ];
    let seen = prop_oneof![12 => Just(None), 1 => (0u8..5).prop_map(Some)];
    (0u8..8, bytes, seen).prop_map(|(key, bytes, seen)| Change { key, bytes, seen })
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        3 => Just(Held::Anything),
        1 => Just(Held::Nothing),
        1 => Just(Held::Something),
        2 => Just(Held::Newest),
        1 => Just(Held::Older),
    ]
}

const DATASETS: u8 = 12;

fn want() -> impl Strategy<Value = Want> {
    let put = (0u8..6, 0u16..5000, held());
    let key = || (0u8..6, held());
    prop_oneof![
        20 => (0..DATASETS, vec(change(), 1..4))
            .prop_map(|(of, patches)| Want::Update { of, patches }),
        2 => (0..DATASETS, 0..DATASETS).prop_map(|(from, to)| Want::Copy { from, to }),
        1 => (0..DATASETS).prop_map(Want::Rewrite),
        2 => (0..DATASETS).prop_map(Want::Republish),
        3 => (0..DATASETS).prop_map(Want::Delete),
        1 => (0..DATASETS).prop_map(Want::DeleteIdentity),
        1 => (0..DATASETS).prop_map(Want::DeletePool),
        4 => put.prop_map(|(key, bytes, expected)| Want::Put { key, bytes, expected }),
        2 => key().prop_map(|(key, expected)| Want::Take { key, expected }),
        1 => key().prop_map(|(key, expected)| Want::Expect { key, expected }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let list = (0..DATASETS, 0u8..6, 0usize..4, proptest::option::of(want()));
    let prefixes = prop_oneof![Just(""), Just("key/"), Just("key/1"), Just("other")];
    let scan = (prefixes, proptest::option::of(0u8..6), 0usize..5);
    prop_oneof![
        20 => vec(want(), 1..4).prop_map(Step::Commit),
        6 => vec(vec(want(), 1..3), 1..6).prop_map(Step::CommitAll),
        6 => vec(vec(want(), 1..3), 2..5).prop_map(Step::Overlap),
        6 => list.prop_map(|(of, since, limit, between)| Step::List { of, since, limit, between }),
        2 => scan.prop_map(|(prefix, after, limit)| Step::Scan {
            prefix: prefix.to_owned(),
            after,
            limit,
        }),
        3 => any::<(u8, u8)>().prop_map(|(from, behind)| Step::Feed { from, behind }),
        2 => Just(Step::Maintain),
        1 => Just(Step::Compact),
        1 => Just(Step::Purge),
        1 => (1u8..40).prop_map(Step::Wait),
        1 => Just(Step::Close),
        1 => Just(Step::Kill),
        1 => (0u64..1000).prop_map(Step::PowerFailure),
    ]
}

/// A sequence of steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..80)
}

/// A dataset of one of two pools, three identities and two names.
pub fn dataset(number: u8) -> DatasetId {
    // One pool that is a uuid, and one that is not.
    let pools = [
        "us-east-1:0b6b4a3e-71c4-4b2e-9b4a-3f2f6f0a7c11",
        "local:a-1",
    ];
    let identity = format!(
        "us-east-1:0000000{}-0000-4000-8000-00000000000a",
        number / 2 % 3
    );
    DatasetId {
        pool: PoolId::parse(pools[usize::from(number / 6 % 2)]).unwrap(),
        identity: IdentityId::parse(&identity).unwrap(),
        name: DatasetName::parse(&format!("dataset-{}", number % 2)).unwrap(),
    }
}

/// A metadata key.
pub fn key(number: u8) -> MetadataKey {
    MetadataKey::new(format!("key/{number}").into_bytes()).unwrap()
}

/// What wants stand for in a store that is as the model says.
pub fn proposal(wants: &[Want], model: &Model) -> Proposal {
    let mut proposal = Proposal {
        note: Note::new(model.commits.to_le_bytes()).unwrap(),
        ..Proposal::default()
    };
    for want in wants {
        if let Want::Expect { key: of, expected } = want {
            proposal
                .expect
                .push((key(*of), held_in(*of, *expected, model)));
        } else {
            proposal.wishes.extend(wish(want, model));
        }
    }
    if proposal.wishes.is_empty() {
        // A proposal wishes for something.
        proposal.wishes.push(Wish::PutMetadata {
            key: key(0),
            value: MetadataValue::new(&b"expected"[..]).unwrap(),
            expected: Expected::Anything,
        });
    }
    proposal
}

fn held_in(of: u8, expected: Held, model: &Model) -> Expected {
    let newest = model
        .metadata
        .get(&key(of))
        .map_or(1, |(_, version)| *version);
    let version = |version: u64| Expected::Version(syncline_engine::Sequence::new(version));
    match expected {
        Held::Anything => Expected::Anything,
        Held::Nothing => Expected::Nothing,
        Held::Something => Expected::Something,
        Held::Newest => version(newest),
        Held::Older => version(newest.saturating_sub(1)),
    }
}

fn wish(want: &Want, model: &Model) -> Option<Wish> {
    let owner = ModifiedBy::Owner;
    Some(match want {
        Want::Update { of, patches } => Wish::Update {
            dataset: dataset(*of),
            patches: patch(*of, patches, model),
            modified_by: ModifiedBy::other("a device").unwrap(),
        },
        Want::Copy { from, to } => {
            let (from, mut to) = (dataset(*from), dataset(*to));
            // In the place of one that others write, or of one that is never written again.
            if from.name == to.name {
                to.name = DatasetName::parse(&format!("copy-of-{}", from.name)).unwrap();
            }
            Wish::CopyDataset { from, to }
        }
        Want::Rewrite(of) => Wish::Rewrite {
            dataset: dataset(*of),
        },
        Want::Republish(of) => Wish::Republish {
            dataset: dataset(*of),
        },
        Want::Delete(of) => Wish::DeleteDataset {
            dataset: dataset(*of),
            modified_by: owner,
        },
        Want::DeleteIdentity(of) => Wish::DeleteIdentity {
            pool: dataset(*of).pool,
            identity: dataset(*of).identity,
        },
        Want::DeletePool(of) => Wish::DeletePool {
            pool: dataset(*of).pool,
        },
        Want::Put {
            key: of,
            bytes,
            expected,
        } => Wish::PutMetadata {
            key: key(*of),
            value: MetadataValue::new(vec![*of; usize::from(*bytes)]).unwrap(),
            expected: held_in(*of, *expected, model),
        },
        Want::Take { key: of, expected } => Wish::DeleteMetadata {
            key: key(*of),
            expected: held_in(*of, *expected, model),
        },
        Want::Expect { .. } => return None,
    })
}

/// Patches of different keys.
fn patch(of: u8, changes: &[Change], model: &Model) -> Vec<Patch> {
    let known = model.datasets.get(&dataset(of));
    let mut patches: Vec<Patch> = Vec::new();
    for Change { key, bytes, seen } in changes {
        let key = RecordKey::parse(&format!("key-{key}")).unwrap();
        if patches.iter().any(|patch| patch.key == key) {
            continue;
        }
        let stored = known.and_then(|known| known.records.get(key.as_str()));
        let stored = stored.map_or(0, |(_, count)| *count);
        let value = |bytes: u16| RecordValue::parse("v".repeat(usize::from(bytes))).unwrap();
        patches.push(Patch {
            op: bytes.map_or(PatchOp::Remove, |bytes| PatchOp::Replace(value(bytes))),
            sync_count: SyncCount::new(seen.map_or(stored, u64::from)).unwrap(),
            key,
            device_modified: None,
        });
    }
    patches
}
