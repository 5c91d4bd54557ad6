//! Who is let in, and for how long.

use std::future::Future;
use std::pin::pin;
use std::task::Waker;

use serde_json::{Value, json};
use syncline_engine::{Proposal, Wish};

use super::*;

#[tokio::test]
async fn the_developer_acts_for_identities_that_exist() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let (developer, own) = (Caller::root("AKIAROOT"), user.labels("d"));
    let body = json!({
        "SyncSessionToken": user.token("d").await, "DeviceId": "ignored",
        "RecordPatches": [replace("k", "v", 0)],
    });
    let call = user.call_as(&developer, "UpdateRecords", &own, "", body.clone());
    assert_eq!(
        call.await.unwrap()["Records"][0]["LastModifiedBy"],
        "000000000000"
    );
    let nobody = "us-east-1:aaaabbbb-cccc-4ddd-8eee-ffff00001111";
    let no_identity = Labels {
        identity: nobody.to_owned(),
        ..user.labels("d")
    };
    let no_pool = Labels {
        pool: nobody.to_owned(),
        ..user.labels("d")
    };
    let other_region = user.identity.replace("us-east-1", "eu-west-1");
    let other_region = Labels {
        identity: other_region,
        ..user.labels("d")
    };
    for operation in [
        "UpdateRecords",
        "ListRecords",
        "DescribeDataset",
        "DeleteDataset",
    ] {
        for labels in [&no_identity, &no_pool, &other_region] {
            let call = user.call_as(&developer, operation, labels, "", body.clone());
            let error = call.await.unwrap_err();
            assert_eq!(error.kind.name(), "ResourceNotFoundException", "{labels:?}");
        }
    }
    let call = user.call_as(&developer, "ListRecords", &no_pool, "", Value::Null);
    assert_eq!(
        call.await.unwrap_err().message,
        format!("IdentityPool '{nobody}' not found")
    );
    let bad = Labels {
        pool: "UPPER:ABC".to_owned(),
        ..user.labels("a b")
    };
    let error = user
        .call_as(&developer, "ListRecords", &bad, "", Value::Null)
        .await
        .unwrap_err();
    assert!(
        error.message.starts_with("2 validation errors detected"),
        "{}",
        error.message
    );
    let other = fixture.guest(&pool).await;
    let call = user.call_as(&other.caller, "ListRecords", &own, "", Value::Null);
    assert_eq!(call.await.unwrap_err().kind.name(), "AccessDeniedException");
}

#[tokio::test]
async fn a_deleted_identity_is_out_at_once_and_its_data_do_not_come_back() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    let (id, identity) = (
        stored::Id::parse(&pool).unwrap(),
        stored::Id::parse(&user.identity).unwrap(),
    );
    // The target of a request that is on its way while the identity is deleted.
    let target = Target::find(&fixture.site, &user.labels("d")).unwrap();
    let key = stored::identity_key(id.uuid, identity.uuid);
    let wishes = vec![Wish::DeleteMetadata {
        key,
        expected: Expected::Something,
    }];
    let proposal = Proposal {
        wishes,
        ..Proposal::default()
    };
    fixture.site.store.commit(proposal).await.unwrap();
    let forbidden = access::forbidden(&user.identity);
    assert_eq!(user.list("d", "").await.unwrap_err(), forbidden);
    let body = json!({ "SyncSessionToken": token, "RecordPatches": [replace("k", "v", 0)] });
    let body = body.to_string();
    for (caller, expected) in [
        (&user.caller, forbidden),
        (&Caller::root("AKIAROOT"), no_identity(&user.identity)),
    ] {
        let late =
            update_records::update_records(&fixture.site, caller, &target, body.as_bytes()).await;
        assert_eq!(late.unwrap_err(), expected);
    }
    let late = datasets::delete_dataset(&fixture.site, &user.caller, &target).await;
    assert!(late.is_err());
    assert_eq!(fixture.site.store.engine().stats().datasets, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_session_does_one_update_however_many_try() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    let tries = (0..32).map(|n| {
        let (site, caller) = (fixture.site.clone(), user.caller.clone());
        let (labels, token) = (user.labels("d"), token.clone());
        tokio::spawn(async move {
            let patches = json!([replace(&format!("k{n}"), "v", 0)]);
            let body = json!({ "SyncSessionToken": token, "RecordPatches": patches }).to_string();
            let operation = SyncOperation::UpdateRecords;
            answer(&site, &caller, operation, &labels, "", body.as_bytes()).await
        })
    });
    let mut succeeded = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.unwrap() {
            Ok(_) => succeeded += 1,
            Err(error) => {
                // Those who were too many to wait.
                let name = error.kind.name();
                let refusals = ["InvalidParameterException", "TooManyRequestsException"];
                assert!(refusals.contains(&name), "{name}");
            }
        }
    }
    assert_eq!(succeeded, 1);
    assert_eq!(user.list("d", "").await.unwrap()["DatasetSyncCount"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_leaves_no_session_to_use_twice() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let token = user.token("d").await;
    {
        let mut first = pin!(user.update_with("d", &token, json!([replace("k", "v", 0)])));
        // One step, which hands the proposal to the log, and then nobody waits for the answer.
        let _ = first
            .as_mut()
            .poll(&mut std::task::Context::from_waker(Waker::noop()));
    }
    let second = user
        .update_with("d", &token, json!([replace("other", "v", 0)]))
        .await;
    assert_eq!(second.unwrap_err(), list_records::session_not_valid());
    let list = user.list("d", "").await.unwrap();
    assert_eq!(list["DatasetSyncCount"], 1);
    assert_eq!(list["Records"][0]["Key"], "k");
}

#[tokio::test]
async fn spent_sessions_and_counts_survive_a_restart() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let (identity, caller, spent, unspent) = {
        let user = fixture.guest(&pool).await;
        let (spent, unspent) = (user.token("d").await, user.token("d").await);
        user.update_with("d", &spent, json!([replace("k", "v", 0)]))
            .await
            .unwrap();
        (user.identity.clone(), user.caller.clone(), spent, unspent)
    };
    let fixture = fixture.restart().await;
    fixture.pass_ms(LIFE_MS / 2);
    let user = User {
        fixture: &fixture,
        pool,
        identity,
        caller,
    };
    let uuid = stored::Id::parse(&user.pool).unwrap().uuid;
    assert_eq!(fixture.site.counts.opened(uuid), 2);
    assert_eq!(fixture.site.sessions.len(), 1);
    let patches = json!([replace("k", "w", 1)]);
    assert!(
        user.update_with("d", &spent, patches.clone())
            .await
            .is_err()
    );
    user.update_with("d", &unspent, patches).await.unwrap();
}

#[test]
fn futures_stay_small() {
    let (fixture, body) = (Fixture::new(), Vec::new());
    let labels = Labels::default();
    let developer = Caller::root("AKIAROOT");
    let future = answer(
        &fixture.site,
        &developer,
        SyncOperation::ListRecords,
        &labels,
        "",
        &body,
    );
    assert!(size_of_val(&future) < 4096, "{}", size_of_val(&future));
}
