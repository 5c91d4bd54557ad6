//! Bulk publishes: everything once more, over kills, in order with live changes.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::receiver::{Mood, Receiver};
use super::{ask, enable, envelopes, listed, rebuilt, start, try_ask, until, write};
use crate::client::Client;
use crate::signed::Guest;

const FILES: &str = "[streams.out]\ntype = \"file\"\npath = \"out\"\n";

async fn status(client: &mut Client, pool: &str) -> Value {
    ask(client, pool, "getBulkPublishDetails", &Value::Null).await
}

async fn ended(client: &mut Client, pool: &str) -> Value {
    until("the bulk publish ends", async || {
        let details = status(client, pool).await;
        (details["BulkPublishStatus"] != "IN_PROGRESS").then_some(details)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_is_published_over_kills_while_writers_go_on() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    // So slow that it is killed on its way: 20 datasets of 600 bytes a second.
    let configuration = format!("{FILES}[streaming]\nbulk_publish_bytes_per_second = 12000\n");
    let mut running = start(directory, &configuration);
    let mut client = running.client().await;
    let mut guests = vec![Guest::new(&mut client).await];
    while guests.len() < 200 {
        guests.push(Guest::another(&mut client, &guests[0].pool).await);
    }
    let pool = guests[0].pool.clone();
    let value = "v".repeat(600);
    for guest in &guests {
        write(&mut client, guest, "k", &value).await;
    }
    enable(&mut client, &pool, "out").await;
    ask(&mut client, &pool, "bulkpublish", &Value::Null).await;
    let again = try_ask(&mut client, &pool, "bulkpublish", &Value::Null).await;
    again.exception(400, "DuplicateRequestException");
    let out = directory.join("out");
    for kill in 1..=3_usize {
        let enough = envelopes(&out).len() + 20;
        until("it gets on", async || {
            let details = status(&mut client, &pool).await;
            let runs = details["BulkPublishStatus"] == "IN_PROGRESS";
            assert!(runs || kill > 1, "it must be killed on its way");
            (envelopes(&out).len() >= enough || !runs).then_some(())
        })
        .await;
        write(&mut client, &guests[kill], "live", "1").await;
        running.signal(Signal::KILL);
        running.ended();
        running = start(directory, &configuration);
        client = running.client().await;
        write(&mut client, &guests[200 - kill], "live", "2").await;
    }
    let details = ended(&mut client, &pool).await;
    assert_eq!(details["BulkPublishStatus"], "SUCCEEDED", "{details}");
    assert!(details["BulkPublishCompleteTime"].as_f64() > details["BulkPublishStartTime"].as_f64());
    let mut expected = Vec::new();
    for guest in &guests {
        let (records, _) = listed(&mut client, guest).await;
        expected.push(((guest.identity.clone(), "game".to_owned()), records));
    }
    expected.sort();
    until("live changes arrive, too", async || {
        let found: Vec<_> = rebuilt(&envelopes(&out)).into_iter().collect();
        (found == expected).then_some(())
    })
    .await;
    // Delivered more than once perhaps, but each written once: it went on where it was.
    let told = envelopes(&out);
    let whole = told.iter().filter(|event| event["whole"] == true);
    let ids: BTreeSet<_> = whole.map(|event| event["eventId"].to_string()).collect();
    assert_eq!(ids.len(), 200);
    let again = try_ask(&mut client, &pool, "bulkpublish", &Value::Null).await;
    again.exception(400, "AlreadyStreamedException");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_complete_when_the_sink_has_it_and_fails_with_its_stream() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Ill).await;
    let period = "[streaming]\nbulk_publish_period_hours = 0\n";
    let running = start(home.path(), &format!("{}{period}", receiver.section(5000)));
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    write(&mut client, &guest, "k", "1").await;
    enable(&mut client, &guest.pool, "hook").await;
    ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    until("the sink is asked", async || {
        (receiver.asked() > 1).then_some(())
    })
    .await;
    assert_eq!(
        status(&mut client, &guest.pool).await["BulkPublishStatus"],
        "IN_PROGRESS"
    );
    receiver.be(Mood::Well);
    let details = ended(&mut client, &guest.pool).await;
    assert_eq!(details["BulkPublishStatus"], "SUCCEEDED", "{details}");
    assert_eq!(receiver.events().len(), 1);
    // As often as the operator allows; here at once.
    receiver.be(Mood::Ill);
    ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    let streams = json!({ "StreamName": "hook", "StreamingStatus": "DISABLED" });
    let body = json!({ "CognitoStreams": streams });
    ask(&mut client, &guest.pool, "configuration", &body).await;
    let details = ended(&mut client, &guest.pool).await;
    assert_eq!(details["BulkPublishStatus"], "FAILED", "{details}");
    assert_eq!(
        details["FailureMessage"],
        "Streaming was disabled meanwhile"
    );
    assert_eq!(details.get("BulkPublishCompleteTime"), None);
    let refused = try_ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    refused.exception(400, "InvalidParameterException");
    // Off and on again so fast that nobody sees it off: what was written the sink never gets.
    enable(&mut client, &guest.pool, "hook").await;
    ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    ask(&mut client, &guest.pool, "configuration", &body).await;
    enable(&mut client, &guest.pool, "hook").await;
    receiver.be(Mood::Well);
    let details = ended(&mut client, &guest.pool).await;
    assert_eq!(details["BulkPublishStatus"], "FAILED", "{details}");
}

#[tokio::test]
async fn the_built_in_stream_has_it_with_the_last_commit() {
    let home = tempfile::tempdir().unwrap();
    let running = start(home.path(), "");
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    write(&mut client, &guest, "k", "1").await;
    enable(&mut client, &guest.pool, "built-in").await;
    ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    let details = ended(&mut client, &guest.pool).await;
    assert_eq!(details["BulkPublishStatus"], "SUCCEEDED", "{details}");
}

#[tokio::test]
async fn a_pool_without_datasets_is_published_at_once() {
    let home = tempfile::tempdir().unwrap();
    let running = start(home.path(), FILES);
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "out").await;
    ask(&mut client, &guest.pool, "bulkpublish", &Value::Null).await;
    let details = ended(&mut client, &guest.pool).await;
    assert_eq!(details["BulkPublishStatus"], "SUCCEEDED", "{details}");
}
