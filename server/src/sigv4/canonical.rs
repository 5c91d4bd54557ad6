//! The canonical request: the one text that both sides derive from a request and sign.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::{Unverified, incomplete};
use crate::error::ApiError;

/// What is percent-encoded wherever AWS services read text: everything but letters, digits and
/// `-._~`.
pub const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The same for paths, whose slashes stay.
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

/// What is hashed and signed.
#[derive(Debug)]
pub struct Canonical(Vec<u8>);

impl Canonical {
    pub(super) fn new(
        request: &Unverified<'_>,
        signed_headers: &[&str],
        body_hash: &str,
    ) -> Result<Self, ApiError> {
        let mut text = Vec::with_capacity(1024);
        line(&mut text, request.method.as_bytes());
        path(&mut text, request.path);
        line(&mut text, query(request.query).as_bytes());
        for name in signed_headers {
            header(&mut text, request, name)?;
        }
        line(&mut text, b"");
        line(&mut text, signed_headers.join(";").as_bytes());
        text.extend_from_slice(body_hash.as_bytes());
        Ok(Self(text))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

fn line(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(bytes);
    text.push(b'\n');
}

/// Encodes the path once, as it was sent: a sent `%3A` is signed as `%253A`, a sent `:` as `%3A`.
fn path(text: &mut Vec<u8>, sent: &str) {
    let sent = if sent.is_empty() { "/" } else { sent };
    for part in percent_encode(sent.as_bytes(), ENCODED_IN_PATH) {
        text.extend_from_slice(part.as_bytes());
    }
    line(text, b"");
}

/// Parameters in one spelling, sorted by it. What was sent is decoded first, since clients
/// differ in what they encode.
fn query(sent: &str) -> String {
    let encode = |part: &str| -> String {
        let decoded: Vec<u8> = percent_decode_str(part).collect();
        percent_encode(&decoded, ENCODED).collect()
    };
    let mut pairs: Vec<(String, String)> = sent
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

/// `name:value`, where several headers of that name become one, each without spaces around it
/// and with runs of spaces inside as one.
fn header(text: &mut Vec<u8>, request: &Unverified<'_>, name: &str) -> Result<(), ApiError> {
    let mut values = request.values(name).peekable();
    if values.peek().is_none() {
        return Err(incomplete(format!(
            "The signed header '{name}' is not in the request."
        )));
    }
    text.extend_from_slice(name.as_bytes());
    let mut separator = b':';
    for value in values {
        text.push(separator);
        separator = b',';
        let words = value
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(word);
        }
    }
    text.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_encoded_once_as_sent() {
        let path = |sent| {
            let mut text = Vec::new();
            super::path(&mut text, sent);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(path(""), "/\n");
        assert_eq!(path("/a:b"), "/a%3Ab\n");
        assert_eq!(path("/a%3Ab"), "/a%253Ab\n");
        assert_eq!(path("/a//b/../c/./-_.~*"), "/a//b/../c/./-_.~%2A\n");
        assert_eq!(path("/ä"), "/%C3%A4\n");
    }

    #[test]
    fn a_query_is_spelled_one_way_and_sorted() {
        assert_eq!(query(""), "");
        assert_eq!(query("b=2&a=%31&a"), "a=&a=1&b=2");
        assert_eq!(query("t=a+b%2fc%2Bd=="), "t=a%2Bb%2Fc%2Bd%3D%3D");
        assert_eq!(query("&&x=%zz"), "x=%25zz");
        // By the encoded spelling: `%` comes before letters.
        assert_eq!(query("a=1&%C3%A4=2&Z=3"), "%C3%A4=2&Z=3&a=1");
    }
}
