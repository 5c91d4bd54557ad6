//! Each rule of the signature check, by one request that breaks it and nothing else.

use syncline_server::error::{ApiError, ErrorKind};
use syncline_server::sigv4::{Expected, Signed, SigningKeys, Unverified};

use crate::Request;
use crate::signer::Signer;

const NOW: u64 = 1_795_305_600;
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const EXPECTED: Expected<'static> = Expected {
    service: "cognito-sync",
    regions: &[],
    now: NOW,
};

const SIGNER: Signer<'static> = Signer {
    access_key_id: "AKIDEXAMPLE",
    secret: SECRET,
    security_token: Some("token"),
    service: "cognito-sync",
    now: NOW,
    sends_hash: true,
};
/// With neither token nor hash.
const PLAIN: Signer<'static> = Signer {
    security_token: None,
    sends_hash: false,
    ..SIGNER
};

fn unsigned() -> Request {
    let headers = [
        ("Host", "127.0.0.1:7070"),
        ("Content-Type", "application/json"),
        ("X-Amz-Target", "Some.Operation"),
    ];
    Request::new("POST", "/identitypools/us-east-1%3Aa?x=1", &headers, "{}")
}

fn good() -> Request {
    unsigned().signed(&SIGNER)
}

fn refused(request: &Request) -> ApiError {
    request
        .check(SECRET, &EXPECTED)
        .expect("it is signed")
        .unwrap_err()
}

/// 65 bytes between the slashes.
const LONG_REGION: &str = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

#[test]
fn the_request_that_the_others_break_is_good() {
    assert_eq!(good().check(SECRET, &EXPECTED), Some(Ok(())));
}

#[test]
fn no_authorization_is_not_a_signature() {
    assert_eq!(unsigned().check(SECRET, &EXPECTED), None);
}

#[test]
fn malformed_authorizations_say_what_is_missing() {
    let cases: [(&str, &str, &str); 16] = [
        ("AWS4-HMAC-SHA256", "Bearer", "Unsupported algorithm"),
        (
            "AWS4-HMAC-SHA256",
            "AWS4-ECDSA-P256-SHA256",
            "Unsupported algorithm",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=",
            "Credential=",
            "Unsupported algorithm",
        ),
        ("Credential=", "Credentials=", "unknown parameter"),
        (
            "Credential=",
            "Signature=00, Credential=",
            "'Signature' twice",
        ),
        ("Credential=", "x, Credential=", "not of the form"),
        ("AKIDEXAMPLE/", "", "exactly 5"),
        ("AKIDEXAMPLE/", "/", "exactly 5"),
        ("/aws4_request", "/aws4_request/x", "exactly 5"),
        ("/aws4_request", "/aws5_request", "valid terminator"),
        // The region is the caller's text, and keys are cached under it.
        ("/eu-central-1/", "/eu_central_1/", "at most 64"),
        ("/eu-central-1/", LONG_REGION, "at most 64"),
        ("host;", "Host;", "lower-case"),
        ("SignedHeaders=", "SignedHeaders=x-zzz;", "ascending"),
        ("host;", "host;host;", "ascending"),
        ("Signature=", "Signature=0", "64 lower-case"),
    ];
    for (from, to, message) in cases {
        let mut request = good();
        request.authorization(|text| text.replacen(from, to, 1));
        let error = refused(&request);
        assert_eq!(
            error.kind,
            ErrorKind::IncompleteSignature,
            "{from} -> {to}: {error}"
        );
        assert!(error.message.contains(message), "{from} -> {to}: {error}");
    }
    for name in ["Credential", "SignedHeaders", "Signature"] {
        let mut request = good();
        request.authorization(|text| {
            let (algorithm, parameters) = text.split_once(' ').unwrap();
            let kept: Vec<&str> = parameters
                .split(", ")
                .filter(|p| !p.starts_with(name))
                .collect();
            format!("{algorithm} {}", kept.join(", "))
        });
        let error = refused(&request);
        assert_eq!(error.kind, ErrorKind::IncompleteSignature);
        assert_eq!(
            error.message,
            format!("Authorization header requires '{name}' parameter.")
        );
    }
    let mut request = good();
    *request.header("authorization") = b"AWS4-HMAC-SHA256 \xff".to_vec();
    assert_eq!(refused(&request).kind, ErrorKind::IncompleteSignature);
}

#[test]
fn parameters_may_come_in_any_order_with_or_without_spaces() {
    let mut request = good();
    request.authorization(|text| {
        let (algorithm, parameters) = text.split_once(' ').unwrap();
        let mut parameters: Vec<&str> = parameters.split(", ").collect();
        parameters.reverse();
        format!("{algorithm} {}", parameters.join(","))
    });
    assert_eq!(request.check(SECRET, &EXPECTED), Some(Ok(())));
}

#[test]
fn the_scope_must_be_ours() {
    let other_service = Expected {
        service: "cognito-identity",
        ..EXPECTED
    };
    let error = good().check(SECRET, &other_service).unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSignature);
    assert!(
        error
            .message
            .contains("correct service: 'cognito-identity'"),
        "{error}"
    );
    let regions = ["us-east-1".to_owned(), "eu-central-1".to_owned()];
    let listed = Expected {
        regions: &regions,
        ..EXPECTED
    };
    assert_eq!(good().check(SECRET, &listed), Some(Ok(())));
    let unlisted = Expected {
        regions: &regions[..1],
        ..EXPECTED
    };
    let error = good().check(SECRET, &unlisted).unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSignature);
    assert!(error.message.contains("valid region"), "{error}");
}

#[test]
fn the_clock_may_be_five_minutes_away() {
    for (now, accepted) in [
        (NOW + 300, true),
        (NOW - 300, true),
        (NOW + 301, false),
        (NOW - 301, false),
    ] {
        let result = good().check(SECRET, &Expected { now, ..EXPECTED }).unwrap();
        assert_eq!(result.is_ok(), accepted, "{now}");
        if let Err(error) = result {
            assert_eq!(error.kind, ErrorKind::InvalidSignature);
        }
    }
}

#[test]
fn the_date_must_be_there_and_of_the_scopes_day() {
    let mut request = good();
    request.headers.retain(|(name, _)| name != "x-amz-date");
    assert_eq!(refused(&request).kind, ErrorKind::IncompleteSignature);
    let mut request = good();
    request.authorization(|text| text.replace("/20261122/", "/20261121/"));
    let error = refused(&request);
    assert_eq!(error.kind, ErrorKind::InvalidSignature);
    assert!(error.message.contains("does not match YYYYMMDD"), "{error}");
}

#[test]
fn host_target_and_token_must_be_signed() {
    for (list, name) in [
        ("host;", "host"),
        (";x-amz-target", "x-amz-target"),
        (";x-amz-security-token", "x-amz-security-token"),
    ] {
        let mut request = good();
        request.authorization(|text| text.replacen(list, "", 1));
        let error = refused(&request);
        assert_eq!(error.kind, ErrorKind::InvalidSignature);
        let message = format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.");
        assert_eq!(error.message, message);
    }
    let mut request = good();
    request.headers.retain(|(name, _)| name != "host");
    assert_eq!(refused(&request).kind, ErrorKind::IncompleteSignature);
    request.authorization(|text| text.replacen("host;", "", 1));
    let error = refused(&request);
    assert_eq!(error.kind, ErrorKind::InvalidSignature);
    assert!(error.message.contains("'Host' or ':authority'"), "{error}");
}

#[test]
fn a_token_or_target_added_later_is_not_believed() {
    for (name, value) in [
        ("x-amz-security-token", "stolen"),
        ("x-amz-target", "Other.Op"),
    ] {
        let mut request = unsigned();
        request.headers.retain(|(found, _)| found != "x-amz-target");
        let mut request = request.signed(&PLAIN);
        assert_eq!(request.check(SECRET, &EXPECTED), Some(Ok(())));
        request.headers.push(crate::lower(name, value));
        assert_eq!(
            refused(&request).kind,
            ErrorKind::InvalidSignature,
            "{name}"
        );
    }
}

#[test]
fn headers_that_matter_must_not_be_doubled() {
    for name in [
        "authorization",
        "content-type",
        "host",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-target",
    ] {
        let mut request = good();
        let again = request.header(name).clone();
        request.headers.push((name.to_owned(), again));
        let error = refused(&request);
        assert_eq!(error.kind, ErrorKind::IncompleteSignature, "{name}");
        assert_eq!(
            error.message,
            format!("The header '{name}' must not appear twice.")
        );
    }
}

#[test]
fn a_signed_header_must_be_in_the_request() {
    let mut request = good();
    request.authorization(|text| text.replacen("host;", "host;x-absent;", 1));
    // Names are ascending still: "host" < "x-absent" < "x-amz-...".
    let error = refused(&request);
    assert_eq!(error.kind, ErrorKind::IncompleteSignature);
    assert_eq!(
        error.message,
        "The signed header 'x-absent' is not in the request."
    );
}

#[test]
fn the_body_is_always_bound() {
    for claimed in [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "",
    ] {
        let mut request = good();
        *request.header("x-amz-content-sha256") = claimed.as_bytes().to_vec();
        let error = refused(&request);
        assert_eq!(error.kind, ErrorKind::InvalidSignature, "{claimed}");
        assert!(
            error.message.contains("x-amz-content-sha256"),
            "{claimed}: {error}"
        );
    }
    // Without the header the body is bound all the same.
    let mut request = unsigned().signed(&PLAIN);
    assert_eq!(request.check(SECRET, &EXPECTED), Some(Ok(())));
    request.body = b"[]".to_vec();
    assert_eq!(refused(&request).kind, ErrorKind::InvalidSignature);
}

#[test]
fn a_sent_colon_and_a_sent_escape_are_different_paths() {
    let mut request = good();
    request.path = request.path.replace("%3A", ":");
    assert_eq!(refused(&request).kind, ErrorKind::InvalidSignature);
    let plain = Request {
        path: request.path,
        ..unsigned()
    }
    .signed(&PLAIN);
    assert_eq!(plain.check(SECRET, &EXPECTED), Some(Ok(())));
}

#[test]
fn messages_hold_no_secret_and_no_signature() {
    let mut request = good();
    let authorization = String::from_utf8(request.header("authorization").clone()).unwrap();
    let signature = authorization.rsplit('=').next().unwrap();
    let error = request.check("another", &EXPECTED).unwrap().unwrap_err();
    assert_eq!(signature.len(), 64);
    assert!(!error.message.contains(signature) && !error.message.contains("another"));
    assert!(
        error
            .message
            .contains("AWS4-HMAC-SHA256\n20261122T000000Z\n20261122/eu-central-1/")
    );
}

#[test]
fn what_is_claimed_can_be_read_before_the_secret_is_known() {
    let request = good();
    let headers: Vec<(&str, &[u8])> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let unverified = Unverified {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        headers: &headers,
        body: &request.body,
    };
    let signed = Signed::parse(&unverified, &EXPECTED).unwrap().unwrap();
    assert_eq!(signed.access_key_id(), "AKIDEXAMPLE");
    assert_eq!(signed.security_token(), Some("token"));
    assert_eq!(signed.region(), "eu-central-1");
    assert!(!format!("{signed:?}").contains("Signature"));
    // The keys' memory gives the same answers as none, for right and wrong secrets.
    let keys = SigningKeys::new();
    for _ in 0..3 {
        assert!(signed.verify(SECRET, &keys).is_ok());
        assert!(signed.verify("another", &keys).is_err());
    }
}
