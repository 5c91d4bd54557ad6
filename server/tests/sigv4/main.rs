//! The signature check, entered as the service enters it: AWS's own cases, AWS's own signer, and
//! every rule that callers may rely on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

mod round_trip;
mod rules;
#[path = "../signer/mod.rs"]
mod signer;
mod suite;

use syncline_server::error::ApiError;
use syncline_server::sigv4::{Expected, Signed, SigningKeys, Unverified};

/// A request that owns its parts.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    fn new(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = headers
            .iter()
            .map(|(name, value)| lower(name, value))
            .collect();
        let (method, body) = (method.to_owned(), body.as_bytes().to_vec());
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        }
    }

    /// Parses and verifies, as the service does. `None`: not signed.
    fn check(&self, secret: &str, expected: &Expected<'_>) -> Option<Result<(), ApiError>> {
        let headers: Vec<(&str, &[u8])> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        let request = Unverified {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &headers,
            body: &self.body,
        };
        match Signed::parse(&request, expected) {
            Ok(signed) => signed.map(|signed| signed.verify(secret, &SigningKeys::new())),
            Err(error) => Some(Err(error)),
        }
    }

    /// The same request with the headers of a signature.
    fn signed(mut self, signer: &signer::Signer<'_>) -> Self {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
            .collect();
        let target = format!("{}?{}", self.path, self.query);
        for (name, value) in signer.sign(&self.method, &target, &headers, &self.body) {
            self.headers.push(lower(&name, &value));
        }
        self
    }

    fn header(&mut self, name: &str) -> &mut Vec<u8> {
        let found = self.headers.iter_mut().find(|(found, _)| found == name);
        &mut found.unwrap_or_else(|| panic!("no {name}")).1
    }

    fn authorization(&mut self, change: impl Fn(String) -> String) {
        let value = self.header("authorization");
        *value = change(String::from_utf8(value.clone()).unwrap()).into_bytes();
    }
}

fn lower(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_ascii_lowercase(), value.as_bytes().to_vec())
}
