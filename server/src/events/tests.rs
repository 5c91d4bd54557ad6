use std::future::poll_fn;

use super::*;
use crate::config::Config;
use crate::fixture::Fixture;

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
