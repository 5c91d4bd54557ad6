//! The `Authorization` header: who signs, for what scope, which headers, and the signature.

use super::{ALGORITHM, Expected, TERMINATOR, incomplete};
use crate::error::ApiError;

/// More signed headers than any client has; each is looked for among those sent.
const SIGNED_HEADERS_MAX: usize = 64;

/// Longest region of a scope, in bytes: derived keys are cached under it.
const REGION_BYTES_MAX: usize = 64;

/// The parts of a well-formed header.
pub(super) struct Authorization<'a> {
    pub access_key_id: &'a str,
    pub scope: Scope<'a>,
    /// Lower case, ascending, each once.
    pub signed_headers: Vec<&'a str>,
    pub signature: [u8; 32],
}

// Written by hand so that no log ever holds a signature.
impl std::fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Authorization({}/{})",
            self.access_key_id, self.scope.text
        )
    }
}

/// What a signature is good for: a day, a region and a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// `yyyymmdd/region/service/aws4_request`
    pub text: &'a str,
    pub date: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

impl<'a> Authorization<'a> {
    /// Takes `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`, the parameters
    /// in any order.
    pub(super) fn parse(header: &'a str) -> Result<Self, ApiError> {
        let (algorithm, parameters) = header.split_once(' ').unwrap_or((header, ""));
        if algorithm != ALGORITHM {
            return Err(incomplete(format!(
                "Unsupported algorithm in the Authorization header; {ALGORITHM} is needed."
            )));
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',').map(str::trim) {
            let (name, value) = parameter.split_once('=').ok_or_else(|| {
                incomplete("A parameter of the Authorization header is not of the form name=value.")
            })?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => {
                    return Err(incomplete(
                        "The Authorization header has an unknown parameter.",
                    ));
                }
            };
            if place.replace(value).is_some() {
                return Err(incomplete(format!(
                    "Authorization header has '{name}' twice."
                )));
            }
        }
        let (access_key_id, scope) = parse_credential(required("Credential", credential)?)?;
        let signed_headers = parse_signed_headers(required("SignedHeaders", signed_headers)?)?;
        let signature = parse_signature(required("Signature", signature)?)?;
        Ok(Self {
            access_key_id,
            scope,
            signed_headers,
            signature,
        })
    }
}

impl Scope<'_> {
    /// Refuses a scope of another service or region.
    pub(super) fn check(&self, expected: &Expected<'_>) -> Result<(), ApiError> {
        if self.service != expected.service {
            return Err(ApiError::invalid_signature(format!(
                "Credential should be scoped to correct service: '{}'.",
                expected.service
            )));
        }
        if !expected.regions.is_empty() && !expected.regions.iter().any(|r| r == self.region) {
            return Err(ApiError::invalid_signature(
                "Credential should be scoped to a valid region.",
            ));
        }
        Ok(())
    }
}

fn required<'a>(name: &str, value: Option<&'a str>) -> Result<&'a str, ApiError> {
    value
        .filter(|value| !value.is_empty())
        .ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
}

fn parse_credential(credential: &str) -> Result<(&str, Scope<'_>), ApiError> {
    let wrong = || {
        incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term.",
        )
    };
    let (access_key_id, text) = credential.split_once('/').ok_or_else(wrong)?;
    let parts: Vec<&str> = text.split('/').collect();
    let [date, region, service, terminator] = parts[..] else {
        return Err(wrong());
    };
    if access_key_id.is_empty() || region.is_empty() {
        return Err(wrong());
    }
    let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if region.len() > REGION_BYTES_MAX || !region.bytes().all(named) {
        return Err(incomplete(
            "Credential's region must be at most 64 letters, digits and hyphens.",
        ));
    }
    if terminator != TERMINATOR {
        return Err(incomplete(format!(
            "Credential should be scoped with a valid terminator: '{TERMINATOR}'."
        )));
    }
    Ok((
        access_key_id,
        Scope {
            text,
            date,
            region,
            service,
        },
    ))
}

/// Sorted, as every signer must list them: a second order would be a second signature for the
/// same request.
fn parse_signed_headers(list: &str) -> Result<Vec<&str>, ApiError> {
    let names: Vec<&str> = list.split(';').collect();
    let lower = |name: &&str| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase());
    if names.len() > SIGNED_HEADERS_MAX
        || !names.iter().all(lower)
        || !names.is_sorted_by(|a, b| a < b)
    {
        return Err(incomplete(
            "SignedHeaders must be lower-case header names, ascending, each once, joined by ';'.",
        ));
    }
    Ok(names)
}

fn parse_signature(text: &str) -> Result<[u8; 32], ApiError> {
    let wrong = || incomplete("Signature must be 64 lower-case hexadecimal digits.");
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(wrong()),
    };
    if text.len() != 64 {
        return Err(wrong());
    }
    let mut signature = [0; 32];
    for (place, pair) in signature.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(signature)
}
