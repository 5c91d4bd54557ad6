//! Signature Version 4 of a request whose headers are few and known.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::failure::Result;

/// The region of all signatures; the server takes any.
const REGION: &str = "us-east-1";
const SECONDS_PER_DAY: u64 = 24 * 3600;

/// A request before it is signed.
pub struct Request<'a> {
    pub method: &'a str,
    /// As it is sent.
    pub path: &'a str,
    /// The path encoded once more, as it is signed.
    pub canonical_path: &'a str,
    /// What follows the question mark, in canonical form; empty: nothing.
    pub query: &'a str,
    /// Name and value of the only header that some requests have beside the usual ones.
    pub target: Option<&'a str>,
    pub content_type: &'a str,
    pub body: &'a [u8],
    /// Whether it is signed at all.
    pub signed: bool,
}

/// Signs for one service with one key, and remembers the key of the day.
pub struct Signer {
    access_key: String,
    secret: String,
    service: &'static str,
    /// What goes with the key of an identity; a developer's needs none.
    session: Option<String>,
    day: String,
    day_key: Vec<u8>,
}

impl Signer {
    pub fn new(access_key: &str, secret: &str, service: &'static str) -> Self {
        Self {
            access_key: access_key.to_owned(),
            secret: secret.to_owned(),
            service,
            session: None,
            day: String::new(),
            day_key: Vec::new(),
        }
    }

    /// One for the key of an identity.
    pub fn with_session(self, token: &str) -> Self {
        Self {
            session: Some(token.to_owned()),
            ..self
        }
    }

    /// The bytes to send, header block and body.
    pub fn seal(&mut self, request: &Request<'_>, host: &str) -> Result<Vec<u8>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let time = timestamp(now);
        let mark = if request.query.is_empty() { "" } else { "?" };
        let mut head = format!(
            "{} {}{mark}{} HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {time}\r\ncontent-type: {}\r\n\
             content-length: {}\r\n",
            request.method,
            request.path,
            request.query,
            request.content_type,
            request.body.len()
        );
        if let Some(token) = &self.session {
            write!(head, "x-amz-security-token: {token}\r\n")?;
        }
        if let Some(target) = request.target {
            write!(head, "x-amz-target: {target}\r\n")?;
        }
        if request.signed {
            let authorization = self.authorization(request, host, &time)?;
            write!(head, "authorization: {authorization}\r\n")?;
        }
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(request.body);
        Ok(bytes)
    }

    fn authorization(&mut self, request: &Request<'_>, host: &str, time: &str) -> Result<String> {
        let Request {
            method,
            canonical_path,
            query,
            content_type,
            body,
            ..
        } = request;
        let mut canonical = format!(
            "{method}\n{canonical_path}\n{query}\ncontent-type:{content_type}\nhost:{host}\n\
             x-amz-date:{time}\n"
        );
        let mut signed = "content-type;host;x-amz-date".to_owned();
        if let Some(token) = &self.session {
            writeln!(canonical, "x-amz-security-token:{token}")?;
            signed.push_str(";x-amz-security-token");
        }
        if let Some(target) = request.target {
            writeln!(canonical, "x-amz-target:{target}")?;
            signed.push_str(";x-amz-target");
        }
        write!(canonical, "\n{signed}\n{}", hex(&Sha256::digest(body)))?;
        let day = &time[..8];
        self.turn_to(day)?;
        let scope = format!("{day}/{REGION}/{}/aws4_request", self.service);
        let digest = hex(&Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let signature = hex(&keyed(&self.day_key, text.as_bytes())?);
        let key = &self.access_key;
        Ok(format!(
            "AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={signed}, \
             Signature={signature}"
        ))
    }

    fn turn_to(&mut self, day: &str) -> Result<()> {
        if self.day != day {
            let mut key = format!("AWS4{}", self.secret).into_bytes();
            for part in [day, REGION, self.service, "aws4_request"] {
                key = keyed(&key, part.as_bytes())?;
            }
            self.day_key = key;
            day.clone_into(&mut self.day);
        }
        Ok(())
    }
}

fn keyed(key: &[u8], text: &[u8]) -> Result<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
    mac.update(text);
    Ok(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// `20150830T123600Z` of a number of seconds since 1970.
pub fn timestamp(seconds: u64) -> String {
    let (day, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    // Days since the first of March of year 0, in eras of 400 years; so leap days come last.
    let shifted = day + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day_of_month:02}T{hour:02}{minute:02}{:02}Z",
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (4_107_542_399, "21000228T235959Z"),
            (4_107_542_400, "21000301T000000Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }

    /// The derived key of the example in the documentation of the signature process.
    #[test]
    fn the_key_of_the_day_is_that_of_the_documentation() {
        let mut signer = Signer::new("", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "iam");
        signer.turn_to("20150830").unwrap();
        assert_eq!(
            hex(&signer.day_key),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }
}
