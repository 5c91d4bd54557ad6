//! Who may read what changes in pools: developers' keys that reach all of the pools.

use crate::error::ApiError;
use crate::realm::Realm;

use super::{Caller, denied, forbidden, session, user};

/// Decides whether a caller may read the changes of pools; none are those of a stream that does
/// not exist, which only a key that nothing holds is told. `action` and `resource` are for the
/// message. `exists` tells whether an identity is in a pool now.
///
/// # Errors
/// `NotAuthorizedException` for an identity that is gone; `AccessDeniedException` for any other
/// identity, and for a developer's key that does not reach all of the pools.
pub fn permit_stream<'a>(
    action: &str,
    resource: &str,
    caller: &Caller,
    pools: impl IntoIterator<Item = &'a str>,
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let principal = match caller {
        Caller::Developer(_) if reaches(caller, pools) => return Ok(()),
        Caller::Developer(developer) => user(developer, realm),
        Caller::Identity { pool, identity, .. } if !exists(pool, identity) => {
            return Err(forbidden(identity));
        }
        Caller::Identity { authenticated, .. } => session(*authenticated, realm),
    };
    Err(denied(&principal, action, resource))
}

/// Whether a caller is a developer whose key reaches all of these pools. None are as good as any.
#[must_use]
pub fn reaches<'a>(caller: &Caller, pools: impl IntoIterator<Item = &'a str>) -> bool {
    let Caller::Developer(developer) = caller else {
        return false;
    };
    let mut pools = pools.into_iter().peekable();
    match pools.peek() {
        None => developer.reaches(""),
        Some(_) => pools.all(|pool| developer.reaches(pool)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::Developer;
    use crate::error::ErrorKind;

    #[test]
    fn a_key_reads_the_streams_of_its_own_pools() {
        let held = Caller::Developer(Arc::new(Developer {
            pools: vec!["r:a".to_owned(), "r:b".to_owned()],
            read_only: true,
            ..Developer::unrestricted("AKIAONE")
        }));
        let root = Caller::root("AKIAROOT");
        let identity = Caller::Identity {
            pool: "r:a".to_owned(),
            identity: "r:1".to_owned(),
            authenticated: true,
        };
        let realm = Realm {
            region: "r",
            account: "000000000000",
        };
        for (pools, of_held) in [
            (&["r:a"][..], true),
            (&["r:a", "r:b"], true),
            (&["r:a", "r:c"], false),
            (&[], false),
        ] {
            let pools = || pools.iter().copied();
            assert_eq!(reaches(&held, pools()), of_held);
            assert!(reaches(&root, pools()));
            let permit = |caller, exists| {
                permit_stream("k:Read", "*", caller, pools(), realm, |_, _| exists)
            };
            assert_eq!(permit(&held, true).is_ok(), of_held);
            let error = permit(&identity, true).unwrap_err();
            assert_eq!(error.kind, ErrorKind::AccessDenied);
            assert!(error.message.ends_with("perform: k:Read on resource: *"));
            let error = permit(&identity, false).unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotAuthorized);
        }
    }
}
