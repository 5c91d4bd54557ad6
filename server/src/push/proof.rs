//! Signed claims, by which a service knows who sends (JSON Web Tokens), and the keys that sign.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Head and claims with what `sign` makes of them; `None` if it makes nothing.
pub(super) fn signed(
    head: &Value,
    claims: &Value,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<String> {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(head), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes())?);
    Some(format!("{text}.{signature}"))
}

/// The bytes of a private key that is written between lines of dashes (PKCS #8 as PEM).
pub(super) fn pkcs8(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim);
    let inner: String = lines.filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(inner).ok()
}
