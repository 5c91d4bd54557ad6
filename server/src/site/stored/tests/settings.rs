//! Golden bytes of what is stored beside pools, identities and logins.

use super::*;

const DEVICE_UUID: Uuid = Uuid::from_u128(0x0123_4567_89ab_8def_8123_4567_89ab_cdef);
const P: &str = "11112222333344448555666677778888";
const I: &str = "aaaabbbbcccc4ddd8eeeffff00001111";

fn name(text: &str) -> syncline_engine::DatasetName {
    syncline_engine::DatasetName::parse(text).unwrap()
}

#[test]
fn keys_beside_a_pool_are_pinned() {
    for (key, kind) in [
        (configuration_key(POOL_UUID), "06"),
        (events_key(POOL_UUID), "07"),
        (bulk_publish_key(POOL_UUID), "08"),
        (doomed_key(POOL_UUID), "0c"),
        (stream_key(POOL_UUID), "0d"),
    ] {
        assert_eq!(hex(key.as_bytes()), format!("{kind}{P}"));
    }
}

#[test]
fn keys_beside_an_identity_are_pinned() {
    let device = device_key(POOL_UUID, IDENTITY_UUID, DEVICE_UUID);
    assert_eq!(
        hex(device.as_bytes()),
        format!("09{P}{I}0123456789ab8def8123456789abcdef")
    );
    assert_eq!(
        hex(&devices_prefix(POOL_UUID, IDENTITY_UUID)),
        format!("09{P}{I}")
    );
    assert_eq!(device_of(&device), Some(DEVICE_UUID));
    assert_eq!(device_of(&configuration_key(POOL_UUID)), None);
    let subscribers = subscribers_key(POOL_UUID, IDENTITY_UUID, &name("d.e"));
    assert_eq!(hex(subscribers.as_bytes()), format!("0a{P}{I}642e65"));
    let merged = merged_key(POOL_UUID, IDENTITY_UUID, &name("d"), &name("d.x"));
    let root = "18ac3e7343f016890c510e93f9352611";
    assert_eq!(hex(merged.as_bytes()), format!("0b{P}{I}{root}642e78"));
    assert_eq!(
        hex(&merged_prefix(POOL_UUID, IDENTITY_UUID)),
        format!("0b{P}{I}")
    );
    let reported = reported_prefix(POOL_UUID, IDENTITY_UUID, &name("d"));
    assert_eq!(hex(&reported), format!("0b{P}{I}{root}"));
    assert_eq!(merged_name(&merged), Some("d.x"));
    assert_eq!(merged_name(&device), None);
}

#[test]
fn the_longest_keys_fit() {
    let longest = name(&"n".repeat(128));
    assert_eq!(
        subscribers_key(POOL_UUID, IDENTITY_UUID, &longest)
            .as_bytes()
            .len(),
        161
    );
    let merged = merged_key(POOL_UUID, IDENTITY_UUID, &longest, &longest);
    assert_eq!(merged.as_bytes().len(), 177);
}

#[test]
fn settings_are_pinned() {
    let configuration = ConfigurationRecord {
        push: Some(Push {
            applications: vec!["a".to_owned()],
            role: Some("r".to_owned()),
        }),
        streams: Some(Streams {
            name: Some("s".to_owned()),
            role: None,
            status: Some(StreamingStatus::Disabled),
            disabled_reason: Some("w".to_owned()),
        }),
    };
    golden(
        &configuration,
        "0176f89a4b0101000000000000000100000000000000610101000000000000007201010100000000\
         0000007300010100000001010000000000000077",
    );
    golden(&ConfigurationRecord::default(), "0125b383fe0000");
    let events = EventsRecord {
        sync_trigger: "f".to_owned(),
    };
    golden(&events, "0166d3e2bf010000000000000066");
    let stream = StreamRecord {
        store: *POOL_UUID.as_bytes(),
        since: 258,
        enabled_ms: 3,
    };
    golden(
        &stream,
        "01788fb6cf1111222233334444855566667777888802010000000000000300000000000000",
    );
    let publish = |status| BulkPublishRecord {
        status,
        started_ms: 258,
        ended_ms: Some(3),
        failure: Some("w".to_owned()),
    };
    golden(
        &publish(BulkPublishStatus::InProgress),
        "01ca0669d900000000020100000000000001030000000000000001010000000000000077",
    );
    golden(
        &publish(BulkPublishStatus::Succeeded),
        "011bee8ed701000000020100000000000001030000000000000001010000000000000077",
    );
    golden(
        &publish(BulkPublishStatus::Failed),
        "0168d7a6c402000000020100000000000001030000000000000001010000000000000077",
    );
}

#[test]
fn devices_and_merges_are_pinned() {
    let device = |platform| DeviceRecord {
        platform,
        token: "t".to_owned(),
        registered_ms: 258,
    };
    golden(
        &device(Platform::Apns),
        "017380ba71000000000100000000000000740201000000000000",
    );
    golden(
        &device(Platform::ApnsSandbox),
        "01ed0360ee010000000100000000000000740201000000000000",
    );
    golden(
        &device(Platform::Gcm),
        "010e817e95020000000100000000000000740201000000000000",
    );
    golden(
        &device(Platform::Adm),
        "019002a40a030000000100000000000000740201000000000000",
    );
    assert_eq!(
        device(Platform::Gcm).id(IDENTITY_UUID).to_string(),
        "84385357-9279-810a-b44e-b598db4b76b1"
    );
    let subscribers = SubscribersRecord {
        devices: vec![*DEVICE_UUID.as_bytes()],
    };
    golden(
        &subscribers,
        "01a154b38b01000000000000000123456789ab8def8123456789abcdef",
    );
    let merged = MergedRecord {
        root: "d".to_owned(),
        identity: *IDENTITY_UUID.as_bytes(),
    };
    golden(
        &merged,
        "0184a41aa6010000000000000064aaaabbbbcccc4ddd8eeeffff00001111",
    );
}

#[test]
fn the_place_of_push_is_pinned() {
    assert_eq!(hex(push_cursor_key().as_bytes()), "16");
    let record = CursorRecord {
        store: [7; 16],
        sequence: 258,
    };
    golden(
        &record,
        "01350f172c070707070707070707070707070707070201000000000000",
    );
    assert_eq!(CursorRecord::from(record.cursor()), record);
}

#[test]
fn what_links_lead_to_is_pinned() {
    assert_eq!(hex(links_key().as_bytes()), "17");
    let record = LinksRecord {
        store: [7; 16],
        oldest: vec![(3_600_000, 258)],
    };
    golden(
        &record,
        concat!(
            "017174d5d007070707070707070707070707070707",
            "010000000000000080ee3600000000000201000000000000",
        ),
    );
}
