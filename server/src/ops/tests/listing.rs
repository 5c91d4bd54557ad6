//! Pages, counts out of reach, and figures.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn a_count_that_was_never_reached() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    for count in ["7", "281474976710656", "9223372036854775807"] {
        let query = format!("lastSyncCount={count}");
        assert_eq!(
            user.list("never", &query).await.unwrap()["DatasetExists"],
            false
        );
    }
    user.update("d", json!([replace("a", "1", 0)]))
        .await
        .unwrap();
    for count in ["2", "281474976710656", "9223372036854775807"] {
        let error = user
            .list("d", &format!("lastSyncCount={count}"))
            .await
            .unwrap_err();
        let message = format!("No such SyncCount: {count} exists for this Dataset");
        assert_eq!(error, ApiError::invalid_parameter(message));
    }
    let error = user.list("d", "lastSyncCount=-1").await.unwrap_err();
    assert!(
        error
            .message
            .starts_with("1 validation error detected: Value '-1'")
    );
}

#[tokio::test]
async fn pages_are_of_one_moment_and_work_without_the_session() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let patches: Vec<_> = (0..5).map(|n| replace(&format!("k{n}"), "v", 0)).collect();
    user.update("d", Value::Array(patches)).await.unwrap();
    let first = user
        .list("d", "maxResults=2&lastSyncCount=0")
        .await
        .unwrap();
    assert_eq!(first["Count"], 2);
    user.update(
        "d",
        json!([replace("k4", "later", 1), replace("new", "later", 0)]),
    )
    .await
    .unwrap();
    let counted = fixture
        .site
        .counts
        .opened(stored::Id::parse(&pool).unwrap().uuid);
    let mut keys = Vec::new();
    let mut page = first.clone();
    let mut pages = 1;
    loop {
        assert_eq!(page["DatasetSyncCount"], 1);
        assert_eq!(page["DatasetExists"], true);
        let records = page["Records"].as_array().unwrap();
        keys.extend(records.iter().map(|record| text(record, "Key")));
        let Some(next) = page.get("NextToken") else {
            break;
        };
        let query = format!(
            "lastSyncCount=0&maxResults=2&nextToken={}",
            next.as_str().unwrap()
        );
        page = user.list("d", &query).await.unwrap();
        pages += 1;
    }
    assert_eq!(pages, 2);
    assert_eq!(
        keys,
        ["k0", "k1", "k2", "k3"],
        "k4 has moved on; the next sync brings it"
    );
    let again = fixture
        .site
        .counts
        .opened(stored::Id::parse(&pool).unwrap().uuid);
    assert_eq!(again, counted, "later pages open no session");
    let token = text(&page, "SyncSessionToken");
    user.update_with("d", &token, json!([replace("k0", "x", 1)]))
        .await
        .unwrap();
    let first_token = text(&first, "SyncSessionToken");
    let error = user
        .update_with("d", &first_token, json!([replace("k1", "x", 1)]))
        .await;
    assert!(error.is_err(), "all pages are one session");
}

#[tokio::test]
async fn a_page_token_is_good_for_its_listing_only() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let patches: Vec<_> = (0..6).map(|n| replace(&format!("k{n}"), "v", 0)).collect();
    user.update("d", Value::Array(patches)).await.unwrap();
    let first = user
        .list("d", "maxResults=2&lastSyncCount=0")
        .await
        .unwrap();
    let next = text(&first, "NextToken");
    for query in [
        format!("nextToken={next}&lastSyncCount=1"),
        format!("nextToken={next}x"),
        "nextToken=x".to_owned(),
    ] {
        let error = user.list("d", &query).await.unwrap_err();
        assert_eq!(
            error.message, "NextToken not valid for these inputs",
            "{query}"
        );
    }
    assert!(
        user.list("other", &format!("nextToken={next}"))
            .await
            .is_err()
    );
    assert!(user.list("d", "maxResults=0").await.is_err());
    assert_eq!(user.list("d", "maxResults=5000").await.unwrap()["Count"], 6);
}

#[tokio::test]
async fn datasets_are_listed_in_pages() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let list = |query: String| {
        let user = &user;
        async move { user.call("ListDatasets", "", &query, Value::Null).await }
    };
    let empty = list(String::new()).await.unwrap();
    assert_eq!(empty, json!({ "Datasets": [], "Count": 0 }));
    for name in ["c", "a", "b:x"] {
        user.update(name, json!([replace("k", "v", 0)]))
            .await
            .unwrap();
    }
    let first = list("maxResults=2".to_owned()).await.unwrap();
    assert_eq!(first["Count"], 2);
    assert_eq!(first["Datasets"][1]["DatasetName"], "b:x");
    let next = text(&first, "NextToken");
    let second = list(format!("maxResults=2&nextToken={next}"))
        .await
        .unwrap();
    assert_eq!(second["Datasets"][0]["DatasetName"], "c");
    assert_eq!(second.get("NextToken"), None);
    let other = fixture.guest(&pool).await;
    let query = format!("nextToken={next}");
    assert!(
        other
            .call("ListDatasets", "", &query, Value::Null)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn usage_is_exact_for_identity_and_pool() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    let born = START_MS as f64 / 1000.0;
    let usage = user
        .call("DescribeIdentityUsage", "", "", Value::Null)
        .await
        .unwrap();
    let expected = json!({ "IdentityUsage": {
        "IdentityId": user.identity, "IdentityPoolId": pool, "LastModifiedDate": born,
        "DatasetCount": 0, "DataStorage": 0,
    }});
    assert_eq!(usage, expected);
    fixture.pass_ms(2000);
    user.update("d", json!([replace("k\u{e4}", "value", 0)]))
        .await
        .unwrap();
    let usage = user
        .call("DescribeIdentityUsage", "", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(usage["IdentityUsage"]["DataStorage"], 8);
    assert_eq!(usage["IdentityUsage"]["DatasetCount"], 1);
    assert_eq!(usage["IdentityUsage"]["LastModifiedDate"], born + 2.0);
    let mut pools = vec![pool.clone()];
    for _ in 0..11 {
        pools.push(fixture.pool().await);
    }
    let labels = Labels {
        pool: pool.clone(),
        ..Labels::default()
    };
    let developer = Caller::root("AKIAROOT");
    let usage = user.call_as(
        &developer,
        "DescribeIdentityPoolUsage",
        &labels,
        "",
        Value::Null,
    );
    let expected = json!({
        "IdentityPoolId": pool, "SyncSessionsCount": 1, "DataStorage": 8,
        "LastModifiedDate": born + 2.0,
    });
    assert_eq!(usage.await.unwrap()["IdentityPoolUsage"], expected);
    let mut found = Vec::new();
    let mut query = String::new();
    loop {
        let none = Labels::default();
        let page = user.call_as(
            &developer,
            "ListIdentityPoolUsage",
            &none,
            &query,
            Value::Null,
        );
        let page = page.await.unwrap();
        assert_eq!(page["MaxResults"], 10);
        let usages = page["IdentityPoolUsages"].as_array().unwrap();
        assert_eq!(page["Count"], usages.len());
        found.extend(usages.iter().map(|usage| text(usage, "IdentityPoolId")));
        let Some(next) = page.get("NextToken") else {
            break;
        };
        query = format!("nextToken={}", next.as_str().unwrap());
    }
    pools.sort();
    assert_eq!(found, pools);
}
