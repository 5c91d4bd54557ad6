//! An address of the configuration, taken apart.

use hyper::Uri;

use super::OutboundError;

/// Where a connection goes, and what is asked for there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Name or number of the host, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the connection is encrypted.
    pub(super) secure: bool,
    /// What the header `host` says.
    pub(super) authority: String,
    /// Path and query; at least a slash.
    pub(super) path: String,
}

impl Address {
    /// Reads `http://HOST[:PORT][/PATH]` or the same with `https`.
    pub(super) fn parse(url: &str) -> Result<Self, OutboundError> {
        let not_ours = || OutboundError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| not_ours())?;
        let authority = uri.authority().ok_or_else(not_ours)?;
        let (port, secure) = match uri.scheme_str() {
            Some("http") => (80, false),
            Some("https") => (443, true),
            _ => return Err(not_ours()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            // An address of version 6 comes in brackets.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            secure,
            // What stands before an @ is no part of the host's name.
            authority: authority
                .as_str()
                .rsplit('@')
                .next()
                .unwrap_or_default()
                .to_owned(),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, host, port, secure, authority, path) in [
            ("http://a", "a", 80, false, "a", "/"),
            ("https://a/b?c=d", "a", 443, true, "a", "/b?c=d"),
            ("http://[::1]:7/", "::1", 7, false, "[::1]:7", "/"),
            ("http://u:p@a:9/x", "a", 9, false, "a:9", "/x"),
        ] {
            let found = Address::parse(url).unwrap();
            let expected = (host.to_owned(), port, secure, authority.to_owned());
            let of_found = (found.host, found.port, found.secure, found.authority);
            assert_eq!((of_found, found.path.as_str()), (expected, path), "{url}");
        }
        for url in [
            "",
            "/path",
            "ftp://a/",
            "http://",
            "file:///etc/hosts",
            "a:80",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(matches!(error, OutboundError::Address(_)), "{url}: {error}");
        }
    }
}
