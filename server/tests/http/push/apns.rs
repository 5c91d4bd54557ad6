//! Apple's push service, played by one that answers as its documentation says.

use std::sync::Arc;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::*;
use crate::commands::{serving, stop};
use crate::webservice::Protocol;

/// A key as Apple gives it out.
fn write_key(directory: &Path) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let text = STANDARD.encode(pair.to_pkcs8v1().unwrap().as_ref());
    let key = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    std::fs::write(directory.join("key.p8"), key).unwrap();
}

fn section(directory: &Path, url: &str) -> String {
    let key = directory.join("key.p8");
    format!(
        "type = \"apns\"\nkey_file = {key:?}\nkey_id = \"ABC123DEFG\"\n\
         team_id = \"DEF123GHIJ\"\ntopic = \"com.example.game\"\nendpoint_url = \"{url}\"\n"
    )
}

/// Knows a device that is gone and one that is told too often.
fn as_apple(seen: &Seen) -> Told {
    let refuse = |status: u16, body: Value| Told::Now(status, Vec::new(), body.to_string());
    match seen.path.as_str() {
        "/3/device/DEAD" => refuse(
            410,
            json!({ "reason": "Unregistered", "timestamp": 4_000_000_000_000_u64 }),
        ),
        "/3/device/BUSY" => refuse(429, json!({ "reason": "TooManyRequests" })),
        _ => Told::Now(200, Vec::new(), String::new()),
    }
}

#[tokio::test]
async fn apple_gets_a_silent_message_and_tells_who_is_gone() {
    let service = WebService::start_as(Protocol::Http2).await;
    service.answers(as_apple);
    let directory = tempfile::tempdir().unwrap();
    write_key(directory.path());
    let section = section(directory.path(), &format!("http://{}", service.address));
    let push: PushConfig = toml::from_str(&section).unwrap();
    let server = Server::start_with(|config| {
        config.push.insert(APNS.to_owned(), push);
    })
    .await;
    let mut scene = Scene::new(server.client().await).await;
    scene.follower("APNS", "ALIVE").await;
    let dead = scene.follower("APNS", "DEAD").await;
    scene.follower("APNS", "BUSY").await;
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 1).await;
    scene.counted(APNS, "dead", 1).await;
    scene.counted(APNS, "retried", 2).await;
    let answer = scene.subscribe(&dead).await;
    answer.exception(404, "ResourceNotFoundException");
    let of_alive = |seen: &WebService| -> Vec<Seen> {
        let seen = seen.seen().into_iter();
        seen.filter(|seen| seen.path == "/3/device/ALIVE").collect()
    };
    scene.write(None, false).await;
    scene.counted(APNS, "delivered", 2).await;
    let told = of_alive(&service);
    for (name, value) in [
        ("apns-topic", "com.example.game"),
        ("apns-push-type", "background"),
        ("apns-priority", "5"),
    ] {
        assert_eq!(told[0].header(name), Some(value), "{name}");
    }
    let bearer = told[0].header("authorization").unwrap();
    assert!(bearer.starts_with("bearer "), "{bearer}");
    let data = json!({
        "source": "cognito-sync",
        "identityPoolId": scene.guest.pool,
        "identityId": scene.guest.identity,
        "datasetName": "game",
        "syncCount": "2",
    });
    let expected = json!({ "aps": { "content-available": 1 }, "data": data });
    assert_eq!(told[0].json(), expected);
    // The second takes the first one's place on a device that has not seen it, and is another.
    let header = |name: &str| [told[0].header(name).unwrap(), told[1].header(name).unwrap()];
    let [first, second] = header("apns-collapse-id");
    assert_eq!(first, second);
    assert!(first.len() <= 64, "{first}");
    let [first, second] = header("apns-id");
    assert_ne!(first, second);
}

/// A server's side of TLS for this machine, and the authority that vouches for it, as PEM.
fn tls() -> (ServerConfig, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let pair = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&pair, &authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key);
    (config.unwrap(), authority.pem())
}

/// What a server says at the end that pushed to a service with these protocols of TLS.
async fn pushed_securely(protocols: &[&[u8]], outcome: &str) -> String {
    let (mut tls, authority) = tls();
    tls.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let service = WebService::start_as(Protocol::Secure(Arc::new(tls))).await;
    service.answers(as_apple);
    let directory = tempfile::tempdir().unwrap();
    write_key(directory.path());
    std::fs::write(directory.path().join("authority.pem"), authority).unwrap();
    let url = format!("https://localhost:{}", service.address.port());
    let config = format!("[push.\"{APNS}\"]\n{}", section(directory.path(), &url));
    std::fs::write(directory.path().join("c.toml"), config).unwrap();
    let mut command = serving(directory.path(), "data", &["--config", "c.toml"]);
    command.env("SSL_CERT_FILE", directory.path().join("authority.pem"));
    let running = Running::start(command);
    let mut scene = Scene::new(running.client().await).await;
    scene.follower("APNS", "ALIVE").await;
    scene.write(None, false).await;
    scene.counted(APNS, outcome, 1).await;
    stop(running)
}

#[tokio::test]
async fn over_tls_it_must_be_http_2() {
    let log = pushed_securely(&[b"h2", b"http/1.1"], "delivered").await;
    assert!(!log.contains("pushing by"), "{log}");
    let log = pushed_securely(&[], "retried").await;
    assert!(log.contains("the service does not speak HTTP/2"), "{log}");
}
