//! Who may call the server's own operations. Those that reach across all pools are for developers'
//! keys that nothing holds.

use crate::error::ApiError;
use crate::realm::Realm;
use crate::routes::{Labels, OwnOperation};

use super::{Caller, Effect, Who, denied, forbidden, may, session, user};

/// Decides whether a caller may call an operation of the server's own on what the path names.
/// `exists` tells whether an identity is in a pool now.
///
/// # Errors
/// `NotAuthorizedException` for an identity that is gone; `AccessDeniedException` for an identity
/// beyond its own, and for a developer's key beyond what it is held to.
pub fn permit_own(
    operation: OwnOperation,
    caller: &Caller,
    labels: &Labels,
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let (who, effect) = match operation {
        OwnOperation::Backup => (Who::Developer, Effect::Writes),
        OwnOperation::ListChanges => (Who::Developer, Effect::Reads),
        OwnOperation::Events => (Who::Both, Effect::Reads),
    };
    let principal = match caller {
        // What is not of one pool has an empty id.
        Caller::Developer(developer)
            if developer.reaches(&labels.pool) && may(developer, effect) =>
        {
            return Ok(());
        }
        Caller::Developer(developer) => user(developer, realm),
        Caller::Identity { pool, identity, .. } if !exists(pool, identity) => {
            return Err(forbidden(identity));
        }
        Caller::Identity { pool, identity, .. }
            if who == Who::Both && labels.pool == *pool && labels.identity == *identity =>
        {
            return Ok(());
        }
        Caller::Identity { authenticated, .. } => session(*authenticated, realm),
    };
    let action = format!("syncline:{}", operation.name());
    Err(denied(&principal, &action, "*"))
}
