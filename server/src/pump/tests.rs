//! The pump on a site of a test, over what looks like restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use syncline_engine::{Expected, Proposal, Wish};
use tokio::sync::watch;

use super::*;
use crate::access::Caller;
use crate::changes::{self, Asked};
use crate::config::{Config, StreamConfig};
use crate::error::ErrorKind;
use crate::fixture::{Fixture, replace};
use crate::site::stored::{self, ConfigurationRecord, StreamingStatus, Streams};

/// A pump that runs, and how to stop it.
struct Pumping {
    say: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Pumping {
    fn start(fixture: &Fixture) -> Self {
        let (say, heard) = watch::channel(false);
        let pump = Pump::new(Arc::clone(&fixture.site)).unwrap();
        let task = tokio::spawn(pump.run(heard));
        Self { say, task }
    }

    async fn stop(self) {
        self.say.send_replace(true);
        self.task.await.unwrap();
    }
}

/// Waits until a sink was tried again so often.
async fn tried(fixture: &Fixture, times: u64) {
    let tally = fixture.site.outflow.counters.of("out");
    while tally.retries.get() < times {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_in_which_no_server_ran_does_not_count_against_a_sink() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("out");
    std::fs::write(&path, "in the way of the directory").unwrap();
    let stream = StreamConfig::File {
        path: path.clone(),
        rotate_bytes: 1 << 20,
        compress: None,
        pools: None,
    };
    let config = Config {
        streams: BTreeMap::from([("out".to_owned(), stream)]),
        ..Config::default()
    };
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let streams = json!({ "StreamName": "out", "StreamingStatus": "ENABLED" });
    let body = json!({ "CognitoStreams": streams });
    let set = fixture.sync("SetIdentityPoolConfiguration", &pool, body);
    set.await.unwrap();
    let user = fixture.guest(&pool).await;
    let patches = json!([replace("k", "v", 0)]);
    user.update("d", patches).await.unwrap();
    let pumping = Pumping::start(&fixture);
    tried(&fixture, 2).await;
    pumping.stop().await;
    drop(user);
    // Maintenance for longer than a sink is waited for; the sink comes up a little later than we.
    let fixture = fixture.restart().await;
    fixture.pass_ms(3 * 24 * 3_600_000);
    let pumping = Pumping::start(&fixture);
    tried(&fixture, 2).await;
    let streams = fixture.site.find_streams().await;
    streams.unwrap();
    let streaming = fixture.site.pools_of_stream("out");
    assert_eq!(streaming.len(), 1, "it is ENABLED still");
    std::fs::remove_file(&path).unwrap();
    let tally = fixture.site.outflow.counters.of("out");
    while tally.sent.get() < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pumping.stop().await;
}

/// The next changes of a pool, one of them at most, and where to go on.
async fn next_of(fixture: &Fixture, pool: &str, cursor: &str) -> Vec<Value> {
    let asked = Asked {
        pool,
        query: &format!("limit=1&cursor={cursor}"),
        accept: None,
        last_event_id: None,
    };
    let read = changes::answer(&fixture.site, &Caller::root("AKIAROOT"), asked).await;
    let text = String::from_utf8(read.unwrap().1).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_publish_waits_for_who_reads_slowly_and_the_log_is_kept() {
    const DATASETS: u64 = 8;
    let mut config = Config::default();
    config.engine.feed_retention_bytes = 1;
    config.streaming.bulk_publish_bytes_per_second = 0;
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let streams = json!({ "StreamName": "changes", "StreamingStatus": "ENABLED" });
    let body = json!({ "CognitoStreams": streams });
    let set = fixture.sync("SetIdentityPoolConfiguration", &pool, body);
    set.await.unwrap();
    let value = "v".repeat(900_000);
    for number in 0..DATASETS {
        let user = fixture.guest(&pool).await;
        let patches = json!([replace("k", &value, 0)]);
        user.update(&format!("d{number}"), patches).await.unwrap();
    }
    // It reads on, as one does that is to be waited for.
    let mut cursor = next_of(&fixture, &pool, "newest").await[0]["cursor"].clone();
    let user = fixture.guest(&pool).await;
    let patches = json!([replace("k", "v", 0)]);
    user.update("small", patches).await.unwrap();
    for _ in 0..2 {
        let lines = next_of(&fixture, &pool, cursor.as_str().unwrap()).await;
        cursor = lines.last().unwrap()["cursor"].clone();
    }
    let pumping = Pumping::start(&fixture);
    let published = &fixture.site.outflow.counters.republished;
    fixture.sync("BulkPublish", &pool, json!({})).await.unwrap();
    // More than the log keeps for nobody.
    while published.get() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Nothing else holds it up.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(published.get() < DATASETS, "it waits");
    let mut whole = 0;
    while whole <= DATASETS {
        fixture.site.store.engine().maintain().unwrap();
        let lines = next_of(&fixture, &pool, cursor.as_str().unwrap()).await;
        let (end, changes) = lines.split_last().unwrap();
        assert!(changes.iter().all(|line| line["change"]["whole"] == true));
        whole += changes.len() as u64;
        cursor = end["cursor"].clone();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    pumping.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_takes_the_pools_that_it_names() {
    let home = tempfile::tempdir().unwrap();
    let stream = StreamConfig::File {
        path: home.path().join("out"),
        rotate_bytes: 1 << 20,
        compress: None,
        pools: Some(vec![
            "us-east-1:11112222-3333-4444-8555-666677778888".to_owned(),
        ]),
    };
    let config = Config {
        streams: BTreeMap::from([("out".to_owned(), stream)]),
        ..Config::default()
    };
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let set = |status: &str| {
        let streams = json!({ "StreamName": "out", "StreamingStatus": status });
        let body = json!({ "CognitoStreams": streams });
        fixture.sync("SetIdentityPoolConfiguration", &pool, body)
    };
    let refused = set("ENABLED").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidParameter);
    for words in ["pools of [streams.out]", &pool] {
        assert!(refused.message.contains(words), "{}", refused.message);
    }
    set("DISABLED").await.unwrap();
    // The configuration named it when it was enabled.
    let id = stored::Id::parse(&pool).unwrap();
    let record = ConfigurationRecord {
        streams: Some(Streams {
            name: Some("out".to_owned()),
            role: None,
            status: Some(StreamingStatus::Enabled),
            disabled_reason: None,
        }),
        ..ConfigurationRecord::default()
    };
    let wish = Wish::PutMetadata {
        key: stored::configuration_key(id.uuid),
        value: stored::encode(&record).unwrap(),
        expected: Expected::Anything,
    };
    let proposal = Proposal {
        wishes: vec![wish],
        ..Proposal::default()
    };
    fixture.site.store.commit(proposal).await.unwrap();
    let pumping = Pumping::start(&fixture);
    let get = || fixture.sync("GetIdentityPoolConfiguration", &pool, Value::Null);
    let streams = loop {
        let streams = get().await.unwrap()["CognitoStreams"].clone();
        if streams["StreamingStatus"] == "DISABLED" {
            break streams;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let reason = streams["DisabledReason"].as_str().unwrap();
    assert!(reason.contains("pools of [streams.out]"), "{reason}");
    pumping.stop().await;
}
