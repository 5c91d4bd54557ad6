//! Tokens of a provider that is a real HTTP server with real keys.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::seal::SigningKey;

/// When these tests begin.
const NOW_MS: u64 = 1_700_000_000_000;
/// What a provider here calls itself.
pub(crate) const ISSUER: &str = "https://accounts.example";

/// A key pair of a provider.
pub(crate) struct TestKey {
    algorithm: Algorithm,
    encoding: EncodingKey,
    public: Value,
}

impl TestKey {
    pub(crate) fn rsa(kid: &str, algorithm: Algorithm) -> Self {
        let key = SigningKey::generate().unwrap();
        let public = json!({
            "kty": "RSA", "use": "sig", "kid": kid, "n": key.modulus, "e": key.exponent,
        });
        Self {
            algorithm,
            encoding: key.encoding,
            public,
        }
    }

    fn elliptic(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid,
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..]),
        });
        Self {
            algorithm: Algorithm::ES256,
            encoding: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()),
            public,
        }
    }

    fn kid(&self) -> String {
        self.public["kid"].as_str().unwrap().to_owned()
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.kid()),
            ..Header::new(self.algorithm)
        };
        jsonwebtoken::encode(&header, claims, &self.encoding).unwrap()
    }
}

/// Claims that are right for `ann` in the app `app`.
pub(crate) fn claims(user: &str) -> Value {
    let exp = NOW_MS / 1000 + 100_000;
    json!({ "iss": ISSUER, "sub": user, "aud": "app", "exp": exp, "email": "a@b.c" })
}

/// A server that publishes keys.
pub(crate) struct Issuer {
    pub(crate) url: String,
    published: Arc<Mutex<(u16, String)>>,
    fetches: Arc<AtomicUsize>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&TestKey]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?v=1", listener.local_addr().unwrap());
        let published = Arc::new(Mutex::new((200, String::new())));
        let fetches = Arc::new(AtomicUsize::new(0));
        let issuer = Self {
            url,
            published,
            fetches,
        };
        issuer.publish(keys);
        let (published, fetches) = (issuer.published.clone(), issuer.fetches.clone());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                    assert!(stream.read_buf(&mut request).await.unwrap() > 0);
                }
                assert!(request.starts_with(b"GET /keys?v=1 HTTP/1.1\r\n"));
                fetches.fetch_add(1, Ordering::Relaxed);
                let (status, body) = published.lock().unwrap().clone();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                // The client may hang up early when the body is too large for it.
                let _ = stream.write_all([head, body].concat().as_bytes()).await;
            }
        });
        issuer
    }

    fn answer(&self, status: u16, body: impl Into<String>) {
        *self.published.lock().unwrap() = (status, body.into());
    }

    pub(crate) fn publish(&self, keys: &[&TestKey]) {
        let keys: Vec<_> = keys.iter().map(|key| &key.public).collect();
        self.answer(200, json!({ "keys": keys }).to_string());
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::Relaxed)
    }

    pub(crate) fn config(&self) -> OpenIdConfig {
        OpenIdConfig {
            issuer: ISSUER.to_owned(),
            audience: vec!["app".to_owned(), "other-app".to_owned()],
            jwks_url: Some(self.url.clone()),
            jwks_file: None,
        }
    }

    fn providers(&self) -> Providers {
        Providers::new(&BTreeMap::from([("p".to_owned(), self.config())]))
    }
}

async fn verify(providers: &Providers, token: &str, now_ms: u64) -> Result<Subject, String> {
    let answer = providers.verify("p", token, now_ms).await;
    answer.map_err(|error| format!("{}: {}", error.kind.name(), error.message))
}

const UNVERIFIED: &str =
    "NotAuthorizedException: Invalid login token. Couldn't verify signed token.";

#[tokio::test]
async fn every_kind_of_key_verifies_and_is_fetched_once() {
    let keys = [
        TestKey::rsa("a", Algorithm::RS256),
        TestKey::rsa("b", Algorithm::RS512),
        TestKey::elliptic("c"),
    ];
    let issuer = Issuer::start(&[&keys[0], &keys[1], &keys[2]]).await;
    let providers = issuer.providers();
    for key in &keys {
        let found = verify(&providers, &key.sign(&claims("ann")), NOW_MS)
            .await
            .unwrap();
        let audience = vec!["app".to_owned()];
        let user = "ann".to_owned();
        assert_eq!(found, Subject { user, audience });
    }
    assert_eq!(issuer.fetches(), 1);
    let late = providers.verify("q", "token", NOW_MS).await.unwrap_err();
    assert_eq!(late, unsupported());
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_a_minute() {
    let (old, new) = (
        TestKey::rsa("old", Algorithm::RS256),
        TestKey::rsa("new", Algorithm::RS256),
    );
    let issuer = Issuer::start(&[&old]).await;
    let providers = issuer.providers();
    let (by_old, by_new) = (old.sign(&claims("ann")), new.sign(&claims("ann")));
    verify(&providers, &by_old, NOW_MS).await.unwrap();
    issuer.publish(&[&new]);
    for _ in 0..10 {
        assert_eq!(
            verify(&providers, &by_new, NOW_MS + RETRY_MS - 1)
                .await
                .unwrap_err(),
            UNVERIFIED
        );
    }
    assert_eq!(issuer.fetches(), 1);
    verify(&providers, &by_new, NOW_MS + RETRY_MS)
        .await
        .unwrap();
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(
        verify(&providers, &by_old, NOW_MS + RETRY_MS)
            .await
            .unwrap_err(),
        UNVERIFIED
    );
    let calls = (0..50).map(|_| verify(&providers, &by_old, NOW_MS + 2 * RETRY_MS));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap_err(), UNVERIFIED);
    }
    assert_eq!(issuer.fetches(), 3);
}

#[tokio::test]
async fn keys_are_asked_for_again_and_used_for_a_day_if_nobody_answers() {
    let key = TestKey::rsa("a", Algorithm::RS256);
    let issuer = Issuer::start(&[&key]).await;
    issuer.answer(500, "");
    let providers = issuer.providers();
    let token = key.sign(&claims("ann"));
    for now_ms in [NOW_MS, NOW_MS + RETRY_MS - 1] {
        let error = verify(&providers, &token, now_ms).await.unwrap_err();
        assert!(
            error.starts_with("ExternalServiceException: The keys of 'p'"),
            "{error}"
        );
    }
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(&[&key]);
    let fetched_ms = NOW_MS + RETRY_MS;
    verify(&providers, &token, fetched_ms).await.unwrap();
    issuer.answer(500, "");
    verify(&providers, &token, fetched_ms + FRESH_MS)
        .await
        .unwrap();
    assert_eq!(issuer.fetches(), 3, "keys grow old");
    verify(&providers, &token, fetched_ms + USABLE_MS - 1)
        .await
        .unwrap();
    let error = verify(&providers, &token, fetched_ms + USABLE_MS + RETRY_MS)
        .await
        .unwrap_err();
    assert!(error.starts_with("ExternalServiceException"), "{error}");
}

#[tokio::test]
async fn answers_that_are_no_key_set_are_not_believed() {
    let key = TestKey::rsa("a", Algorithm::RS256);
    let issuer = Issuer::start(&[&key]).await;
    let token = key.sign(&claims("ann"));
    let mut octets = key.public.clone();
    octets["kty"] = json!("oct");
    octets["k"] = json!("c2VjcmV0");
    let mut encrypting = key.public.clone();
    encrypting["use"] = json!("enc");
    let many = vec![key.public.clone(); 101];
    for (status, body) in [
        (302, String::new()),
        (200, "{".to_owned()),
        (200, json!({ "keys": [] }).to_string()),
        (200, json!({ "keys": [octets] }).to_string()),
        (200, json!({ "keys": [encrypting] }).to_string()),
        (200, json!({ "keys": many }).to_string()),
        (
            200,
            format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(SET_BYTES_MAX)),
        ),
    ] {
        issuer.answer(status, body);
        let error = verify(&issuer.providers(), &token, NOW_MS)
            .await
            .unwrap_err();
        assert!(error.starts_with("ExternalServiceException"), "{error}");
    }
}

#[tokio::test]
async fn a_token_must_be_from_the_provider_for_us_and_now() {
    let key = TestKey::rsa("a", Algorithm::RS256);
    let issuer = Issuer::start(&[&key]).await;
    let providers = issuer.providers();
    let now = NOW_MS / 1000;
    for (member, value, reason) in [
        (
            "iss",
            json!("https://other.example"),
            "Issuer doesn't match providerName",
        ),
        ("aud", json!("their-app"), "Incorrect token audience."),
        ("aud", json!([]), "Incorrect token audience."),
        (
            "aud",
            json!(7),
            "Not a valid OpenId Connect identity token.",
        ),
        ("exp", json!(now), "Token expired: 1700000000 >= 1700000000"),
        ("exp", json!("soon"), "Not a valid"),
        ("exp", json!(null), "Not a valid"),
        ("nbf", json!(now + 301), "Token is not valid yet."),
        ("sub", json!(""), "Not a valid"),
        ("sub", json!("s".repeat(1025)), "Not a valid"),
        ("sub", json!(null), "Not a valid"),
    ] {
        let mut bad = claims("ann");
        bad[member] = value.clone();
        let error = verify(&providers, &key.sign(&bad), NOW_MS)
            .await
            .unwrap_err();
        assert!(error.starts_with("NotAuthorizedException"), "{error}");
        assert!(error.contains(reason), "{member} {value}: {error}");
    }
    assert_eq!(
        issuer.fetches(),
        0,
        "none of them was worth asking for the keys"
    );
    let mut good = claims("ann");
    good["aud"] = json!(["x", "other-app", "app"]);
    good["nbf"] = json!(now + 300);
    good["exp"] = json!(1_700_000_000.5);
    let found = verify(&providers, &key.sign(&good), NOW_MS).await.unwrap();
    assert_eq!(found.audience, ["other-app", "app"]);
}

#[tokio::test]
async fn a_token_must_be_signed_by_the_key_that_it_names() {
    let key = TestKey::rsa("a", Algorithm::RS256);
    let (thief, other) = (
        TestKey::rsa("a", Algorithm::RS256),
        TestKey::rsa("b", Algorithm::RS256),
    );
    let issuer = Issuer::start(&[&key, &other]).await;
    let providers = issuer.providers();
    let token = key.sign(&claims("ann"));
    verify(&providers, &token, NOW_MS).await.unwrap();
    let stolen = thief.sign(&claims("ann"));
    assert_eq!(
        verify(&providers, &stolen, NOW_MS).await.unwrap_err(),
        UNVERIFIED
    );
    let parts: Vec<&str> = token.split('.').collect();
    let body = URL_SAFE_NO_PAD.encode(claims("bob").to_string());
    let swapped = format!("{}.{body}.{}", parts[0], parts[2]);
    assert_eq!(
        verify(&providers, &swapped, NOW_MS).await.unwrap_err(),
        UNVERIFIED
    );
    for header in [
        r#"{"alg":"none","kid":"a"}"#,
        r#"{"alg":"HS256","kid":"a"}"#,
        r#"{"alg":"RS384","kid":"a"}"#,
    ] {
        let header = URL_SAFE_NO_PAD.encode(header);
        for signature in ["", parts[2]] {
            let forged = format!("{header}.{}.{signature}", parts[1]);
            assert!(verify(&providers, &forged, NOW_MS).await.is_err());
        }
    }
    // The published key is no secret that a token may be signed with.
    let modulus = key.public["n"].as_str().unwrap();
    let secret = EncodingKey::from_secret(modulus.as_bytes());
    let header = Header {
        kid: Some("a".to_owned()),
        ..Header::new(Algorithm::HS256)
    };
    let forged = jsonwebtoken::encode(&header, &claims("ann"), &secret).unwrap();
    assert!(verify(&providers, &forged, NOW_MS).await.is_err());
    // Without a name only the one key there is can be meant.
    let header = Header::new(Algorithm::RS256);
    let nameless = jsonwebtoken::encode(&header, &claims("ann"), &key.encoding).unwrap();
    assert_eq!(
        verify(&providers, &nameless, NOW_MS).await.unwrap_err(),
        UNVERIFIED
    );
    issuer.publish(&[&key]);
    verify(&issuer.providers(), &nameless, NOW_MS)
        .await
        .unwrap();
    for no_token in ["", "a", "a.b", "a.b.c"] {
        assert!(verify(&providers, no_token, NOW_MS).await.is_err());
    }
}

#[tokio::test]
async fn keys_may_be_in_a_file() {
    let (old, new) = (
        TestKey::rsa("old", Algorithm::RS256),
        TestKey::rsa("new", Algorithm::RS256),
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let publish = |key: &TestKey| {
        std::fs::write(file.path(), json!({ "keys": [key.public] }).to_string()).unwrap();
    };
    publish(&old);
    let config = OpenIdConfig {
        issuer: ISSUER.to_owned(),
        audience: vec!["app".to_owned()],
        jwks_url: None,
        jwks_file: Some(file.path().to_owned()),
    };
    let providers = Providers::new(&BTreeMap::from([("p".to_owned(), config)]));
    verify(&providers, &old.sign(&claims("ann")), NOW_MS)
        .await
        .unwrap();
    publish(&new);
    verify(&providers, &new.sign(&claims("ann")), NOW_MS + RETRY_MS)
        .await
        .unwrap();
}
