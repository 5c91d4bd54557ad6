//! Golden bytes of every stored form: a change here is a change of the format.

mod belongings;
mod former;
mod settings;

use syncline_engine::Sequence;

use super::*;

const POOL_UUID: Uuid = Uuid::from_u128(0x1111_2222_3333_4444_8555_6666_7777_8888);
const IDENTITY_UUID: Uuid = Uuid::from_u128(0xaaaa_bbbb_cccc_4ddd_8eee_ffff_0000_1111);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stored(value: MetadataValue) -> Metadata {
    let key = MetadataKey::new(*b"key").unwrap();
    Metadata {
        key,
        version: Sequence::new(1),
        value,
    }
}

fn golden<T: Encode + Decode<()> + PartialEq + std::fmt::Debug>(record: &T, bytes: &str) {
    let value = encode(record).unwrap();
    assert_eq!(hex(value.as_bytes()), bytes);
    assert_eq!(decode::<T>(&stored(value)).as_ref(), Ok(record));
}

fn login() -> Login {
    Login {
        provider: "login.game".to_owned(),
        user: "ann".to_owned(),
    }
}

#[test]
fn keys_are_pinned() {
    let pool = Id {
        region: "us-east-1".to_owned(),
        uuid: POOL_UUID,
    };
    let p = "11112222333344448555666677778888";
    let i = "aaaabbbbcccc4ddd8eeeffff00001111";
    assert_eq!(
        hex(pool_key(&pool).as_bytes()),
        format!("01{p}75732d656173742d31")
    );
    assert_eq!(pool_of(&pool_key(&pool)), Some(pool));
    assert_eq!(
        hex(identity_key(POOL_UUID, IDENTITY_UUID).as_bytes()),
        format!("02{p}{i}")
    );
    assert_eq!(
        first_uuid(&identity_key(POOL_UUID, IDENTITY_UUID)),
        Some(POOL_UUID)
    );
    assert_eq!(hex(home_key(IDENTITY_UUID).as_bytes()), format!("03{i}"));
    assert_eq!(hex(sessions_key(POOL_UUID).as_bytes()), format!("05{p}"));
    let key = login_key(POOL_UUID, &login());
    assert_eq!(hex(&key.as_bytes()[..17]), format!("04{p}"));
    assert_eq!(
        hex(&key.as_bytes()[17..]),
        "686910b4d4b95696a326410152d8cbb9c21bc75c093d9dadbb92d4e3078b731e"
    );
    assert_eq!(pool_of(&home_key(IDENTITY_UUID)), None);
}

#[test]
fn values_are_pinned() {
    golden(
        &SessionsRecord { opened: 258 },
        "01240c20150201000000000000",
    );
    golden(
        &LoginRecord {
            identity: *IDENTITY_UUID.as_bytes(),
        },
        "011066c405aaaabbbbcccc4ddd8eeeffff00001111",
    );
    let home = HomeRecord {
        pool: *POOL_UUID.as_bytes(),
        region: "eu".to_owned(),
    };
    golden(
        &home,
        "0109020c4d1111222233334444855566667777888802000000000000006575",
    );
    let identity = IdentityRecord {
        created_ms: 1,
        modified_ms: 2,
        logins: vec![login()],
        orphaned: false,
    };
    golden(
        &identity,
        "01b8f765380100000000000000020000000000000001000000000000000a000000000000006c6f67\
         696e2e67616d650300000000000000616e6e00",
    );
    let pool = PoolRecord {
        name: "p".to_owned(),
        allow_guests: true,
        allow_classic_flow: Some(false),
        developer_provider: Some("login.game".to_owned()),
        login_providers: vec![("a".to_owned(), "b".to_owned())],
        open_id_connect: vec!["c".to_owned()],
        user_pools: vec![UserPool {
            provider: Some("d".to_owned()),
            client: None,
            token_check: Some(true),
        }],
        saml: vec![],
        tags: vec![("e".to_owned(), "f".to_owned())],
        created_ms: 3,
    };
    golden(
        &pool,
        "0142095184010000000000000070010100010a000000000000006c6f67696e2e67616d6501000000\
         00000000010000000000000061010000000000000062010000000000000001000000000000006301\
         00000000000000010100000000000000640001010000000000000000010000000000000001000000\
         00000000650100000000000000660300000000000000",
    );
}

#[test]
fn every_damaged_byte_is_noticed() {
    let identity = IdentityRecord {
        created_ms: 1,
        modified_ms: 2,
        logins: vec![login()],
        orphaned: false,
    };
    let good = encode(&identity).unwrap().as_bytes().to_vec();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 0x20;
        let bad = stored(MetadataValue::new(bad).unwrap());
        assert!(decode::<IdentityRecord>(&bad).is_err(), "at {place}");
        let short = stored(MetadataValue::new(good[..place].to_vec()).unwrap());
        assert!(decode::<IdentityRecord>(&short).is_err(), "at {place}");
    }
}

#[test]
fn a_value_that_is_too_large_is_not_laid_out() {
    let name = "n".repeat(METADATA_VALUE_BYTES_MAX);
    assert_eq!(
        encode(&PoolRecord {
            name,
            ..PoolRecord::default()
        }),
        None
    );
}

#[test]
fn only_ids_as_they_are_given_out_are_ids() {
    let id = Id::new("us-east-1");
    assert_eq!(Id::parse(&id.to_string()), Some(id));
    for text in [
        "us-east-1",
        "us-east-1:",
        "us-east-1:aaaabbbbcccc4ddd8eeeffff00001111",
        "us-east-1:AAAABBBB-CCCC-4DDD-8EEE-FFFF00001111",
        "us-east-1:{aaaabbbb-cccc-4ddd-8eee-ffff00001111}",
    ] {
        assert_eq!(Id::parse(text), None, "{text}");
    }
}
