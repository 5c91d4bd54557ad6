//! The server's own operations, beside both APIs: beneath `/syncline/v1/`.

use super::{Labels, labels, matches};
use crate::error::ApiError;

/// What their paths begin with.
const PREFIX: &str = "/syncline/v1/";

/// An operation of the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnOperation {
    /// Makes a backup of the store while it runs.
    Backup,
    /// Lists what changed in a pool.
    ListChanges,
    /// Tells of changes of an identity's datasets as they come.
    Events,
}

impl OwnOperation {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Backup, Self::ListChanges, Self::Events];

    /// Its name, in metrics and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::ListChanges => "ListChanges",
            Self::Events => "Events",
        }
    }

    /// Its method and its path.
    #[must_use]
    pub fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::Backup => ("POST", "/syncline/v1/backup"),
            Self::ListChanges => ("GET", "/syncline/v1/pools/{IdentityPoolId}/changes"),
            Self::Events => (
                "GET",
                "/syncline/v1/pools/{IdentityPoolId}/identities/{IdentityId}/events",
            ),
        }
    }

    /// Finds the operation of a path, and what that names; `None` if the path is not one of the
    /// server's own.
    ///
    /// # Errors
    /// `UnknownOperationException` and `MethodNotAllowedException`, within the answer, and
    /// `SerializationException` for a label that is not UTF-8.
    #[must_use]
    pub fn resolve(method: &str, path: &str) -> Option<Result<(Self, Labels), ApiError>> {
        if !path.starts_with(PREFIX) {
            return None;
        }
        let found = Self::ALL.iter().find(|own| matches(own.route().1, path));
        let Some(operation) = found else {
            let message = "No operation has this path.";
            return Some(Err(ApiError::unknown_operation(message)));
        };
        let (known, template) = operation.route();
        if method == known {
            return Some(labels(template, path).map(|labels| (*operation, labels)));
        }
        let message = format!("This path has {known}, not {method:?}.");
        Some(Err(ApiError::method_not_allowed(message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{MethodNotAllowed, UnknownOperation};

    #[test]
    fn paths_lead_to_their_operations() {
        for operation in OwnOperation::ALL {
            let (method, path) = operation.route();
            let path = path.replace(['{', '}'], "");
            let (found, labels) = OwnOperation::resolve(method, &path).unwrap().unwrap();
            assert_eq!(found, *operation);
            assert_eq!(labels.pool.is_empty(), !path.contains("/pools/"), "{path}");
        }
        let kind = |method, path| OwnOperation::resolve(method, path).map(|r| r.unwrap_err().kind);
        for (method, path, expected) in [
            ("POST", "/identitypools", None),
            ("POST", "/syncline/v1", None),
            ("POST", "/syncline/v1/", Some(UnknownOperation)),
            ("POST", "/syncline/v1/backup/", Some(UnknownOperation)),
            ("POST", "/syncline/v1/Backup", Some(UnknownOperation)),
            ("GET", "/syncline/v1/backup", Some(MethodNotAllowed)),
            ("GET", "/syncline/v1/pools//changes", Some(UnknownOperation)),
            (
                "POST",
                "/syncline/v1/pools/a/changes",
                Some(MethodNotAllowed),
            ),
            (
                "GET",
                "/syncline/v1/pools/a/identities//events",
                Some(UnknownOperation),
            ),
            (
                "POST",
                "/syncline/v1/pools/a/identities/b/events",
                Some(MethodNotAllowed),
            ),
        ] {
            assert_eq!(kind(method, path), expected, "{method} {path}");
        }
    }
}
