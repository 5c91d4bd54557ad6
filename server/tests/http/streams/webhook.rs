//! The sink of webhooks, and what a receiver that is not well means for a stream.

use rustix::process::Signal;

use super::receiver::{Mood, Receiver};
use super::{configured, enable, listed, rebuilt, start, text, until, write};
use crate::process::syncline;
use crate::signed::Guest;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_receiver_does_everything_arrives_in_order() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Well).await;
    let running = start(home.path(), &receiver.section(300));
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "hook").await;
    let mut written = 0;
    for mood in [Mood::Ill, Mood::Slow, Mood::Rude, Mood::Gone, Mood::Well] {
        receiver.be(mood);
        let asked = receiver.asked();
        for _ in 0..10 {
            written += 1;
            write(&mut client, &guest, "k", &written.to_string()).await;
        }
        until("it is asked again", async || {
            (receiver.asked() >= asked + 2).then_some(())
        })
        .await;
    }
    let (records, count) = listed(&mut client, &guest).await;
    assert_eq!(count, 50);
    let place = (guest.identity.clone(), "game".to_owned());
    until("everything arrives", async || {
        (rebuilt(&receiver.events()).get(&place) == Some(&records)).then_some(())
    })
    .await;
    assert_eq!(
        configured(&mut client, &guest.pool).await["StreamingStatus"],
        "ENABLED"
    );
    let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let page = page.text();
    assert!(
        page.contains("syncline_stream_failing{stream=\"hook\"} 0"),
        "{page}"
    );
    let reader = format!("reader=\"stream hook of {}\"", guest.pool);
    assert!(page.contains(&reader), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_set_aside_and_the_rest_arrives() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Ill).await;
    let running = start(home.path(), &receiver.section(5000));
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "hook").await;
    for turn in 0..12 {
        let value = match turn {
            1 => "poison",
            3 => "later",
            _ => "good",
        };
        write(&mut client, &guest, &format!("k{turn}"), value).await;
    }
    // What was set aside is not set aside again because something behind it fails.
    receiver.be(Mood::Wavering);
    let asked = receiver.asked();
    until("it is asked again and again", async || {
        (receiver.asked() >= asked + 10).then_some(())
    })
    .await;
    receiver.be(Mood::Picky);
    until("the rest arrives", async || {
        (receiver.events().len() >= 11).then_some(())
    })
    .await;
    let kept = std::fs::read_to_string(home.path().join("data/set-aside/hook.ndjson")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["event"]["kinesisSyncRecords"][0]["value"], "poison");
    assert_eq!(kept["id"], kept["event"]["eventId"]);
    assert!(text(&kept["reason"]).contains("422: \"poison!\""), "{kept}");
    running.signal(Signal::TERM);
    let (_, log) = running.ended();
    assert!(
        log.contains("set aside in data/set-aside/hook.ndjson"),
        "{log}"
    );
    let check = syncline(home.path(), &["check", "--data", "data"])
        .output()
        .unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    let words = "set-aside: events that sinks refused are in it";
    assert!(said.contains(words), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_for_long_has_the_stream_disabled_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Ill).await;
    let streaming = "[streaming]\ngive_up_seconds = 1\nresume = true\n";
    let running = start(
        home.path(),
        &format!("{}{streaming}", receiver.section(5000)),
    );
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "hook").await;
    for turn in 0..3 {
        write(&mut client, &guest, "k", &turn.to_string()).await;
    }
    let streams = until("it is disabled", async || {
        let streams = configured(&mut client, &guest.pool).await;
        (streams["StreamingStatus"] == "DISABLED").then_some(streams)
    })
    .await;
    let reason = text(&streams["DisabledReason"]);
    for words in [
        "hook took nothing for 1 seconds",
        "the server's log says why",
        "BulkPublish",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    for secret in ["answered", "127.0.0.1", "/in"] {
        assert!(!reason.contains(secret), "{reason}");
    }
    write(&mut client, &guest, "k", "meanwhile").await;
    // Enabled again it goes on where it stopped, as it is configured.
    receiver.be(Mood::Well);
    enable(&mut client, &guest.pool, "hook").await;
    until("everything arrives", async || {
        (receiver.events().len() >= 4).then_some(())
    })
    .await;
    let counts: Vec<_> = receiver
        .events()
        .iter()
        .map(|event| event["syncCount"].clone())
        .collect();
    assert_eq!(counts, [1, 2, 3, 4]);
    let streams = configured(&mut client, &guest.pool).await;
    assert_eq!(streams.get("DisabledReason"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_what_the_log_keeps_the_stream_is_disabled_and_the_gap_named() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Ill).await;
    let engine = "[engine]\nsegment_bytes = 65536\nfeed_retention_hours = 0\n\
                  feed_retention_bytes = 1\npin_bytes = 1000000\n";
    let running = start(home.path(), &format!("{}{engine}", receiver.section(5000)));
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    enable(&mut client, &guest.pool, "hook").await;
    write(&mut client, &guest, "first", "1").await;
    let value = "v".repeat(900_000);
    // More than is kept in memory, far more than the log keeps for a reader that is behind.
    for _ in 0..12 {
        write(&mut client, &guest, "k", &value).await;
    }
    let streams = until("it is disabled", async || {
        let streams = configured(&mut client, &guest.pool).await;
        (streams["StreamingStatus"] == "DISABLED").then_some(streams)
    })
    .await;
    let reason = text(&streams["DisabledReason"]);
    assert!(
        reason.contains("fell behind what the log keeps: changes from commit "),
        "{reason}"
    );
    assert!(reason.contains("BulkPublish"), "{reason}");
    assert_eq!(listed(&mut client, &guest).await.1, 13, "the API is well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publish_goes_on_behind_what_is_refused_for_good() {
    let home = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(Mood::Picky).await;
    let running = start(home.path(), &receiver.section(5000));
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    for turn in 0..12 {
        let value = if turn == 1 { "poison" } else { "good" };
        write(&mut client, &guest, &format!("k{turn}"), value).await;
    }
    running.signal(Signal::TERM);
    running.ended();
    let place = ["publish", "--data", "data", "--config", "syncline.toml"];
    let what = ["--pool", &guest.pool, "--stream", "hook", "--from", "0"];
    let mut publish = syncline(home.path(), &[&place[..], &what, &["--json"]].concat());
    let ended = tokio::task::spawn_blocking(move || publish.output().unwrap());
    let ended = ended.await.unwrap();
    let log = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{log}");
    let words = "refused 1 events for good: they are in data/set-aside/hook.ndjson";
    assert!(log.contains(words), "{log}");
    let said: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(
        (&said["events"], &said["set_aside"]),
        (&11.into(), &1.into())
    );
    assert_eq!(receiver.events().len(), 11);
    let kept = std::fs::read_to_string(home.path().join("data/set-aside/hook.ndjson")).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    assert_eq!(kept["event"]["kinesisSyncRecords"][0]["value"], "poison");
}
