//! Functions that are asked before records are stored: sections `[functions."ARN"]`.

use hyper::Uri;
use serde::{Deserialize, Deserializer};

use super::{Secret, shown_url};

/// Calls of one function at once, unless it is configured.
const CONCURRENCY: usize = 64;
/// More than any function is asked at once.
const CONCURRENCY_MAX: usize = 4096;

/// A section `[functions."ARN"]`: where the function of that name is.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Section")]
pub struct FunctionConfig {
    /// How it is called.
    pub target: FunctionTarget,
    /// How many calls may be under way at once; 1 to 4,096.
    pub concurrency: usize,
}

/// How a function is called.
#[derive(Clone, Debug)]
pub enum FunctionTarget {
    /// The event is posted, the answer is the changed event.
    Http {
        /// Where to.
        url: String,
        /// Signs the request, so that the function knows whose it is.
        secret: Option<Secret>,
    },
    /// AWS Lambda, or what speaks like it.
    Lambda {
        /// Where, without a path.
        endpoint_url: String,
        /// The region of the signature.
        region: String,
        /// Signs.
        access_key_id: String,
        /// Signs.
        secret_access_key: Secret,
        /// What the function is called there; `None`: the ARN.
        function_name: Option<String>,
    },
}

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(rename = "type", default)]
    kind: Kind,
    url: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    secret: Option<Secret>,
    endpoint_url: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
    #[serde(default, deserialize_with = "secret")]
    secret_access_key: Option<Secret>,
    function_name: Option<String>,
    concurrency: Option<usize>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Http,
    Lambda,
}

impl TryFrom<Section> for FunctionConfig {
    type Error = String;

    fn try_from(section: Section) -> Result<Self, String> {
        let concurrency = section.concurrency.unwrap_or(CONCURRENCY);
        if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
            return Err(format!(
                "concurrency must be between 1 and {CONCURRENCY_MAX}"
            ));
        }
        let target = match section.kind {
            Kind::Http => section.http()?,
            Kind::Lambda => section.lambda()?,
        };
        Ok(Self {
            target,
            concurrency,
        })
    }
}

impl Section {
    fn http(self) -> Result<FunctionTarget, String> {
        let of_lambda = [
            ("endpoint_url", self.endpoint_url.is_some()),
            ("region", self.region.is_some()),
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("function_name", self.function_name.is_some()),
        ];
        if let Some((name, _)) = of_lambda.iter().find(|(_, is_set)| *is_set) {
            return Err(format!("{name} needs type = \"lambda\""));
        }
        Ok(FunctionTarget::Http {
            url: address(self.url.ok_or("missing field `url`")?)?,
            secret: self.secret,
        })
    }

    fn lambda(self) -> Result<FunctionTarget, String> {
        for (name, is_set) in [
            ("url", self.url.is_some()),
            ("secret", self.secret.is_some()),
        ] {
            if is_set {
                return Err(format!("{name} is not for type = \"lambda\""));
            }
        }
        let region = self.region.ok_or("missing field `region`")?;
        let endpoint_url = self
            .endpoint_url
            .unwrap_or_else(|| format!("https://lambda.{region}.amazonaws.com"));
        Ok(FunctionTarget::Lambda {
            endpoint_url: address(endpoint_url)?,
            region,
            access_key_id: self.access_key_id.ok_or("missing field `access_key_id`")?,
            secret_access_key: self
                .secret_access_key
                .ok_or("missing field `secret_access_key`")?,
            function_name: self.function_name,
        })
    }
}

/// An address that can be asked.
pub(super) fn address(url: String) -> Result<String, String> {
    let uri = url.parse::<Uri>().ok();
    let authority = uri.as_ref().and_then(Uri::authority);
    let names_user = authority.is_some_and(|authority| authority.as_str().contains('@'));
    if names_user || authority.is_none() && url.contains('@') {
        // Not quoted: it may hold a secret.
        return Err("it must not hold a name or a password: they would not be sent".to_owned());
    }
    let scheme = uri.as_ref().and_then(Uri::scheme_str);
    if authority.is_some() && matches!(scheme, Some("http" | "https")) {
        return Ok(url);
    }
    // What follows the host may be a secret, too.
    Err(format!(
        "{:?} must be http://HOST[:PORT]/PATH or https://...",
        shown_url(&url)
    ))
}

/// A secret that must not be left out.
pub(super) fn needed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let secret = String::deserialize(deserializer)?;
    if secret.is_empty() {
        return Err(serde::de::Error::custom("a secret must not be empty"));
    }
    Ok(Secret::new(secret))
}

/// One that may be left out, and is not empty where it stands.
pub(super) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    needed(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FunctionConfig, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_function_has_an_address_or_speaks_like_lambda() {
        let plain = parse("url = \"http://h/f\"\nsecret = \"s\"").unwrap();
        assert_eq!(plain.concurrency, 64);
        assert!(!format!("{plain:?}").contains("\"s\""));
        let keys = "region = \"r\"\naccess_key_id = \"a\"\nsecret_access_key = \"s\"\n";
        let lambda = parse(&format!("type = \"lambda\"\n{keys}concurrency = 3")).unwrap();
        assert_eq!(lambda.concurrency, 3);
        let FunctionTarget::Lambda { endpoint_url, .. } = lambda.target else {
            panic!("not Lambda");
        };
        assert_eq!(endpoint_url, "https://lambda.r.amazonaws.com");
        for (text, reason) in [
            ("", "missing field `url`"),
            ("url = \"h/f\"", "must be http://"),
            ("url = \"ftp://h/f\"", "must be http://"),
            ("url = \"http://u:p@h/f\"", "must not hold a name"),
            ("url = \"http://u:p w@h/f\"", "must not hold a name"),
            ("url = \"http://h\"\nsecret = \"\"", "must not be empty"),
            ("url = \"http://h\"\nregion = \"r\"", "region needs type"),
            ("url = \"http://h\"\nconcurrency = 0", "between 1 and 4096"),
            ("url = \"http://h\"\nother = 0", "unknown field `other`"),
            ("type = \"lambda\"", "missing field `region`"),
            (
                "type = \"lambda\"\nregion = \"r\"",
                "missing field `access_key_id`",
            ),
            ("type = \"lambda\"\nurl = \"http://h\"", "url is not for"),
            ("type = \"other\"", "unknown variant `other`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
