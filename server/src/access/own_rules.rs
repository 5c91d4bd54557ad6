//! Who may call the server's own operations: developers' keys that nothing holds, since these
//! operations reach across all pools.

use crate::error::ApiError;
use crate::realm::Realm;
use crate::routes::OwnOperation;

use super::{Caller, Effect, denied, forbidden, may, session, user};

/// Decides whether a caller may call an operation of the server's own. `exists` tells whether an
/// identity is in a pool now.
///
/// # Errors
/// `NotAuthorizedException` for an identity that is gone; `AccessDeniedException` for any other
/// identity, and for a developer's key that is held to pools or to reading.
pub fn permit_own(
    operation: OwnOperation,
    caller: &Caller,
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let effect = match operation {
        OwnOperation::Backup => Effect::Writes,
    };
    let principal = match caller {
        // What is not of one pool has an empty id.
        Caller::Developer(developer) if developer.reaches("") && may(developer, effect) => {
            return Ok(());
        }
        Caller::Developer(developer) => user(developer, realm),
        Caller::Identity { pool, identity, .. } if !exists(pool, identity) => {
            return Err(forbidden(identity));
        }
        Caller::Identity { authenticated, .. } => session(*authenticated, realm),
    };
    let action = format!("syncline:{}", operation.name());
    Err(denied(&principal, &action, "*"))
}
