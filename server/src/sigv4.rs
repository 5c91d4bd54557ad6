//! Whether a request was signed by who it says: AWS Signature Version 4 in the `Authorization`
//! header, or in the query.
//!
//! [`Signed::parse`] reads what a request claims and refuses what could not be right whatever the
//! secret; [`Signed::verify`] compares with the secret of the key that is claimed. Everything
//! refused before that, and every message, follows from the request alone, so no answer tells
//! whether a key exists: a caller that finds no key verifies with a secret that nobody has.
//!
//! It knows nothing of HTTP beyond names and bytes, and it never prints a secret or a signature.

mod authorization;
mod canonical;
mod date;
mod outgoing;
mod presigned;
mod signing_key;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::error::ApiError;
use authorization::Authorization;

pub use canonical::{Canonical, ENCODED};
pub use date::format as basic_date;
pub use outgoing::Signer;
pub use presigned::{EXPIRES_SECONDS_MAX, Presigned, is_presigned};
pub use signing_key::SigningKeys;

/// The one algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What ends every credential scope.
const TERMINATOR: &str = "aws4_request";
/// How far the signer's clock may be from ours, both ways: 5 minutes.
const WINDOW_SECONDS: u64 = 300;

/// What must not appear twice: a proxy and this server might each believe another one.
const SINGLE: [&str; 9] = [
    "authorization",
    "content-length",
    "content-type",
    "date",
    "host",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
];

/// What must be signed where it is present.
const BOUND: [&str; 3] = ["host", "x-amz-security-token", "x-amz-target"];

/// A request as its signature sees it.
#[derive(Clone, Copy, Debug)]
pub struct Unverified<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// The path, as sent: not decoded, not normalised.
    pub path: &'a str,
    /// What follows `?`, as sent; empty if nothing does.
    pub query: &'a str,
    /// Names in lower case, with their values, in the order sent.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> Unverified<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(found, _)| *found == name)
            .map(|(_, value)| *value)
    }

    /// The one value of a header that may appear once.
    fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        let Some(value) = self.values(name).next() else {
            return Ok(None);
        };
        std::str::from_utf8(value)
            .map(|text| Some(text.trim()))
            .map_err(|_| incomplete(format!("The header '{name}' is not valid UTF-8.")))
    }
}

/// What this server accepts.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The service name of the API called.
    pub service: &'a str,
    /// Regions that a scope may name; empty: any.
    pub regions: &'a [String],
    /// Seconds since 1970 by our clock.
    pub now: u64,
}

/// A signature that has the right form, is meant for this server and is of now: only the secret
/// is missing.
#[derive(Debug)]
pub struct Signed<'a> {
    authorization: Authorization<'a>,
    security_token: Option<&'a str>,
    canonical: Canonical,
    string_to_sign: String,
}

impl<'a> Signed<'a> {
    /// Reads the signature of a request; `None` if it has no `Authorization` header.
    ///
    /// # Errors
    /// `IncompleteSignatureException` for what is not of the form, `InvalidSignatureException` for
    /// what is, but is meant for another service, region, time or body.
    pub fn parse(
        request: &Unverified<'a>,
        expected: &Expected<'_>,
    ) -> Result<Option<Self>, ApiError> {
        refuse_doubled(request)?;
        let Some(header) = request.text("authorization")? else {
            return Ok(None);
        };
        let authorization = Authorization::parse(header)?;
        let Some(date) = request.text("x-amz-date")? else {
            return Err(incomplete(
                "Authorization header requires existence of a 'X-Amz-Date'.",
            ));
        };
        let scope = &authorization.scope;
        scope.check(expected)?;
        date::check(date, scope.date, expected.now)?;
        refuse_unbound(request, &authorization)?;
        let body_hash = hex(&Sha256::digest(request.body));
        check_claimed_hash(request, &body_hash)?;
        let canonical = Canonical::new(request, &authorization.signed_headers, &body_hash)?;
        let security_token = request.text("x-amz-security-token")?;
        let signed = Self::new(authorization, date, security_token, canonical);
        Ok(Some(signed))
    }

    fn new(
        authorization: Authorization<'a>,
        date: &str,
        security_token: Option<&'a str>,
        canonical: Canonical,
    ) -> Self {
        let digest = hex(&Sha256::digest(canonical.as_bytes()));
        let string_to_sign = [ALGORITHM, date, authorization.scope.text, &digest].join("\n");
        Self {
            authorization,
            security_token,
            canonical,
            string_to_sign,
        }
    }

    /// The key that the request claims to be signed with.
    #[must_use]
    pub fn access_key_id(&self) -> &'a str {
        self.authorization.access_key_id
    }

    /// The session token that belongs to the key, if one was sent. It is signed.
    #[must_use]
    pub fn security_token(&self) -> Option<&'a str> {
        self.security_token
    }

    /// The region that the signature is scoped to.
    #[must_use]
    pub fn region(&self) -> &'a str {
        self.authorization.scope.region
    }

    /// Compares the signature with that of a secret, in constant time.
    ///
    /// # Errors
    /// `InvalidSignatureException`, with what we took to be signed: it follows from the request,
    /// and helps whoever writes a client.
    pub fn verify(&self, secret: &str, keys: &SigningKeys) -> Result<(), ApiError> {
        let key = keys.get(secret, &self.authorization.scope);
        let mut mac = hmac(&key);
        mac.update(self.string_to_sign.as_bytes());
        mac.verify_slice(&self.authorization.signature).map_err(|_| {
            ApiError::invalid_signature(format!(
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details.\n\n\
                 The Canonical String for this request should have been\n'{}'\n\n\
                 The String-to-Sign should have been\n'{}'\n",
                self.canonical, self.string_to_sign
            ))
        })
    }
}

fn refuse_doubled(request: &Unverified<'_>) -> Result<(), ApiError> {
    for name in SINGLE {
        if request.values(name).nth(1).is_some() {
            return Err(incomplete(format!(
                "The header '{name}' must not appear twice."
            )));
        }
    }
    Ok(())
}

fn refuse_unbound(
    request: &Unverified<'_>,
    authorization: &Authorization<'_>,
) -> Result<(), ApiError> {
    for name in BOUND {
        let present = request.values(name).next().is_some();
        if present && !authorization.signed_headers.contains(&name) {
            return Err(ApiError::invalid_signature(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    // Without a host the signature would hold for any server that knows the key.
    if !authorization.signed_headers.contains(&"host") {
        return Err(ApiError::invalid_signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    Ok(())
}

/// The body is bound by the hash that we compute. A hash that is sent must agree with it, and the
/// words that stand for "not signed" are refused.
fn check_claimed_hash(request: &Unverified<'_>, computed: &str) -> Result<(), ApiError> {
    let Some(claimed) = request.text("x-amz-content-sha256")? else {
        return Ok(());
    };
    if claimed == computed {
        return Ok(());
    }
    let message = if claimed == "UNSIGNED-PAYLOAD" || claimed.starts_with("STREAMING-") {
        format!("The body must be signed: x-amz-content-sha256 must not be {claimed}.")
    } else {
        "The provided 'x-amz-content-sha256' header does not match what was computed.".to_owned()
    };
    Err(ApiError::invalid_signature(message))
}

fn incomplete(message: impl Into<String>) -> ApiError {
    ApiError::incomplete_signature(message)
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = vec![0; bytes.len() * 2];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    String::from_utf8(text).expect("digits are text")
}
