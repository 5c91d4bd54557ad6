//! The pump on a site of a test, over what looks like restarts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::config::{Config, StreamConfig};
use crate::fixture::{Fixture, replace};

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
