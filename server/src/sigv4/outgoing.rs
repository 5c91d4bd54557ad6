//! Signatures of requests that this server sends to services of the same kind.

use hmac::Mac;
use sha2::{Digest, Sha256};

use super::authorization::Scope;
use super::signing_key::derive;
use super::{ALGORITHM, Canonical, TERMINATOR, Unverified, basic_date, hex, hmac};
use crate::config::Secret;
use crate::error::ApiError;

/// Whom a request comes from, and which service in which region it is for.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The public half of the key.
    pub access_key_id: String,
    /// The private half.
    pub secret: Secret,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: &'static str,
}

impl Signer {
    /// The headers that sign a POST: `x-amz-date`, `x-amz-content-sha256` and `authorization`.
    ///
    /// `path` is path and query as they are sent; `headers` are in lower case and all signed, and
    /// so is `host`, which is not among them.
    ///
    /// # Errors
    /// None that can come of names in lower case.
    pub fn sign(
        &self,
        host: &str,
        path: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
        seconds: u64,
    ) -> Result<[(&'static str, String); 3], ApiError> {
        let (time, hash) = (basic_date(seconds), hex(&Sha256::digest(body)));
        let mut all: Vec<(&str, &[u8])> = vec![
            ("host", host.as_bytes()),
            ("x-amz-content-sha256", hash.as_bytes()),
            ("x-amz-date", time.as_bytes()),
        ];
        all.extend(
            headers
                .iter()
                .map(|(name, value)| (*name, value.as_bytes())),
        );
        let mut names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let request = Unverified {
            method: "POST",
            path,
            query,
            headers: &all,
            body,
        };
        let canonical = Canonical::new(&request, &names, &hash)?;
        let date = &time[..8];
        let text = format!("{date}/{}/{}/{TERMINATOR}", self.region, self.service);
        let scope = Scope {
            text: &text,
            date,
            region: &self.region,
            service: self.service,
        };
        let canonical = hex(&Sha256::digest(canonical.as_bytes()));
        let mut mac = hmac(&derive(self.secret.expose(), &scope));
        mac.update(format!("{ALGORITHM}\n{time}\n{text}\n{canonical}").as_bytes());
        let signature = hex(&mac.finalize().into_bytes());
        let (key, names) = (&self.access_key_id, names.join(";"));
        let authorization = format!(
            "{ALGORITHM} Credential={key}/{text}, SignedHeaders={names}, Signature={signature}"
        );
        Ok([
            ("x-amz-date", time),
            ("x-amz-content-sha256", hash),
            ("authorization", authorization),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::{Expected, Signed, SigningKeys};

    #[test]
    fn what_is_signed_is_what_a_server_verifies() {
        let signer = Signer {
            access_key_id: "AKIA1".to_owned(),
            secret: Secret::new("s3cret"),
            region: "eu-west-1".to_owned(),
            service: "lambda",
        };
        let path = "/2015-03-31/functions/arn%3Aaws%3Alambda/invocations?Qualifier=1";
        let (body, seconds) = (br#"{"a":1}"#, 1_795_305_600);
        let own = [("x-amz-invocation-type", "RequestResponse".to_owned())];
        let signed = signer.sign("host:8", path, &own, body, seconds).unwrap();
        let mut headers: Vec<(&str, &[u8])> = vec![("host", b"host:8")];
        let sent = own.iter().chain(&signed);
        headers.extend(sent.map(|(name, value)| (*name, value.as_bytes())));
        let (path, query) = path.split_once('?').unwrap();
        let mut request = Unverified {
            method: "POST",
            path,
            query,
            headers: &headers,
            body,
        };
        let expected = Expected {
            service: "lambda",
            regions: &[],
            now: seconds,
        };
        let keys = SigningKeys::new();
        let parsed = Signed::parse(&request, &expected).unwrap().unwrap();
        parsed.verify("s3cret", &keys).unwrap();
        parsed.verify("another", &keys).unwrap_err();
        request.query = "Qualifier=2";
        let parsed = Signed::parse(&request, &expected).unwrap().unwrap();
        parsed.verify("s3cret", &keys).unwrap_err();
    }
}
