//! Signs requests with AWS's own code, set as its SDKs set it for these APIs.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

/// Who signs, for what, when and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signer<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) security_token: Option<&'a str>,
    pub(crate) service: &'a str,
    /// Seconds since 1970.
    pub(crate) now: u64,
    /// Whether to send the hash of the body in a header of its own.
    pub(crate) sends_hash: bool,
}

impl Signer<'_> {
    /// The headers that a signature adds. `target` is path and query as they will be sent.
    pub(crate) fn sign(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<(String, String)> {
        let token = self.security_token.map(str::to_owned);
        let identity =
            Credentials::new(self.access_key_id, self.secret, token, None, "test").into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Double;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        if self.sends_hash {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name(self.service)
            .time(UNIX_EPOCH + Duration::from_secs(self.now))
            .settings(settings)
            .build()
            .unwrap()
            .into();
        let uri = format!("http://127.0.0.1:7070{target}");
        let body = SignableBody::Bytes(body);
        let signable = SignableRequest::new(method, &uri, headers.iter().copied(), body).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        instructions
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}
