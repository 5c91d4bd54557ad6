//! Whatever AWS's own signer signs is accepted, and no longer when one part of it changes.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use proptest::prelude::*;
use syncline_server::error::ErrorKind;
use syncline_server::sigv4::Expected;

use crate::Request;

/// Signs a request in place, with AWS's code.
pub(crate) fn signed(
    mut request: Request,
    key: (&str, &str, Option<&str>),
    service: &str,
    now: u64,
    checksum: PayloadChecksumKind,
) -> Request {
    let (id, secret, token) = key;
    let identity = Credentials::new(id, secret, token.map(str::to_owned), None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = checksum;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name(service)
        .time(UNIX_EPOCH + Duration::from_secs(now))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = format!("http://127.0.0.1:7070{}?{}", request.path, request.query);
    let headers: Vec<(&str, &str)> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
        .collect();
    let body = SignableBody::Bytes(&request.body);
    let signable =
        SignableRequest::new(&request.method, &uri, headers.into_iter(), body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    for (name, value) in instructions.headers() {
        request.headers.push(crate::lower(name, value));
    }
    request
}

fn request() -> impl Strategy<Value = Request> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE")];
    // What a URI may hold as it is, and escapes of anything.
    let path = "(/([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2}){0,12}){1,6}";
    let pair = "[a-zA-Z0-9._~-]{1,8}(=([a-zA-Z0-9._~:/-]|%(2[0-9B-F]|C3%A4)){0,12})";
    let query = proptest::collection::vec(pair, 0..5);
    let extra = proptest::collection::btree_map("x-[a-z]{1,6}", "[!-~]([ -~]{0,20}[!-~])?", 0..4);
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (method, path, query, extra, body).prop_map(|(method, path, query, extra, body)| {
        let mut headers = vec![crate::lower("host", "127.0.0.1:7070")];
        headers.extend(extra.iter().map(|(name, value)| crate::lower(name, value)));
        Request { method: method.to_owned(), path, query: query.join("&"), headers, body }
    })
}

fn checksum() -> impl Strategy<Value = PayloadChecksumKind> {
    prop_oneof![Just(PayloadChecksumKind::NoHeader), Just(PayloadChecksumKind::XAmzSha256)]
}

proptest! {
    #[test]
    fn what_aws_signs_is_accepted_and_nothing_else(
        request in request(),
        checksum in checksum(),
        token in proptest::option::of("[A-Za-z0-9+/=]{1,80}"),
        secret in "[A-Za-z0-9+/]{8,40}",
        now in 1_000_000_000_u64..4_000_000_000,
        part in 0..7_u8,
        at in any::<proptest::sample::Index>(),
    ) {
        let key = ("AKIDEXAMPLE", secret.as_str(), token.as_deref());
        let good = signed(request, key, "cognito-sync", now, checksum);
        let expected = Expected { service: "cognito-sync", regions: &[], now };
        prop_assert_eq!(good.check(&secret, &expected), Some(Ok(())));

        let mut bad = good.clone();
        match part {
            0 => bad.method.push('X'),
            1 => bad.path.push('/'),
            2 => bad.query.push_str("&zz=1"),
            3 => bad.body.push(b' '),
            4 => bad.header("host").push(b'1'),
            5 => {
                // The last characters of the header are the signature.
                let value = bad.header("authorization");
                let digit = value.len() - 64 + at.index(64);
                value[digit] = if value[digit] == b'0' { b'1' } else { b'0' };
            }
            _ => {
                let other = format!("{secret}x");
                let error = good.check(&other, &expected).unwrap().unwrap_err();
                prop_assert_eq!(error.kind, ErrorKind::InvalidSignature);
                return Ok(());
            }
        }
        let error = bad.check(&secret, &expected).unwrap().unwrap_err();
        prop_assert_eq!(error.kind, ErrorKind::InvalidSignature);
    }
}
