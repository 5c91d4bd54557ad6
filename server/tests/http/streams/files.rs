//! The sink of files, under writers and kills.

use std::sync::Arc;

use rustix::process::Signal;
use serde_json::json;

use super::{ask, configured, enable, envelopes, listed, rebuilt, start, streaming, until, write};
use crate::client::Client;
use crate::signed::Guest;

const FILES: &str = "[streams.out]\ntype = \"file\"\npath = \"out\"\nrotate_bytes = 20000";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_change_of_eight_writers_arrives_over_kills() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let mut running = start(directory, FILES);
    let mut client = running.client().await;
    let first = Guest::new(&mut client).await;
    let mut guests = vec![Arc::new(first)];
    while guests.len() < 8 {
        guests.push(Arc::new(Guest::another(&mut client, &guests[0].pool).await));
    }
    enable(&mut client, &guests[0].pool, "out").await;
    for round in 0..4_u64 {
        let address = running.address;
        let writers: Vec<_> = guests
            .iter()
            .cloned()
            .map(|guest| {
                tokio::spawn(async move {
                    let mut client = Client::connect(address).await;
                    for turn in 0.. {
                        let (key, value) = (format!("k{}", turn % 3), format!("{round}-{turn}"));
                        write(&mut client, &guest, &key, &value).await;
                    }
                })
            })
            .collect();
        let enough = envelopes(&directory.join("out")).len() + 100;
        until("writers get on", async || {
            let found = envelopes(&directory.join("out")).len();
            (found >= enough).then_some(())
        })
        .await;
        running.signal(Signal::KILL);
        running.ended();
        for writer in writers {
            // Its connection broke, which a test's client takes for a failure.
            assert!(writer.await.is_err());
        }
        running = start(directory, FILES);
    }
    let mut client = running.client().await;
    let mut expected = Vec::new();
    for guest in &guests {
        let (records, count) = listed(&mut client, guest).await;
        assert!(count >= 4, "each of them wrote");
        expected.push(((guest.identity.clone(), "game".to_owned()), records));
    }
    expected.sort();
    until("everything arrives", async || {
        let found: Vec<_> = rebuilt(&envelopes(&directory.join("out")))
            .into_iter()
            .collect();
        (found == expected).then_some(())
    })
    .await;
    let files = std::fs::read_dir(directory.join("out")).unwrap().count();
    assert!(files > 3, "files are rotated");
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn enabling_begins_at_the_present_and_deletions_are_told() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let running = start(directory, FILES);
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    write(&mut client, &guest, "before", "1").await;
    enable(&mut client, &guest.pool, "out").await;
    write(&mut client, &guest, "while", "2").await;
    let out = directory.join("out");
    until("the first arrives", async || {
        (envelopes(&out).len() == 1).then_some(())
    })
    .await;
    let disabled = json!({ "StreamName": "out", "StreamingStatus": "DISABLED" });
    let body = json!({ "CognitoStreams": disabled });
    ask(&mut client, &guest.pool, "configuration", &body).await;
    write(&mut client, &guest, "after", "3").await;
    enable(&mut client, &guest.pool, "out").await;
    let path = guest.dataset("game");
    let answer = client
        .signed(&guest.signer(), "DELETE", &path, &[], b"")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = until("the deletion arrives", async || {
        Some(envelopes(&out)).filter(|told| told.len() >= 2)
    })
    .await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0]["kinesisSyncRecords"][0]["key"], "while");
    assert_eq!(told[1]["operation"], "remove");
    assert_eq!(told[1]["syncCount"], 4);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_holds_nobody_up() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    std::fs::write(directory.join("out"), "in the way").unwrap();
    let (running, mut client, guest) = streaming(directory, FILES).await;
    for turn in 0..5 {
        write(&mut client, &guest, "k", &turn.to_string()).await;
    }
    until("it is seen in the metrics", async || {
        let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let line = "syncline_stream_failing{stream=\"out\"} 1";
        page.text().contains(line).then_some(())
    })
    .await;
    assert_eq!(
        configured(&mut client, &guest.pool).await["StreamingStatus"],
        "ENABLED"
    );
    std::fs::remove_file(directory.join("out")).unwrap();
    let out = directory.join("out");
    let told = until("everything arrives", async || {
        Some(envelopes(&out)).filter(|told| told.len() >= 5)
    })
    .await;
    let counts: Vec<_> = told
        .iter()
        .map(|event| event["syncCount"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 2, 3, 4, 5]);
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("the sink has taken nothing") && log.contains("cannot make out"),
        "{log}"
    );
}

#[tokio::test]
async fn what_is_under_way_arrives_before_the_server_stops() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let (running, mut client, guest) = streaming(directory, FILES).await;
    for turn in 0..20 {
        write(&mut client, &guest, "k", &turn.to_string()).await;
    }
    running.signal(Signal::TERM);
    let (status, log) = running.ended();
    assert_eq!(status.code(), Some(0), "{log}");
    let before = envelopes(&directory.join("out")).len();
    assert_eq!(before, 20, "{log}");
    // Nothing comes twice after an orderly stop.
    let running = start(directory, FILES);
    let mut client = running.client().await;
    write(&mut client, &guest, "k", "last").await;
    until("the last arrives", async || {
        let told = envelopes(&directory.join("out"));
        (told.last()?["syncCount"] == 21).then_some(())
    })
    .await;
    assert_eq!(envelopes(&directory.join("out")).len(), 21);
}

/// What a counter has.
async fn counted(client: &mut Client, name: &str) -> usize {
    let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let text = page.text();
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    let found = found.unwrap_or_else(|| panic!("{name} is not in\n{text}"));
    found.trim().parse().unwrap()
}

/// The log is read once for all of them: each pool's lane takes its events from there.
#[tokio::test]
async fn many_pools_share_a_stream() {
    const POOLS: usize = 200;
    const TURNS: usize = 3;
    const FOR_ALL: &str = "syncline_stream_commits_read_for_all_total";
    const FOR_ONE: &str = "syncline_stream_commits_read_for_one_total";
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let running = start(directory, FILES);
    let mut client = running.client().await;
    let mut guests = Vec::new();
    for _ in 0..POOLS {
        let guest = Guest::new(&mut client).await;
        enable(&mut client, &guest.pool, "out").await;
        guests.push(guest);
    }
    until("all of them stream", async || {
        let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let readers = "syncline_reader_behind_commits{reader=\"stream out of ";
        (page.text().matches(readers).count() == POOLS).then_some(())
    })
    .await;
    for turn in 0..TURNS {
        for guest in &guests {
            write(&mut client, guest, "k", &turn.to_string()).await;
        }
    }
    let out = directory.join("out");
    until("everything arrives", async || {
        let told = envelopes(&out);
        let records = rebuilt(&told);
        let last = |records: &super::Records| records["k"] == ("2".to_owned(), 3);
        (records.len() == POOLS && records.values().all(last)).then_some(())
    })
    .await;
    // If each pool read the log, it would be a hundred times as much.
    let (for_all, for_one) = (
        counted(&mut client, FOR_ALL).await,
        counted(&mut client, FOR_ONE).await,
    );
    let written = POOLS * TURNS;
    assert!(for_all + for_one >= written, "{for_all} and {for_one}");
    assert!(for_all + for_one <= 2 * written, "{for_all} and {for_one}");
    // A pool that is deleted leaves the others alone.
    let developer = crate::signed::developer("cognito-identity");
    let gone = json!({ "IdentityPoolId": guests[0].pool });
    let answer = client
        .identity(&developer, "DeleteIdentityPool", &gone)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    write(&mut client, &guests[1], "k", "more").await;
    until("the others go on", async || {
        (envelopes(&out).last()?["syncCount"] == 4).then_some(())
    })
    .await;
    let reader = format!("stream out of {}", guests[0].pool);
    until("its lane is gone", async || {
        let page = client.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        (!page.text().contains(&reader)).then_some(())
    })
    .await;
}
