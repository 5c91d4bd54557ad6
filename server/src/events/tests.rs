use std::future::poll_fn;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::fixture::{Fixture, User, replace};

/// What a stream of all datasets begins with for who has seen that event.
async fn begin(guest: &User<'_>, last_event: &str) -> (EventStream, String) {
    let asked = Asked {
        labels: &guest.labels(""),
        query: "",
        last_event,
        expires_ms: None,
    };
    let mut stream = open(&guest.fixture.site, &guest.caller, asked).unwrap();
    let first = next(&mut stream).await;
    (stream, first)
}

async fn next(stream: &mut EventStream) -> String {
    let bytes = poll_fn(|task| stream.poll_next(task)).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn who_has_seen_a_deletion_is_not_told_again() {
    let fixture = Fixture::new();
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await;
    for dataset in ["kept", "gone"] {
        let patches = json!([replace("k", "v", 0)]);
        guest.update(dataset, patches).await.unwrap();
    }
    let (mut stream, first) = begin(&guest, "").await;
    assert!(
        first.contains(r#""datasetNames":["gone","kept"]"#),
        "{first}"
    );
    let deleted = guest.call("DeleteDataset", "gone", "", Value::Null);
    deleted.await.unwrap();
    let told = next(&mut stream).await;
    assert!(told.contains(r#""datasetExists":false"#), "{told}");
    let id = told.strip_prefix("id: ").unwrap().lines().next().unwrap();
    let (mut stream, first) = begin(&guest, id).await;
    assert!(!first.contains("event:"), "{first}");
    // A name that comes back is told of like a new one.
    let patches = json!([replace("k", "v", 0)]);
    guest.update("gone", patches).await.unwrap();
    let told = next(&mut stream).await;
    assert!(told.contains(r#""datasetExists":true"#), "{told}");
}

#[tokio::test]
async fn a_stream_ends_when_its_credentials_do() {
    let mut config = Config::default();
    // A beat each millisecond.
    config.timeouts.idle_ms = 3;
    let fixture = Fixture::with(config, 1 << 20);
    let pool = fixture.pool().await;
    let guest = fixture.guest(&pool).await;
    let labels = guest.labels("");
    let expires_ms = fixture.site.now().get() + 1000;
    let asked = Asked {
        labels: &labels,
        query: "",
        last_event: "",
        expires_ms: Some(expires_ms),
    };
    let mut stream = open(&fixture.site, &guest.caller, asked).unwrap();
    let mut next = async || poll_fn(|task| stream.poll_next(task)).await;
    assert!(next().await.unwrap().starts_with(b"retry: "));
    assert_eq!(next().await.unwrap(), ":\n\n");
    fixture.pass_ms(999);
    assert_eq!(next().await.unwrap(), ":\n\n");
    fixture.pass_ms(1);
    let end = "event: end\ndata: {\"reason\":\"expired\"}\n\n";
    assert_eq!(next().await.unwrap(), end);
    assert_eq!(next().await, None);
}
