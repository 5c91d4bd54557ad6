//! Signatures in the query, for who cannot set headers: a browser's EventSource.
//!
//! A URL signed so is good for [`EXPIRES_SECONDS_MAX`] at most, and only where the service looks
//! for one.

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::authorization::Authorization;
use super::{
    BOUND, Canonical, Expected, Signed, Unverified, date, hex, incomplete, refuse_doubled,
};
use crate::error::ApiError;

/// Longest life of a signed URL.
pub const EXPIRES_SECONDS_MAX: u64 = 300;
/// The parameter that is not signed.
const SIGNATURE: &str = "X-Amz-Signature";

/// A signature that came in a query, and that query without it.
#[derive(Debug)]
pub struct Presigned {
    /// As it would stand in a header.
    authorization: String,
    date: String,
    expires: u64,
    security_token: Option<String>,
    query: String,
}

/// Whether a query holds a signature.
#[must_use]
pub fn is_presigned(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some(SIGNATURE))
}

impl Presigned {
    /// Reads the signature of a query.
    ///
    /// # Errors
    /// `IncompleteSignatureException` for what is not of the form, or good for too long.
    pub fn read(query: &str) -> Result<Self, ApiError> {
        const NAMES: [&str; 7] = [
            "X-Amz-Algorithm",
            "X-Amz-Credential",
            "X-Amz-Date",
            "X-Amz-Expires",
            "X-Amz-SignedHeaders",
            SIGNATURE,
            "X-Amz-Security-Token",
        ];
        let mut found: [Option<String>; 7] = Default::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(place) = NAMES.iter().position(|known| *known == name) else {
                continue;
            };
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| incomplete(format!("'{name}' is not valid UTF-8.")))?;
            if found[place].replace(value.into_owned()).is_some() {
                return Err(incomplete(format!("The query has '{name}' twice.")));
            }
        }
        let missing = (0..6).find(|place| found[*place].is_none());
        if let Some(place) = missing {
            return Err(incomplete(format!("The query lacks '{}'.", NAMES[place])));
        }
        let [
            algorithm,
            credential,
            date,
            expires,
            headers,
            signature,
            security_token,
        ] = found.map(Option::unwrap_or_default);
        let expires = expires.parse().unwrap_or(0);
        if !(1..=EXPIRES_SECONDS_MAX).contains(&expires) {
            return Err(incomplete(format!(
                "X-Amz-Expires must be between 1 and {EXPIRES_SECONDS_MAX}."
            )));
        }
        Ok(Self {
            authorization: format!(
                "{algorithm} Credential={credential}, SignedHeaders={headers}, \
                 Signature={signature}"
            ),
            date,
            expires,
            security_token: Some(security_token).filter(|token| !token.is_empty()),
            query: unsigned(query),
        })
    }

    /// The signature, if it is meant for this server and is of now.
    ///
    /// # Errors
    /// Those of [`Signed::parse`]; also for a request that has an `Authorization` header as well.
    pub fn signed(
        &self,
        request: &Unverified<'_>,
        expected: &Expected<'_>,
    ) -> Result<Signed<'_>, ApiError> {
        refuse_doubled(request)?;
        for name in ["authorization", "x-amz-security-token"] {
            if request.values(name).next().is_some() {
                return Err(incomplete(format!(
                    "A request that is signed in its query must not have the header '{name}'."
                )));
            }
        }
        let authorization = Authorization::parse(&self.authorization)?;
        let scope = &authorization.scope;
        scope.check(expected)?;
        date::check_until(&self.date, scope.date, self.expires, expected.now)?;
        for name in BOUND {
            let must = name == "host" || request.values(name).next().is_some();
            if must && !authorization.signed_headers.contains(&name) {
                return Err(ApiError::invalid_signature(format!(
                    "'{name}' must be among X-Amz-SignedHeaders."
                )));
            }
        }
        let request = Unverified {
            query: &self.query,
            ..*request
        };
        let body_hash = hex(&Sha256::digest(request.body));
        let canonical = Canonical::new(&request, &authorization.signed_headers, &body_hash)?;
        let token = self.security_token.as_deref();
        Ok(Signed::new(authorization, &self.date, token, canonical))
    }
}

/// A query without its signature.
fn unsigned(query: &str) -> String {
    let pairs = query
        .split('&')
        .filter(|pair| pair.split('=').next() != Some(SIGNATURE));
    pairs.collect::<Vec<_>>().join("&")
}
