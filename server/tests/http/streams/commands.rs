//! `syncline publish`, and what the commands say of streams.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use super::{configured, enable, envelopes, listed, rebuilt, start, streaming, until, write};
use crate::process::{refused, syncline};
use crate::signed::Guest;

const FILES: &str = "[streams.out]\ntype = \"file\"\npath = \"out\"\n";

/// `syncline publish`, of this pool unless another is named.
fn publish(directory: &Path, pool: &str, more: &[&str]) -> Command {
    let place = ["publish", "--data", "data"];
    let how = ["--config", "syncline.toml", "--json"];
    let of: &[&str] = match more.contains(&"--pool") {
        true => &[],
        false => &["--pool", pool],
    };
    syncline(directory, &[&place[..], &how, of, more].concat())
}

#[tokio::test]
async fn a_snapshot_and_changes_are_sent_once_more() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let running = start(directory, FILES);
    let mut client = running.client().await;
    let guest = Guest::new(&mut client).await;
    for turn in 0..10 {
        write(
            &mut client,
            &guest,
            &format!("k{}", turn % 4),
            &turn.to_string(),
        )
        .await;
    }
    let (records, count) = listed(&mut client, &guest).await;
    let other = Guest::new(&mut client).await;
    write(&mut client, &other, "k", "1").await;
    let publish = |more: &[&str]| publish(directory, &guest.pool, more);
    let busy = refused(publish(&["--stream", "out", "--snapshot"]));
    assert!(busy.contains("stop the server"), "{busy}");
    running.signal(Signal::TERM);
    running.ended();
    for (more, words) in [
        (
            ["--stream", "ou", "--snapshot"],
            "no stream \"ou\"; it has out",
        ),
        (["--stream", "out", "--from=99999"], "is not of this store"),
        (
            ["--stream", "out", "--from=yesterday"],
            "the number of a commit or an eventId",
        ),
    ] {
        let log = refused(publish(&more));
        assert!(log.contains(words), "{log}");
    }
    let place = (guest.identity.clone(), "game".to_owned());
    let sent = |more: &[&str]| {
        let Output {
            status,
            stdout,
            stderr,
        } = publish(more).output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        serde_json::from_slice::<serde_json::Value>(&stdout).unwrap()
    };
    let out = directory.join("out");
    assert_eq!(sent(&["--stream", "out", "--snapshot"])["events"], 1);
    let told = envelopes(&out);
    assert_eq!(told[0]["syncCount"], count);
    assert_eq!(rebuilt(&told)[&place], records);
    assert_eq!(sent(&["--stream", "out", "--from", "0"])["events"], 10);
    let told = envelopes(&out);
    assert_eq!(rebuilt(&told[1..])[&place], records);
    // Behind an event: its commit comes again, since there may be more in it.
    let id = told[8]["eventId"].as_str().unwrap();
    assert_eq!(sent(&["--stream", "out", "--from", id])["events"], 3);
    assert_eq!(envelopes(&out)[11]["eventId"], id);
    // Nothing was committed since the first pool's snapshot; ids of another pool differ even so.
    let of_other = ["--stream", "out", "--snapshot", "--pool", &other.pool];
    assert_eq!(sent(&of_other)["events"], 1);
    let (first, last) = (&told[0]["eventId"], &envelopes(&out)[12]["eventId"]);
    assert_ne!(first, last);
}

#[test]
fn a_configuration_is_shown_and_a_sink_that_lacks_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("syncline.toml");
    std::fs::write(&file, FILES).unwrap();
    let check = || {
        syncline(
            home.path(),
            &["config", "check", "--config", "syncline.toml"],
        )
    };
    let Output { stdout, .. } = check().output().unwrap();
    let shown = String::from_utf8(stdout).unwrap();
    assert!(shown.contains("stream \"out\": files in out\n"), "{shown}");
    std::fs::write(
        &file,
        "[streams.n]\ntype = \"nats\"\nurl = \"nats://x\"\nsubject = \"s\"",
    )
    .unwrap();
    if !cfg!(feature = "nats") {
        let log = refused(check());
        let words = "needs a program with the feature nats";
        assert!(log.contains(words), "{log}");
    }
}

#[tokio::test]
async fn a_restored_store_does_not_stream_on_as_if_nothing_had_been() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path();
    let (running, mut client, guest) = streaming(directory, FILES).await;
    write(&mut client, &guest, "k", "1").await;
    let out = directory.join("out");
    let arrived = async |count: u64| {
        let told = envelopes(&out);
        told.iter()
            .any(|event| event["syncCount"] == count)
            .then_some(())
    };
    until("it arrives", async || arrived(1).await).await;
    running.signal(Signal::TERM);
    running.ended();
    for arguments in [
        &["backup", "--data", "data", "--to", "saved"][..],
        &["restore", "--from", "saved", "--data", "restored"],
    ] {
        let done = syncline(directory, arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    std::fs::remove_dir_all(directory.join("data")).unwrap();
    std::fs::rename(directory.join("restored"), directory.join("data")).unwrap();
    let running = start(directory, FILES);
    let mut client = running.client().await;
    let streams = until("it is disabled", async || {
        let streams = configured(&mut client, &guest.pool).await;
        (streams["StreamingStatus"] == "DISABLED").then_some(streams)
    })
    .await;
    let reason = streams["DisabledReason"].as_str().unwrap();
    assert!(reason.starts_with("The store was restored"), "{reason}");
    // Enabled again it begins at the present, above everything that was ever given out.
    enable(&mut client, &guest.pool, "out").await;
    write(&mut client, &guest, "k", "2").await;
    let count = listed(&mut client, &guest).await.1;
    until("it arrives", async || arrived(count).await).await;
}
