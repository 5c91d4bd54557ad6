//! Deleting identities and pools with all that belongs to them.

use syncline_engine::{DatasetName, Engine, Expected, Options, Proposal, Wish};

use super::*;

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn put(engine: &Engine, keys: &[MetadataKey]) {
    let value = encode(&()).unwrap();
    let wishes = keys.iter().map(|key| Wish::PutMetadata {
        key: key.clone(),
        value: value.clone(),
        expected: Expected::Nothing,
    });
    let wishes = wishes.collect();
    let proposal = Proposal {
        wishes,
        ..Proposal::default()
    };
    engine.commit(proposal).unwrap();
}

/// What an identity may have.
fn of_identity(pool: Uuid, identity: Uuid) -> Vec<MetadataKey> {
    let name = DatasetName::parse("d").unwrap();
    vec![
        identity_key(pool, identity),
        home_key(identity),
        device_key(pool, identity, id(7)),
        device_key(pool, identity, id(8)),
        subscribers_key(pool, identity, &name),
        merged_key(pool, identity, &name, &name),
    ]
}

/// What a pool may have beside itself.
fn of_pool(pool: Uuid) -> Vec<MetadataKey> {
    let former = id(pool.as_u128() * 100 + 50);
    let mut keys = vec![
        configuration_key(pool),
        events_key(pool),
        bulk_publish_key(pool),
        stream_cursor_key(pool),
        publishing_key(pool),
        stream_key(pool),
        sessions_key(pool),
        roles_key(pool),
        principal_tags_key(pool, "provider"),
        login_key(pool, &login()),
        // One that was merged into another one keeps its home.
        former_key(pool, former),
        home_key(former),
    ];
    for identity in 0..20 {
        keys.extend(of_identity(pool, id(pool.as_u128() * 100 + identity)));
    }
    keys
}

fn sorted(mut keys: Vec<MetadataKey>) -> Vec<MetadataKey> {
    keys.sort_unstable();
    keys
}

#[test]
fn all_that_an_identity_has_is_found_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), Options::default()).unwrap();
    put(&engine, &of_pool(id(1)));
    put(&engine, &of_pool(id(2)));
    let found = keys_of_identity(&engine.resident_reader(), id(1), id(105));
    assert_eq!(sorted(found), sorted(of_identity(id(1), id(105))));
}

#[test]
fn a_pool_goes_in_steps_and_another_stays() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Engine::open(directory.path(), Options::default()).unwrap();
    put(&engine, &of_pool(id(1)));
    put(&engine, &of_pool(id(2)));
    let mut gone = Vec::new();
    loop {
        let keys = keys_of_pool(&engine.resident_reader(), id(1), 10);
        if keys.is_empty() {
            break;
        }
        assert!(keys.len() <= 20, "homes come on top");
        gone.extend(keys.iter().cloned());
        let wishes = keys.into_iter().map(|key| Wish::DeleteMetadata {
            key,
            expected: Expected::Something,
        });
        let wishes = wishes.collect();
        let proposal = Proposal {
            wishes,
            ..Proposal::default()
        };
        engine.commit(proposal).unwrap();
    }
    assert_eq!(sorted(gone), sorted(of_pool(id(1))));
    let left = engine.resident_reader().scan_keys(&[], None, 1000);
    let left = left.into_iter().map(|(key, _)| key).collect();
    assert_eq!(sorted(left), sorted(of_pool(id(2))));
}
