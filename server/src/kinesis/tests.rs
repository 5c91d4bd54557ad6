//! The built-in stream, operation by operation.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::access::Developer;
use crate::config::Config;
use crate::fixture::{Fixture, START_MS, User, replace, text};

const SHARD: &str = "shardId-000000000000";

async fn ask_as(
    fixture: &Fixture,
    caller: &Caller,
    operation: KinesisOperation,
    body: Value,
) -> Result<Value, ApiError> {
    let body = body.to_string();
    let answer = answer(
        &fixture.site,
        caller,
        operation,
        Form::Json,
        body.as_bytes(),
    )
    .await?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

async fn ask(
    fixture: &Fixture,
    operation: KinesisOperation,
    body: Value,
) -> Result<Value, ApiError> {
    ask_as(fixture, &Caller::root("AKIAROOT"), operation, body).await
}

async fn stream(fixture: &Fixture, pool: &str, name: &str, status: &str) {
    let body = json!({ "CognitoStreams": { "StreamName": name, "StreamingStatus": status } });
    let set = fixture.sync("SetIdentityPoolConfiguration", pool, body);
    set.await.unwrap();
}

async fn iterator(fixture: &Fixture, rest: Value) -> Result<String, ApiError> {
    let mut body = json!({ "StreamName": "changes", "ShardId": SHARD });
    let members = rest.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(members);
    let answer = ask(fixture, KinesisOperation::GetShardIterator, body).await?;
    Ok(text(&answer, "ShardIterator"))
}

async fn records(fixture: &Fixture, iterator: &str) -> Result<Value, ApiError> {
    let body = json!({ "ShardIterator": iterator });
    ask(fixture, KinesisOperation::GetRecords, body).await
}

/// Datasets and sync counts that an answer tells of.
fn told(answer: &Value) -> Vec<(String, u64)> {
    let records = answer["Records"].as_array().unwrap().iter();
    let told = records.map(|record| {
        let data = STANDARD.decode(text(record, "Data")).unwrap();
        let envelope: Value = serde_json::from_slice(&data).unwrap();
        assert_eq!(envelope["identityId"], record["PartitionKey"]);
        let count = envelope["syncCount"].as_u64().unwrap();
        (text(&envelope, "datasetName"), count)
    });
    told.collect()
}

async fn put(user: &User<'_>, dataset: &str, count: u64) {
    let patch = replace("key", "value", count);
    user.update(dataset, json!([patch])).await.unwrap();
}

fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    let owned = pairs
        .iter()
        .map(|(name, count)| ((*name).to_owned(), *count));
    owned.collect()
}

#[tokio::test]
async fn every_kind_of_iterator_begins_where_it_says() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let user = fixture.guest(&pool).await;
    put(&user, "before", 0).await;
    stream(&fixture, &pool, "changes", "ENABLED").await;
    put(&user, "a", 0).await;
    fixture.pass_ms(1000);
    put(&user, "b", 0).await;
    let first = iterator(&fixture, json!({ "ShardIteratorType": "TRIM_HORIZON" }));
    let page = records(&fixture, &first.await.unwrap()).await.unwrap();
    assert_eq!(told(&page), pairs(&[("a", 1), ("b", 1)]));
    assert_eq!(page["MillisBehindLatest"], 0);
    let at = &page["Records"][0]["ApproximateArrivalTimestamp"];
    assert_eq!(at.as_f64().unwrap(), START_MS as f64 / 1000.0);
    let number = text(&page["Records"][0], "SequenceNumber");
    let latest = iterator(&fixture, json!({ "ShardIteratorType": "LATEST" }));
    let latest = latest.await.unwrap();
    put(&user, "c", 0).await;
    let number = |kind| json!({ "ShardIteratorType": kind, "StartingSequenceNumber": number });
    let time = |time| json!({ "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": time });
    for (body, expected) in [
        (number("AT_SEQUENCE_NUMBER"), 0),
        (number("AFTER_SEQUENCE_NUMBER"), 1),
        (time(1), 0),
        (time(START_MS / 1000 + 1), 1),
    ] {
        let found = iterator(&fixture, body.clone()).await.unwrap();
        let page = records(&fixture, &found).await.unwrap();
        let all = pairs(&[("a", 1), ("b", 1), ("c", 1)]);
        assert_eq!(told(&page), all[expected..], "{body}");
    }
    let page_after = records(&fixture, &latest).await.unwrap();
    assert_eq!(told(&page_after), pairs(&[("c", 1)]));
    // Nothing is told twice, and what comes later is told.
    let next = text(&page, "NextShardIterator");
    assert_eq!(
        told(&records(&fixture, &next).await.unwrap()),
        pairs(&[("c", 1)])
    );
    let next = text(&page_after, "NextShardIterator");
    assert_eq!(told(&records(&fixture, &next).await.unwrap()), []);
    user.call("DeleteDataset", "a", "", Value::Null)
        .await
        .unwrap();
    assert_eq!(
        told(&records(&fixture, &next).await.unwrap()),
        pairs(&[("a", 2)])
    );
}

#[tokio::test]
async fn a_stream_is_read_in_pieces_of_any_size() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    stream(&fixture, &pool, "changes", "ENABLED").await;
    let user = fixture.guest(&pool).await;
    for count in 0..7 {
        put(&user, "d", count).await;
    }
    let horizon = json!({ "ShardIteratorType": "TRIM_HORIZON" });
    for limit in [1, 2, 3, 7, 100] {
        let mut next = iterator(&fixture, horizon.clone()).await.unwrap();
        let (mut seen, mut last) = (Vec::new(), 0);
        while seen.len() < 7 {
            let body = json!({ "ShardIterator": next, "Limit": limit });
            let page = ask(&fixture, KinesisOperation::GetRecords, body)
                .await
                .unwrap();
            let told = told(&page);
            assert!((1..=limit).contains(&told.len()), "{limit}: {page}");
            seen.extend(told.into_iter().map(|(_, count)| count));
            let more = seen.len() < 7;
            assert_eq!(page["MillisBehindLatest"].as_u64().unwrap() > 0, more);
            for record in page["Records"].as_array().unwrap() {
                let number: u128 = text(record, "SequenceNumber").parse().unwrap();
                assert!(number > last);
                last = number;
            }
            next = text(&page, "NextShardIterator");
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    }
}

#[tokio::test]
async fn a_stream_is_all_pools_that_name_it_and_nothing_else() {
    let fixture = Fixture::new();
    let (one, two, other) = (
        fixture.pool().await,
        fixture.pool().await,
        fixture.pool().await,
    );
    stream(&fixture, &one, "changes", "ENABLED").await;
    stream(&fixture, &two, "changes", "ENABLED").await;
    stream(&fixture, &other, "other", "ENABLED").await;
    for (pool, dataset) in [(&one, "a"), (&other, "x"), (&two, "b")] {
        put(&fixture.guest(pool).await, dataset, 0).await;
    }
    let horizon = json!({ "ShardIteratorType": "TRIM_HORIZON" });
    let first = iterator(&fixture, horizon).await.unwrap();
    let page = records(&fixture, &first).await.unwrap();
    assert_eq!(told(&page), pairs(&[("a", 1), ("b", 1)]));
    stream(&fixture, &one, "changes", "DISABLED").await;
    put(&fixture.guest(&one).await, "c", 0).await;
    let body = json!({ "IdentityPoolId": two });
    fixture.identity("DeleteIdentityPool", body).await.unwrap();
    let error = records(&fixture, &first).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ResourceNotFound, "{error}");
    let names = ask(&fixture, KinesisOperation::ListStreams, json!({}))
        .await
        .unwrap();
    assert_eq!(names["StreamNames"], json!(["other"]));
}

#[tokio::test]
async fn streams_are_listed_and_described() {
    let sink = "[streams.sink]\ntype = \"file\"\npath = \"sink\"\n";
    let config: Config = toml::from_str(sink).unwrap();
    let fixture = Fixture::with(config, 1 << 20);
    for name in ["b", "a", "sink", "c", "not one of Kinesis"] {
        stream(&fixture, &fixture.pool().await, name, "ENABLED").await;
    }
    let list = |body| ask(&fixture, KinesisOperation::ListStreams, body);
    let all = list(json!({})).await.unwrap();
    assert_eq!(all["StreamNames"], json!(["a", "b", "c"]));
    assert_eq!(all["HasMoreStreams"], false);
    assert_eq!(all["StreamSummaries"][1]["StreamStatus"], "ACTIVE");
    let page = list(json!({ "Limit": 2 })).await.unwrap();
    assert_eq!(page["StreamNames"], json!(["a", "b"]));
    assert_eq!(page["HasMoreStreams"], true);
    let page = list(json!({ "NextToken": page["NextToken"] }))
        .await
        .unwrap();
    assert_eq!(page["StreamNames"], json!(["c"]));
    assert_eq!(
        list(json!({ "Limit": 0 })).await.unwrap_err().kind,
        ErrorKind::Validation
    );
    let arn = "arn:aws:kinesis:us-east-1:000000000000:stream/b";
    for body in [json!({ "StreamName": "b" }), json!({ "StreamARN": arn })] {
        let describe = ask(&fixture, KinesisOperation::DescribeStream, body.clone());
        let described = describe.await.unwrap();
        let described = &described["StreamDescription"];
        assert_eq!(described["StreamName"], "b");
        assert_eq!(described["StreamARN"], arn);
        assert_eq!(described["Shards"][0]["ShardId"], SHARD);
        assert_eq!(
            described["StreamCreationTimestamp"].as_f64(),
            Some(START_MS as f64 / 1000.0)
        );
        let shards = ask(&fixture, KinesisOperation::ListShards, body.clone())
            .await
            .unwrap();
        assert_eq!(shards["Shards"], described["Shards"]);
        let summary = ask(&fixture, KinesisOperation::DescribeStreamSummary, body).await;
        let summary = &summary.unwrap()["StreamDescriptionSummary"];
        assert_eq!(summary["OpenShardCount"], 1);
    }
    for (body, kind) in [
        (json!({}), ErrorKind::Validation),
        (json!({ "StreamName": "a b" }), ErrorKind::Validation),
        (json!({ "StreamName": "none" }), ErrorKind::ResourceNotFound),
        (json!({ "StreamName": "sink" }), ErrorKind::ResourceNotFound),
        (json!({ "StreamARN": "b" }), ErrorKind::InvalidArgument),
        (
            json!({ "StreamName": "a", "StreamARN": arn }),
            ErrorKind::InvalidArgument,
        ),
    ] {
        let error = ask(&fixture, KinesisOperation::DescribeStream, body.clone());
        assert_eq!(error.await.unwrap_err().kind, kind, "{body}");
    }
}

#[tokio::test]
async fn what_is_no_place_of_the_stream_is_refused_with_its_reason() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    stream(&fixture, &pool, "changes", "ENABLED").await;
    put(&fixture.guest(&pool).await, "a", 0).await;
    let horizon = json!({ "ShardIteratorType": "TRIM_HORIZON" });
    let first = iterator(&fixture, horizon.clone()).await.unwrap();
    let page = records(&fixture, &first).await.unwrap();
    let number: u128 = text(&page["Records"][0], "SequenceNumber").parse().unwrap();
    let at = |number: u128| {
        let (kind, number) = ("AT_SEQUENCE_NUMBER", number.to_string());
        iterator(
            &fixture,
            json!({ "ShardIteratorType": kind, "StartingSequenceNumber": number }),
        )
    };
    at(number).await.unwrap();
    for (number, words) in [
        (number ^ 1, "before the store was restored"),
        (
            number << 3 & !0xffff_ffff | number & 0xffff_ffff,
            "in the future",
        ),
        (1 << 127, "before the store was restored"),
    ] {
        let error = at(number).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument);
        assert!(error.message.contains(words), "{}", error.message);
    }
    for (body, kind) in [
        (json!({}), ErrorKind::Validation),
        (
            json!({ "ShardIteratorType": "NEWEST" }),
            ErrorKind::Validation,
        ),
        (
            json!({ "ShardIteratorType": "AT_TIMESTAMP" }),
            ErrorKind::InvalidArgument,
        ),
        (
            json!({ "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 9e9 }),
            ErrorKind::InvalidArgument,
        ),
        (
            json!({ "ShardIteratorType": "AT_SEQUENCE_NUMBER" }),
            ErrorKind::InvalidArgument,
        ),
        (
            json!({ "ShardIteratorType": "LATEST", "ShardId": "shardId-1" }),
            ErrorKind::ResourceNotFound,
        ),
    ] {
        let error = iterator(&fixture, body.clone()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{body}");
    }
    for forged in ["", "x", &first[..first.len() - 1]] {
        let error = records(&fixture, forged).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidArgument, "{forged}");
    }
    fixture.pass_ms(300_000);
    records(&fixture, &first).await.unwrap();
    fixture.pass_ms(1);
    let error = records(&fixture, &first).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::ExpiredIterator);
}

#[tokio::test]
async fn an_iterator_outlives_a_restart_and_one_key_does_not_read_for_another() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    stream(&fixture, &pool, "changes", "ENABLED").await;
    let user = fixture.guest(&pool).await;
    put(&user, "a", 0).await;
    let caller = user.caller.clone();
    let horizon = json!({ "ShardIteratorType": "TRIM_HORIZON" });
    let first = iterator(&fixture, horizon).await.unwrap();
    let fixture = fixture.restart().await;
    let page = records(&fixture, &first).await.unwrap();
    assert_eq!(told(&page), pairs(&[("a", 1)]));
    let held = |pool: &str| {
        Caller::Developer(Arc::new(Developer {
            pools: vec![pool.to_owned()],
            read_only: true,
            ..Developer::unrestricted("AKIAHELD")
        }))
    };
    let (own, other) = (held(&pool), held("us-east-1:other"));
    // Whoever names the stream for a pool of his own takes nothing from it.
    let intruder = fixture.pool().await;
    stream(&fixture, &intruder, "changes", "ENABLED").await;
    let of_intruder = fixture.guest(&intruder).await;
    put(&of_intruder, "b", 0).await;
    let body = json!({ "ShardIterator": first });
    let page = ask_as(&fixture, &own, KinesisOperation::GetRecords, body).await;
    assert_eq!(told(&page.unwrap()), pairs(&[("a", 1)]));
    for (operation, body) in [
        (
            KinesisOperation::GetRecords,
            json!({ "ShardIterator": first }),
        ),
        (
            KinesisOperation::DescribeStream,
            json!({ "StreamName": "changes" }),
        ),
    ] {
        ask_as(&fixture, &own, operation, body.clone())
            .await
            .unwrap();
        for caller in [&other, &caller] {
            let error = ask_as(&fixture, caller, operation, body.clone())
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::AccessDenied);
        }
    }
    let list = KinesisOperation::ListStreams;
    let listed = ask_as(&fixture, &own, list, json!({})).await.unwrap();
    assert_eq!(listed["StreamNames"], json!(["changes"]));
    let listed = ask_as(&fixture, &other, list, json!({})).await.unwrap();
    assert_eq!(listed["StreamNames"], json!([]));
    let error = ask_as(&fixture, &caller, list, json!({}))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::AccessDenied);
    // A key that is held is not told whether there is another stream.
    let body = json!({ "StreamName": "none" });
    let error = ask_as(&fixture, &own, KinesisOperation::DescribeStream, body).await;
    assert_eq!(error.unwrap_err().kind, ErrorKind::AccessDenied);
}
