//! Whatever AWS's own signer signs is accepted, and no longer when one part of it changes.

use proptest::prelude::*;
use syncline_server::error::ErrorKind;
use syncline_server::sigv4::Expected;

use crate::Request;
use crate::signer::Signer;

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
        Request {
            method: method.to_owned(),
            path,
            query: query.join("&"),
            headers,
            body,
        }
    })
}

proptest! {
    #[test]
    fn what_aws_signs_is_accepted_and_nothing_else(
        request in request(),
        sends_hash in any::<bool>(),
        token in proptest::option::of("[A-Za-z0-9+/=]{1,80}"),
        secret in "[A-Za-z0-9+/]{8,40}",
        now in 1_000_000_000_u64..4_000_000_000,
        part in 0..7_u8,
        at in any::<proptest::sample::Index>(),
    ) {
        let good = request.signed(&Signer {
            access_key_id: "AKIDEXAMPLE",
            secret: &secret,
            security_token: token.as_deref(),
            service: "cognito-sync",
            now,
            sends_hash,
        });
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
