//! The format as bytes: what was written once must be read for ever, so a change of these lines is
//! a change of `docs/FORMAT.md` and of a version in it.

use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use crate::codec::Decoder;
use crate::commit::{Cause, Change, DatasetChange, Facts, Part, encode_head};
use crate::frame::{HEADER_BYTES, Header, Kind, Seed};
use crate::record::RecordRef;
use crate::records::Records;
use crate::segment::{FRAMES_OFFSET, NoFrame, Segment, SegmentHeader};
use crate::types::{
    DatasetId, DatasetName, IdentityId, Location, MetadataKey, MetadataValue, ModifiedBy, Note,
    PoolId, Sequence, SyncCount, Timestamp,
};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(value: u64) -> SyncCount {
    SyncCount::new(value).unwrap()
}

fn time(value: u64) -> Timestamp {
    Timestamp::new(value).unwrap()
}

fn dataset() -> DatasetId {
    DatasetId {
        pool: PoolId::parse("us-east-1:00112233-4455-6677-8899-aabbccddeeff").unwrap(),
        identity: IdentityId::parse("us-east-1:ffeeddcc-bbaa-9988-7766-554433221100").unwrap(),
        name: DatasetName::parse("ds").unwrap(),
    }
}

fn records() -> Records {
    let live = RecordRef {
        key: "k".into(),
        value: Some("value".into()),
        sync_count: count(3),
        modified: time(0x0102_0304_0506),
        modified_by: None,
        device_modified: time(7),
    };
    let tombstone = RecordRef {
        key: "gone".into(),
        value: None,
        sync_count: count(4),
        modified_by: Some("dev".into()),
        ..live
    };
    let mut bytes = Vec::new();
    live.encode(&mut bytes);
    tombstone.encode(&mut bytes);
    Records::decode(bytes.into(), 2).unwrap()
}

fn dataset_change(cause: Cause, covers_from: u64) -> Change {
    let link = Location {
        segment: 9,
        offset: 0x1000,
        change: 2,
    };
    Change::Dataset(DatasetChange {
        cause,
        dataset: dataset(),
        facts: Facts {
            sync_count: count(4),
            floor: count(1),
            bytes: 6,
            live: 1,
            tombstones: 1,
            tombstone_bytes: 4,
            created: time(5),
            modified: time(6),
            modified_by: ModifiedBy::other("dev").unwrap(),
            gap: None,
        },
        covers_from: count(covers_from),
        link: (covers_from > 0).then_some(link),
        image: None,
        records: records(),
    })
}

fn changes() -> Vec<(Change, &'static str)> {
    let DatasetId {
        pool,
        identity,
        name,
    } = dataset();
    let plain = PoolId::parse("local:a-1").unwrap();
    let key = MetadataKey::new(*b"key").unwrap();
    vec![
        (
            dataset_change(Cause::Update, 2),
            include_str!("golden/update.hex"),
        ),
        (
            dataset_change(Cause::Image, 0),
            include_str!("golden/image.hex"),
        ),
        (
            dataset_change(Cause::Republish, 0),
            include_str!("golden/republish.hex"),
        ),
        (
            Change::DatasetDeleted {
                dataset: dataset(),
                sync_count: count(5),
                modified_by: ModifiedBy::Owner,
            },
            include_str!("golden/dataset_deleted.hex"),
        ),
        (
            Change::IdentityDeleted {
                pool: plain,
                identity,
                datasets: vec![(name.clone(), count(8))],
            },
            include_str!("golden/identity_deleted.hex"),
        ),
        (
            Change::PoolDeleted { pool },
            include_str!("golden/pool_deleted.hex"),
        ),
        (
            Change::PoolImported {
                pool: plain,
                modified: time(6),
            },
            include_str!("golden/pool_imported.hex"),
        ),
        (
            Change::IdentityImported {
                pool,
                identity,
                modified: time(6),
                floor: count(7),
                deleted: vec![(name, count(8))],
            },
            include_str!("golden/identity_imported.hex"),
        ),
        (
            Change::MetadataPut {
                key: key.clone(),
                value: MetadataValue::new(&b"value"[..]).unwrap(),
            },
            include_str!("golden/metadata_put.hex"),
        ),
        (
            Change::MetadataDeleted { key },
            include_str!("golden/metadata_deleted.hex"),
        ),
    ]
}

#[test]
fn changes_have_these_bytes() {
    for (change, golden) in changes() {
        let mut bytes = Vec::new();
        change.encode(&mut bytes);
        assert_eq!(
            hex(&bytes),
            golden.split_whitespace().collect::<String>(),
            "{change:?}"
        );
    }
}

#[test]
fn a_payload_has_these_bytes_and_reads_as_what_was_written() {
    let note = Note::new(*b"note").unwrap();
    let mut payload = Vec::new();
    let all = changes();
    encode_head(
        &mut payload,
        time(0x0605_0403_0201),
        &note,
        u16::try_from(all.len()).unwrap(),
    );
    assert_eq!(
        hex(&payload),
        concat!("010203040506", "04", "6e6f7465", "0a00")
    );
    for (change, _) in &all {
        change.encode(&mut payload);
    }
    let part = Part::decode(&payload.into()).unwrap();
    assert_eq!((part.time, part.note), (time(0x0605_0403_0201), note));
    assert_eq!(
        part.changes,
        all.into_iter()
            .map(|(change, _)| change)
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_change_that_may_be_skipped_is_and_any_other_unknown_is_refused() {
    let payload = |kind: u8| {
        let mut payload = Vec::new();
        encode_head(&mut payload, time(1), &Note::default(), 1);
        payload.extend_from_slice(&[kind, 2, 0, 0, 0, 0xaa, 0xbb]);
        Part::decode(&payload.into())
    };
    assert_eq!(payload(0x80 | 42).unwrap().changes, [Change::Unknown]);
    assert!(payload(42).is_err());
}

fn header() -> Header {
    Header {
        kind: Kind::Commit,
        part: 1,
        parts: 2,
        sequence: Sequence::new(0x0102_0304_0506_0708),
        distance: 3,
        chain: 0xdead_beef,
        payload_len: 5,
        payload_checksum: crate::frame::payload_checksum(b"hello"),
    }
}

#[test]
fn a_frame_header_has_these_bytes() {
    let seed = Seed::new(0x1122_3344_5566_7788);
    let (bytes, checksum) = header().encode(&seed);
    assert_eq!(
        hex(&bytes),
        concat!(
            "5ca7",             // magic
            "01",               // kind: commit
            "01",               // version
            "05000000",         // payload length
            "0100",             // part
            "0200",             // parts
            "0807060504030201", // sequence
            "03000000",         // distance
            "efbeadde",         // chain
            "86a61036",         // payload checksum
            "965892b5",         // header checksum
        )
    );
    assert_eq!(Header::decode(&bytes, &seed).unwrap(), (header(), checksum));
    assert_eq!(header().frame_bytes(), 48);
    // The same bytes under another salt are no frame.
    assert!(Header::decode(&bytes, &Seed::new(1)).is_err());
}

fn segment_header() -> SegmentHeader {
    SegmentHeader {
        store: Uuid::from_bytes(*b"0123456789abcdef"),
        number: 7,
        base: Sequence::new(8),
        capacity: 1 << 26,
        salt: 9,
        chain: 10,
    }
}

#[test]
fn a_segment_header_has_these_bytes() {
    let bytes = segment_header().encode();
    assert_eq!(bytes.len(), FRAMES_OFFSET as usize);
    assert!(bytes[72..].iter().all(|&byte| byte == 0));
    assert_eq!(
        hex(&bytes[..72]),
        concat!(
            "53594e434c494e45",                 // magic: SYNCLINE
            "0100",                             // version
            "0100",                             // checksum: CRC-32
            "00000000",                         // reserved
            "30313233343536373839616263646566", // store
            "0700000000000000",                 // number
            "0800000000000000",                 // base
            "0000000400000000",                 // capacity
            "0900000000000000",                 // salt
            "0a000000",                         // chain
            "cc5c882d",                         // checksum
        )
    );
}

proptest! {
    /// Whatever passes the checksums by chance or malice, reading it answers.
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let bytes = Bytes::from(bytes);
        let _ = Part::decode(&bytes);
        let _ = RecordRef::decode(&mut Decoder::new(&bytes));
        for records in [0, 1, 5] {
            let _ = Records::decode(bytes.clone(), records);
        }
        if let Some(header) = bytes.first_chunk::<HEADER_BYTES>() {
            let _ = Header::decode(header, &Seed::new(0));
        }
    }

    /// A payload that was changed in one place reads as something else or not at all.
    #[test]
    fn changed_payloads_do_not_panic(at in 0usize..400, to in any::<u8>(), which in 0usize..8) {
        let mut payload = Vec::new();
        encode_head(&mut payload, time(1), &Note::default(), 1);
        changes()[which].0.encode(&mut payload);
        let at = at % payload.len();
        payload[at] = to;
        let _ = Part::decode(&payload.into());
    }

    #[test]
    fn a_frame_is_read_back_whole_or_not_at_all(payload in ".{0,300}", cut in 0usize..400) {
        let seed = Seed::new(9);
        let file = crate::disk::Disk::create(
            &crate::disk::SimDisk::new(1),
            std::path::Path::new("segment"),
        ).unwrap();
        let header = Header {
            payload_len: u32::try_from(payload.len()).unwrap(),
            payload_checksum: crate::frame::payload_checksum(payload.as_bytes()),
            ..header()
        };
        let mut bytes = header.encode(&seed).0.to_vec();
        bytes.extend_from_slice(payload.as_bytes());
        let whole = bytes.len();
        bytes.truncate(cut.min(whole));
        let parsed = Segment::new(segment_header(), file).parse(&bytes.into());
        match parsed {
            Ok(frame) => {
                prop_assert!(cut >= whole);
                prop_assert_eq!(&frame.payload[..], payload.as_bytes());
            }
            Err(NoFrame::Damaged(why)) => prop_assert!(false, "{}", why),
            Err(_) => prop_assert!(cut < whole),
        }
    }
}
