//! The text of the envelope, and what each change becomes.

use serde_json::{Value, json};
use syncline_engine::{
    Cursor, DatasetName, IdentityId, ModifiedBy, Note, PoolId, Record, RecordKey, RecordValue,
};

use super::*;

const STORE: Uuid = Uuid::from_u128(0x5b1b_d5d6);

fn dataset(name: &str) -> DatasetId {
    DatasetId {
        pool: PoolId::parse("us-east-1:aa").unwrap(),
        identity: IdentityId::parse("us-east-1:bb").unwrap(),
        name: DatasetName::parse(name).unwrap(),
    }
}

fn time(ms: u64) -> Timestamp {
    Timestamp::new(ms).unwrap()
}

fn count(number: u64) -> SyncCount {
    SyncCount::new(number).unwrap()
}

fn record(key: &str, value: Option<&str>, sync_count: u64) -> Record {
    Record {
        key: RecordKey::parse(key).unwrap(),
        value: value.map(|value| RecordValue::parse(value).unwrap()),
        sync_count: count(sync_count),
        modified: time(1000 + sync_count),
        modified_by: ModifiedBy::Owner,
        device_modified: time(900),
    }
}

fn commit(changes: Vec<FeedChange>) -> FeedCommit {
    FeedCommit {
        cursor: Cursor {
            store: STORE,
            sequence: Sequence::new(70),
        },
        time: time(5000),
        note: Note::default(),
        changes,
    }
}

fn updated(records: &[Record]) -> FeedChange {
    FeedChange::Updated {
        dataset: dataset("saves"),
        sync_count: count(7),
        modified_by: ModifiedBy::Owner,
        records: records[..].try_into().unwrap(),
    }
}

fn inline(event: &Event) -> String {
    let link = |_: &EventId| panic!("it fits");
    String::from_utf8(event.envelope(INLINE_BYTES_MAX, link)).unwrap()
}

#[test]
fn the_envelope_is_spelled_as_consumers_read_it() {
    let records = vec![
        record("a", Some("\u{e4}\""), 7),
        record("b", None, 7),
        record("c", Some(""), 7),
    ];
    let told = events(commit(vec![updated(&records)]));
    assert_eq!(told[0].partition_key(), "us-east-1:bb");
    assert_eq!(
        inline(&told[0]),
        "{\"identityPoolId\":\"us-east-1:aa\",\"identityId\":\"us-east-1:bb\",\
         \"dataSetName\":\"saves\",\"datasetName\":\"saves\",\"operation\":\"replace\",\
         \"kinesisSyncRecords\":[\
         {\"key\":\"a\",\"value\":\"\u{e4}\\\"\",\"syncCount\":7,\"lastModifiedDate\":1007,\
         \"deviceLastModifiedDate\":900,\"op\":\"replace\"},\
         {\"key\":\"b\",\"syncCount\":7,\"lastModifiedDate\":1007,\
         \"deviceLastModifiedDate\":900,\"op\":\"remove\"},\
         {\"key\":\"c\",\"value\":\"\",\"syncCount\":7,\"lastModifiedDate\":1007,\
         \"deviceLastModifiedDate\":900,\"op\":\"replace\"}],\
         \"payloadType\":\"Inline\",\"lastModifiedDate\":1007,\"syncCount\":7,\
         \"eventId\":\"00000000-0000-0000-0000-00005b1bd5d6-70-0\"}"
    );
}

#[test]
fn a_deletion_has_neither_records_nor_a_link() {
    let deleted = FeedChange::DeletedDataset {
        dataset: dataset("saves"),
        sync_count: count(8),
        modified_by: ModifiedBy::Owner,
    };
    let told = events(commit(vec![deleted]));
    let envelope: Value = serde_json::from_str(&inline(&told[0])).unwrap();
    assert_eq!(
        envelope,
        json!({
            "identityPoolId": "us-east-1:aa", "identityId": "us-east-1:bb",
            "dataSetName": "saves", "datasetName": "saves", "operation": "remove",
            "payloadType": "Inline", "lastModifiedDate": 5000, "syncCount": 8,
            "eventId": format!("{STORE}-70-0"),
        })
    );
}

#[test]
fn what_is_published_again_holds_what_lives_at_the_counts_it_has() {
    let records = [
        record("a", Some("x"), 3),
        record("c", Some("z"), 5),
        record("b", None, 7),
    ];
    let whole = FeedChange::Whole {
        dataset: dataset("saves"),
        sync_count: count(7),
        modified_by: ModifiedBy::Owner,
        records: records[..].try_into().unwrap(),
    };
    let told = events(commit(vec![whole]));
    let envelope: Value = serde_json::from_str(&inline(&told[0])).unwrap();
    assert_eq!(envelope["operation"], "replace");
    assert_eq!(envelope["whole"], true);
    assert_eq!(envelope["syncCount"], 7);
    assert_eq!(
        envelope["lastModifiedDate"], 1007,
        "its tombstone is newest"
    );
    let records = envelope["kinesisSyncRecords"].as_array().unwrap();
    let keys: Vec<_> = records.iter().map(|record| &record["key"]).collect();
    assert_eq!(keys, ["a", "c"]);
}

#[test]
fn a_deleted_identity_is_the_deletion_of_each_dataset_and_a_deleted_pool_is_nothing() {
    let DatasetId { pool, identity, .. } = dataset("x");
    let gone = FeedChange::DeletedIdentity {
        pool,
        identity,
        datasets: vec![
            (dataset("a").name, count(4)),
            (dataset("b").name, SyncCount::MAX),
        ],
    };
    let changes = vec![
        updated(&[record("a", Some("x"), 7)]),
        gone,
        FeedChange::DeletedPool { pool },
    ];
    let told = events(commit(changes));
    let seen: Vec<_> = told
        .iter()
        .map(|event| {
            let name = event.dataset.name.as_str();
            (event.id.index, name, event.sync_count.get(), event.is_last)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, "saves", 7, false),
            (1, "a", 5, false),
            (2, "b", SyncCount::MAX.get(), true)
        ]
    );
    assert_eq!(told[1].told, Told::Deleted);
    let pool_gone = commit(vec![FeedChange::DeletedPool { pool }]);
    assert_eq!(events(pool_gone), []);
}

#[test]
fn what_does_not_fit_with_its_key_carries_a_link() {
    let told = events(commit(vec![updated(&[record("a", Some("x"), 7)])]));
    let event = &told[0];
    let length = inline(event).len() + event.partition_key().len();
    let link = |id: &EventId| format!("http://here/{id}");
    let fits = event.envelope(length, link);
    assert_eq!(fits, inline(event).as_bytes());
    for room in [length - 1, 1, 0] {
        let linked: Value = serde_json::from_slice(&event.envelope(room, link)).unwrap();
        assert_eq!(linked["payloadType"], "S3Url");
        let url = format!("http://here/{STORE}-70-0");
        assert_eq!(linked["kinesisSyncRecordsURL"], url);
        assert!(linked.get("kinesisSyncRecords").is_none());
        assert_eq!(linked["syncCount"], 7);
    }
    let records: Value = serde_json::from_slice(&event.records_json()).unwrap();
    let envelope: Value = serde_json::from_str(&inline(event)).unwrap();
    assert_eq!(records, envelope["kinesisSyncRecords"]);
}

#[test]
fn escaping_counts() {
    let value = "\u{1}".repeat(INLINE_BYTES_MAX / 6);
    let told = events(commit(vec![updated(&[record("a", Some(&value), 7)])]));
    let linked = told[0].envelope(INLINE_BYTES_MAX, |_| "link".into());
    assert!(linked.len() < 1000);
    assert!(told[0].envelope(usize::MAX, |_| "link".into()).len() > INLINE_BYTES_MAX);
}
