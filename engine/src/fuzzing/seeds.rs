//! What the corpora begin with: small stores, and the pieces of their files.

use std::sync::Arc;

use super::decoders::SEGMENT_HEADER_BYTES;
use super::directory::{input, options};
use crate::disk::SimDisk;
use crate::engine::Engine;
use crate::frame::HEADER_BYTES;
use crate::limits::METADATA_KEY_BYTES_MAX;
use crate::proposal::{Proposal, Wish};
use crate::record::RecordRef;
use crate::segment::{self, FRAMES_OFFSET};
use crate::types::{
    DatasetId, DatasetName, Expected, IdentityId, MetadataKey, MetadataValue, ModifiedBy, Note,
    Patch, PatchOp, PoolId, RecordKey, RecordValue, SyncCount, Timestamp,
};
use crate::{checkpoint, root};

fn dataset(number: u8) -> DatasetId {
    let pools = [
        "us-east-1:00112233-4455-6677-8899-aabbccddeeff",
        "local:a-1",
    ];
    let identity = format!(
        "us-east-1:0000000{}-0000-4000-8000-00000000000a",
        number % 3
    );
    DatasetId {
        pool: PoolId::parse(pools[usize::from(number % 2)]).expect("it is one"),
        identity: IdentityId::parse(&identity).expect("it is one"),
        name: DatasetName::parse(&format!("data-{number}")).expect("it is one"),
    }
}

fn patch(key: &str, value: Option<&str>, seen: u64) -> Patch {
    Patch {
        key: RecordKey::believed(key),
        op: value.map_or(PatchOp::Remove, |value| {
            PatchOp::Replace(RecordValue::believed(value))
        }),
        sync_count: SyncCount::believed(seen),
        device_modified: None,
    }
}

fn update(number: u8, patches: Vec<Patch>) -> Wish {
    let modified_by = match number % 2 {
        0 => ModifiedBy::Owner,
        _ => ModifiedBy::other("a device").expect("it is short"),
    };
    let dataset = dataset(number);
    Wish::Update {
        dataset,
        patches,
        modified_by,
    }
}

/// Every wish once at least.
fn proposals() -> Vec<Proposal> {
    let key = |text: &str| MetadataKey::new(text.as_bytes()).expect("it is one");
    let put = |name: &str| Wish::PutMetadata {
        key: key(name),
        value: MetadataValue::new(name.repeat(9).into_bytes()).expect("it is short"),
        expected: Expected::Anything,
    };
    let long = "long ".repeat(60);
    let mut wishes = vec![
        vec![update(
            0,
            vec![patch("a", Some("1"), 0), patch("b", Some(&long), 0)],
        )],
        vec![update(
            0,
            vec![patch("a", None, 1), patch("c", Some(&long), 0)],
        )],
        vec![update(0, vec![patch("b", Some(&long), 1)]), put("one")],
        vec![update(1, vec![patch("ä", Some("ö"), 0)]), put("two")],
        vec![update(2, vec![patch("x", Some(""), 0)])],
        vec![update(3, vec![patch("x", Some(&long), 0)])],
        vec![Wish::CopyDataset {
            from: dataset(0),
            to: dataset(4),
        }],
        vec![Wish::Rewrite {
            dataset: dataset(0),
        }],
        vec![Wish::Republish {
            dataset: dataset(0),
        }],
        vec![Wish::DeleteDataset {
            dataset: dataset(1),
            modified_by: ModifiedBy::Owner,
        }],
        vec![Wish::DeleteIdentity {
            pool: dataset(2).pool,
            identity: dataset(2).identity,
        }],
        vec![Wish::DeleteMetadata {
            key: key("one"),
            expected: Expected::Something,
        }],
        vec![Wish::DeletePool {
            pool: dataset(3).pool,
        }],
    ];
    wishes.push(vec![update(0, vec![patch("d", Some("after"), 0)])]);
    let note = Note::new(*b"note").expect("it is short");
    let proposal = |wishes| Proposal {
        note: note.clone(),
        wishes,
        ..Proposal::default()
    };
    wishes.into_iter().map(proposal).collect()
}

/// A store on a disk of its own.
fn store(use_it: impl FnOnce(&Engine)) -> SimDisk {
    let disk = SimDisk::new(7);
    let engine = Engine::open_on(Arc::new(disk.clone()), options());
    use_it(&engine.expect("nothing makes this disk fail"));
    disk
}

fn fill(engine: &Engine) {
    for proposal in proposals() {
        engine.commit(proposal).expect("it fits");
    }
}

fn closed() -> SimDisk {
    store(fill)
}

/// Cleaned half-way, so that a part of it lives in cold segments.
fn cleaned() -> SimDisk {
    store(|engine| {
        for proposal in proposals().into_iter().take(9) {
            engine.commit(proposal).expect("it fits");
        }
        engine.purge().expect("nothing makes this disk fail");
        for proposal in proposals().into_iter().skip(9) {
            engine.commit(proposal).expect("it fits");
        }
    })
}

/// As a killed process leaves it.
fn killed() -> SimDisk {
    let disk = SimDisk::new(8);
    let engine = Engine::open_on(Arc::new(disk.clone()), options());
    fill(&engine.expect("nothing makes this disk fail"));
    let engine = Engine::open_on(Arc::new(disk.clone()), options());
    let engine = engine.expect("it was closed");
    let late = update(5, vec![patch("late", Some("late"), 0)]);
    engine.commit(Proposal::from(late)).expect("it fits");
    disk.restart()
}

pub(super) fn directories() -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = [closed(), cleaned(), killed()].iter().map(input).collect();
    seeds.push(input(&store(|_| {})));
    seeds
}

fn files(suffix: &str) -> Vec<Vec<u8>> {
    let disks = [closed(), cleaned(), killed()];
    let of = |disk: &SimDisk| -> Vec<_> {
        let paths = disk.files().into_iter();
        let paths = paths.filter(|path| path.to_string_lossy().ends_with(suffix));
        paths.filter_map(|path| disk.live_bytes(path)).collect()
    };
    disks.iter().flat_map(of).collect()
}

/// The first segments of logs, without the zeros behind the header and the last frame.
pub(super) fn segments() -> Vec<Vec<u8>> {
    let mut segments = files("/00000001.log");
    for bytes in &mut segments {
        let end = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
        bytes.truncate(end.next_multiple_of(8));
        bytes.drain(SEGMENT_HEADER_BYTES..bytes.len().min(FRAMES_OFFSET as usize));
    }
    segments
}

pub(super) fn checkpoints() -> Vec<Vec<u8>> {
    let mut files = files(".ckp");
    for bytes in &mut files {
        // Its number stands behind the lineage in the first block.
        bytes[36..40].copy_from_slice(&1u32.to_le_bytes());
        super::seal::checkpoint(
            bytes,
            super::Mode {
                sealed: true,
                chained: false,
            },
        );
    }
    files
}

pub(super) fn roots() -> Vec<Vec<u8>> {
    files(root::NAME)
}

/// Frames of the first segments: salt, header, payload.
fn frames() -> Vec<([u8; 8], Vec<u8>, Vec<u8>)> {
    let mut frames = Vec::new();
    for bytes in segments() {
        let mut salt = [0; 8];
        salt.copy_from_slice(&bytes[56..64]);
        let mut rest = &bytes[SEGMENT_HEADER_BYTES..];
        while let Some((header, behind)) = rest.split_first_chunk::<HEADER_BYTES>() {
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            frames.push((salt, header.to_vec(), behind[..length].to_vec()));
            let whole = (HEADER_BYTES + length).next_multiple_of(8);
            rest = &rest[whole.min(rest.len())..];
        }
    }
    frames
}

pub(super) fn headers() -> Vec<Vec<u8>> {
    let frames = frames().into_iter().take(4);
    frames
        .map(|(salt, header, _)| [&salt[..], &header].concat())
        .collect()
}

pub(super) fn payloads() -> Vec<Vec<u8>> {
    let mut payloads: Vec<_> = frames()
        .into_iter()
        .map(|(_, _, payload)| payload)
        .collect();
    payloads.retain(|payload| !payload.is_empty());
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}

pub(super) fn records() -> Vec<Vec<u8>> {
    let run = |records: &[RecordRef<'_>]| {
        let mut bytes = vec![u8::try_from(records.len()).expect("they are few")];
        records.iter().for_each(|record| record.encode(&mut bytes));
        bytes
    };
    let live = RecordRef {
        key: "key".into(),
        value: Some("value".into()),
        sync_count: SyncCount::believed(3),
        modified: Timestamp::believed(4),
        modified_by: None,
        device_modified: Timestamp::believed(5),
    };
    let removed = RecordRef {
        key: "removed".into(),
        value: None,
        modified_by: Some("a device".into()),
        ..live
    };
    vec![run(&[]), run(&[live]), run(&[live, removed])]
}

pub(super) fn names() -> Vec<Vec<u8>> {
    let mut stored = Vec::new();
    crate::commit::names::encode_dataset_id(&mut stored, &dataset(0));
    let mut other = Vec::new();
    crate::commit::names::encode_dataset_id(&mut other, &dataset(1));
    let files = [segment::path(1), checkpoint::path(2)];
    let files = files.iter().filter_map(|path| path.file_name());
    let files = files.map(|name| name.to_string_lossy().into_owned().into_bytes());
    let texts = [
        dataset(0).pool.to_string(),
        dataset(1).pool.to_string(),
        "x".repeat(METADATA_KEY_BYTES_MAX),
    ];
    let mut names: Vec<_> = texts.map(String::into_bytes).into();
    names.extend(files);
    names.extend([stored, other]);
    names
}
