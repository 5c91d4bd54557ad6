use std::net::SocketAddr;

use super::super::fixture::{Answered, Came, NOW, Service, nobody, parcel};
use super::*;
use crate::site::stored::Platform;

/// The transports that speak HTTP/1.1 to a service of their own address.
fn both(address: SocketAddr) -> [Transport; 2] {
    [
        format!("type = \"webhook\"\nurl = \"http://{address}/called\""),
        format!(
            "type = \"sns\"\nendpoint_url = \"http://{address}\"\nregion = \"r\"\n\
             access_key_id = \"a\"\nsecret_access_key = \"s\""
        ),
    ]
    .map(|section| Transport::new("application", &toml::from_str(&section).unwrap()))
}

/// Hangs up on a token, lets another wait, and takes the others.
fn as_told(came: &Came) -> Answered {
    let has = |token: &str| came.body.contains(token);
    if has("hang-up") {
        None
    } else if has("too-much") {
        Some((200, None, "x".repeat(BOUNDS.bytes_max + 1)))
    } else if has("come-later") {
        Some((503, Some(90), String::new()))
    } else if has("come-next-year") {
        Some((429, Some(31_536_000), String::new()))
    } else if has("proxy") {
        Some((502, Some(900), String::new()))
    } else {
        Some((200, None, "<EndpointArn>arn:1</EndpointArn>".to_owned()))
    }
}

#[tokio::test]
async fn a_message_that_ends_its_connection_fails_by_itself() {
    let service = Service::start(as_told).await;
    for transport in both(service.address) {
        for (token, expected) in [
            ("hang-up", Verdict::Failed),
            ("too-much", Verdict::Failed),
            ("good", Verdict::Delivered),
        ] {
            let verdicts = transport.send(&[parcel(Platform::Gcm, token)], NOW).await;
            assert_eq!(verdicts, [expected], "{token}");
        }
    }
    // Where nothing listens that is nobody's fault.
    for transport in both(nobody().await) {
        let verdicts = transport.send(&[parcel(Platform::Gcm, "good")], NOW).await;
        assert_eq!(verdicts, [Verdict::Away]);
    }
}

#[tokio::test]
async fn who_says_when_to_come_again_is_heard() {
    let service = Service::start(as_told).await;
    for transport in both(service.address) {
        for (token, seconds) in [("come-later", 90), ("come-next-year", 900)] {
            let verdicts = transport.send(&[parcel(Platform::Gcm, token)], NOW).await;
            let expected = Verdict::AwayFor(Duration::from_secs(seconds));
            assert_eq!(verdicts, [expected], "{token}");
            assert!(expected.is_away());
        }
        let verdicts = transport.send(&[parcel(Platform::Gcm, "proxy")], NOW).await;
        assert_eq!(verdicts, [Verdict::Away]);
    }
}
