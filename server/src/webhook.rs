//! How requests to the operator's own services are signed, so that those can tell them from
//! anybody else's.
//!
//! The signature is HMAC-SHA256 with the configured secret over the time, a dot and the body. The
//! time lets a receiver refuse what somebody recorded and sends again later.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::Secret;
use crate::sigv4::hex;

/// Header with the time of signing, in seconds since 1970.
pub const TIME_HEADER: &str = "x-syncline-timestamp";
/// Header with `v1=` and the signature in lower-case hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "x-syncline-signature";

/// The headers that sign a body at a time.
#[must_use]
pub fn signed_headers(secret: &Secret, seconds: u64, body: &[u8]) -> [(&'static str, String); 2] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes keys of any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let signature = hex(&mac.finalize().into_bytes());
    [
        (TIME_HEADER, seconds.to_string()),
        (SIGNATURE_HEADER, format!("v1={signature}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_other_programs() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac whsec
        let secret = Secret::new("whsec");
        let [time, signature] = signed_headers(&secret, 1_700_000_000, br#"{"a":1}"#);
        assert_eq!(time, (TIME_HEADER, "1700000000".to_owned()));
        assert_eq!(signature.0, SIGNATURE_HEADER);
        assert_eq!(
            signature.1,
            "v1=8ad37ba156048ae0e0a5533c75cdf26fee88b07f93cb57ee4c80adb053012032"
        );
    }
}
