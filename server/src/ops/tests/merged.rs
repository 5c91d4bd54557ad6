//! Datasets of another identity that were merged, as listings tell of them.

use serde_json::{Value, json};
use syncline_engine::{Proposal, Wish};

use super::*;
use crate::site::merged;

/// Merges as the identity side does: all in one proposal.
async fn merge(fixture: &Fixture, winner: &User<'_>, loser: &User<'_>) {
    let id = |id: &str| stored::Id::parse(id).unwrap();
    let (pool, from, to) = (id(&winner.pool), id(&loser.identity), id(&winner.identity));
    let site = &fixture.site;
    let (read_pool, read_from, read_to) = (pool.clone(), from.clone(), to.clone());
    let read = site
        .store
        .read(move |reader| merged::wishes(reader, &read_pool, &read_to, &read_from));
    let mut wishes = read.await.unwrap();
    let reader = site.store.engine().resident_reader();
    let keys = stored::keys_of_identity(&reader, pool.uuid, from.uuid);
    wishes.extend(keys.into_iter().map(|key| Wish::DeleteMetadata {
        key,
        expected: Expected::Anything,
    }));
    let key = stored::identity_key(pool.uuid, to.uuid);
    let winner_record = site.load::<stored::IdentityRecord>(key.clone()).await;
    let (record, version) = winner_record.unwrap().unwrap();
    wishes.push(Wish::PutMetadata {
        key,
        value: stored::encode(&record).unwrap(),
        expected: Expected::Version(version),
    });
    wishes.push(Wish::DeleteIdentity {
        pool: PoolId::parse(&winner.pool).unwrap(),
        identity: IdentityId::parse(&loser.identity).unwrap(),
    });
    let proposal = Proposal {
        wishes,
        ..Proposal::default()
    };
    site.store.commit(proposal).await.unwrap();
}

async fn names(user: &User<'_>, dataset: &str) -> Value {
    user.list(dataset, "").await.unwrap()["MergedDatasetNames"].clone()
}

#[tokio::test]
async fn merged_datasets_are_told_of_until_they_are_deleted() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (winner, loser) = (fixture.guest(&pool).await, fixture.guest(&pool).await);
    winner
        .update("saves", json!([replace("k", "w", 0)]))
        .await
        .unwrap();
    for (dataset, value) in [("saves", "1"), ("settings", "2")] {
        loser
            .update(dataset, json!([replace("k", value, 0)]))
            .await
            .unwrap();
        loser
            .update(dataset, json!([replace("l", value, 0), remove("k", 1)]))
            .await
            .unwrap();
    }
    merge(&fixture, &winner, &loser).await;
    let saves = format!("saves.{}", loser.identity);
    let settings = format!("settings.{}", loser.identity);
    assert_eq!(names(&winner, "saves").await, json!([saves]));
    let root = winner.list("settings", "").await.unwrap();
    assert_eq!(root["DatasetExists"], false);
    assert_eq!(root["MergedDatasetNames"], json!([settings]));
    assert_eq!(names(&winner, &saves).await, Value::Null);
    let list = winner.list(&saves, "").await.unwrap();
    assert_eq!(list["DatasetSyncCount"], 1);
    assert_eq!(list["LastModifiedBy"], loser.identity);
    assert_eq!(list["Count"], 1);
    assert_eq!(list["Records"][0]["Key"], "l");
    assert_eq!(list["Records"][0]["SyncCount"], 1);
    assert!(loser.list("saves", "").await.is_err());

    winner
        .update("saves", json!([replace("k", "w", 1)]))
        .await
        .unwrap();
    winner
        .call("DeleteDataset", "saves", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(
        names(&winner, "saves").await,
        json!([saves]),
        "the root may go first"
    );
    winner
        .call("DeleteDataset", &saves, "", Value::Null)
        .await
        .unwrap();
    assert_eq!(names(&winner, "saves").await, Value::Null);
    assert_eq!(names(&winner, "settings").await, json!([settings]));
    winner
        .update(&saves, json!([replace("k", "again", 0)]))
        .await
        .unwrap();
    assert_eq!(
        names(&winner, "saves").await,
        Value::Null,
        "an ordinary dataset now"
    );
}

#[tokio::test]
async fn what_was_merged_before_stays_told_of_under_its_root() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (first, second) = (fixture.guest(&pool).await, fixture.guest(&pool).await);
    let winner = fixture.guest(&pool).await;
    first
        .update("saves", json!([replace("k", "1", 0)]))
        .await
        .unwrap();
    second
        .update("saves", json!([replace("k", "2", 0)]))
        .await
        .unwrap();
    merge(&fixture, &second, &first).await;
    merge(&fixture, &winner, &second).await;
    let one = format!("saves.{}", second.identity);
    let two = format!("saves.{}.{}", first.identity, second.identity);
    let mut both = vec![one, two.clone()];
    both.sort_unstable();
    assert_eq!(names(&winner, "saves").await, json!(both));
    assert_eq!(
        names(&winner, &format!("saves.{}", first.identity)).await,
        Value::Null
    );
    assert_eq!(
        winner.list(&two, "").await.unwrap()["Records"][0]["Value"],
        "1"
    );
    let uuid = |id: &str| stored::Id::parse(id).unwrap().uuid;
    let reader = fixture.site.store.engine().resident_reader();
    for gone in [&first, &second] {
        let prefix = stored::merged_prefix(uuid(&pool), uuid(&gone.identity));
        assert!(reader.scan_keys(&prefix, None, 10).is_empty());
    }
}

#[tokio::test]
async fn a_name_that_was_ever_used_gets_a_number() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (winner, loser) = (fixture.guest(&pool).await, fixture.guest(&pool).await);
    let long = "n".repeat(128);
    for dataset in ["saves", &long] {
        loser
            .update(dataset, json!([replace("k", "v", 0)]))
            .await
            .unwrap();
    }
    let taken = format!("saves.{}", loser.identity);
    winner
        .update(&taken, json!([replace("k", "mine", 0)]))
        .await
        .unwrap();
    winner
        .call("DeleteDataset", &taken, "", Value::Null)
        .await
        .unwrap();
    let second = format!("{taken}.2");
    winner
        .update(&second, json!([replace("k", "mine", 0)]))
        .await
        .unwrap();
    merge(&fixture, &winner, &loser).await;
    assert_eq!(names(&winner, "saves").await, json!([format!("{taken}.3")]));
    assert_eq!(
        winner.list(&taken, "").await.unwrap()["DatasetExists"],
        false
    );
    let shortened = names(&winner, &long).await;
    let shortened = shortened[0].as_str().unwrap();
    assert_eq!(shortened.len(), 128);
    assert!(shortened.ends_with(&format!(".{}", loser.identity)));
    assert_eq!(winner.list(shortened, "").await.unwrap()["Count"], 1);
    winner
        .call("DeleteDataset", shortened, "", Value::Null)
        .await
        .unwrap();
    assert_eq!(names(&winner, &long).await, Value::Null);
}
