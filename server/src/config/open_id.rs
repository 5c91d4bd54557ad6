//! OpenID Connect providers whose users may sign in: sections `[openid."NAME"]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::functions::address;
use super::{ConfigError, refuse};

/// Name of the section, for errors.
const SECTION: &str = "[openid]";
/// The provider name of this server's own tokens.
const OWN_PROVIDER: &str = "cognito-identity.amazonaws.com";
/// Longest name of a provider, in characters, as in the API model.
const NAME_CHARS_MAX: usize = 128;
/// Most providers.
const PROVIDERS_MAX: usize = 100;

/// Section `[openid."NAME"]`. The name is the key in the map of logins, and what a pool names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenIdConfig {
    /// What the tokens' `iss` must be.
    pub issuer: String,
    /// What the tokens' `aud` must have one of: ids of the operator's apps at the provider.
    pub audience: Vec<String>,
    /// Where the provider publishes its keys.
    pub jwks_url: Option<String>,
    /// Or a file with its keys, read anew when they change.
    pub jwks_file: Option<PathBuf>,
}

impl OpenIdConfig {
    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        let say = |why: &str| refuse(SECTION, format!("{name:?}: {why}"));
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name == OWN_PROVIDER {
            return say("the name must have 1 to 128 characters and not be this server's own");
        }
        if self.issuer.is_empty() {
            return say("issuer must not be empty");
        }
        if self.audience.is_empty() || self.audience.iter().any(String::is_empty) {
            return say("audience must name at least one app, and none of them empty");
        }
        match (&self.jwks_url, &self.jwks_file) {
            (Some(url), None) => match address(url.clone()) {
                Ok(_) => Ok(()),
                Err(why) => say(&format!("jwks_url: {why}")),
            },
            (None, Some(_)) => Ok(()),
            _ => say("exactly one of jwks_url and jwks_file is needed"),
        }
    }
}

pub(super) fn check_number(providers: usize) -> Result<(), ConfigError> {
    if providers > PROVIDERS_MAX {
        return refuse(SECTION, format!("has more than {PROVIDERS_MAX} providers"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn check(section: &str) -> Result<(), String> {
        let config: Config = toml::from_str(section).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_provider_has_a_name_an_issuer_an_audience_and_one_place_of_keys() {
        let head = "[openid.\"accounts.example\"]\nissuer = \"https://accounts.example\"\n";
        let good = "audience = [\"app\"]\njwks_file = \"keys.json\"\n";
        check(&format!("{head}{good}")).unwrap();
        let url = "audience = [\"app\"]\njwks_url = \"https://accounts.example/keys\"\n";
        check(&format!("{head}{url}")).unwrap();
        for (section, reason) in [
            (format!("{head}audience = [\"app\"]\n"), "exactly one of"),
            (
                format!("{head}{good}jwks_url = \"http://x/y\"\n"),
                "exactly one of",
            ),
            (
                format!("{head}audience = []\njwks_file = \"k\"\n"),
                "audience",
            ),
            (
                format!("{head}audience = [\"\"]\njwks_file = \"k\"\n"),
                "audience",
            ),
            (format!("{head}{good}other = 1\n"), "unknown field"),
            (
                format!("{head}jwks_file = \"k\"\n"),
                "missing field `audience`",
            ),
            (
                format!("[openid.\"a\"]\nissuer = \"\"\n{good}"),
                "issuer must not be empty",
            ),
            (
                format!("[openid.\"cognito-identity.amazonaws.com\"]\nissuer = \"i\"\n{good}"),
                "not be this server's own",
            ),
            (
                format!("{head}audience = [\"a\"]\njwks_url = \"ftp://x\"\n"),
                "jwks_url: \"ftp://x\" must be http://",
            ),
            (
                format!("{head}audience = [\"a\"]\njwks_url = \"https://u:p@x/y\"\n"),
                "jwks_url: it must not hold a name or a password",
            ),
            (
                format!("{head}audience = [\"a\"]\njwks_url = \"http:///x\"\n"),
                "must be http://",
            ),
        ] {
            let error = check(&section).unwrap_err();
            assert!(error.contains(reason), "{section}: {error}");
        }
    }
}
