//! URLs that are signed by AWS's own code.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::signer::Signer;

/// Everything but letters, digits and `-._~`.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A target that is signed itself, for so many seconds.
pub(crate) fn presign(signer: &Signer<'_>, target: &str, seconds: u64) -> String {
    let token = signer.security_token.map(str::to_owned);
    let identity =
        Credentials::new(signer.access_key_id, signer.secret, token, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Double;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(seconds));
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name(signer.service)
        .time(UNIX_EPOCH + Duration::from_secs(signer.now))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = format!("http://127.0.0.1:7070{target}");
    let headers = [("Host", "syncline.test")];
    let body = SignableBody::Bytes(b"");
    let signable = SignableRequest::new("GET", &uri, headers.into_iter(), body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut signed = target.to_owned();
    for (name, value) in instructions.params() {
        let separator = if signed.contains('?') { '&' } else { '?' };
        let value = utf8_percent_encode(value, UNRESERVED);
        signed.push_str(&format!("{separator}{name}={value}"));
    }
    signed
}
