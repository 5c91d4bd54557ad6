//! Who may call what of Cognito Identity: its signed operations are the developers', and a key
//! that is held to some pools may name no others.

use crate::error::ApiError;
use crate::realm::Realm;
use crate::routes::IdentityOperation;
use crate::wire::json;
use crate::wire::reach::Reached;

use super::{Caller, Developer, Effect, denied, may, session, user};

/// What an operation reaches, by what its body names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// A pool by its id.
    Pool,
    /// An identity by its id, in whatever pool.
    Identity,
    /// Many of them.
    Identities,
    /// A pool by its resource name.
    Resource,
    /// All pools, or one that does not exist yet.
    Everything,
}

/// The signed operations, row by row.
const SIGNED: [(IdentityOperation, Effect, Reach); 19] = {
    use Effect::{Reads, Writes};
    use IdentityOperation as O;
    [
        (O::CreateIdentityPool, Writes, Reach::Everything),
        (O::DeleteIdentities, Writes, Reach::Identities),
        (O::DeleteIdentityPool, Writes, Reach::Pool),
        (O::DescribeIdentity, Reads, Reach::Identity),
        (O::DescribeIdentityPool, Reads, Reach::Pool),
        (O::GetIdentityPoolRoles, Reads, Reach::Pool),
        // Makes the identity of a user who is new.
        (O::GetOpenIdTokenForDeveloperIdentity, Writes, Reach::Pool),
        (O::GetPrincipalTagAttributeMap, Reads, Reach::Pool),
        (O::ListIdentities, Reads, Reach::Pool),
        (O::ListIdentityPools, Reads, Reach::Everything),
        (O::ListTagsForResource, Reads, Reach::Resource),
        (O::LookupDeveloperIdentity, Reads, Reach::Pool),
        (O::MergeDeveloperIdentities, Writes, Reach::Pool),
        (O::SetIdentityPoolRoles, Writes, Reach::Pool),
        (O::SetPrincipalTagAttributeMap, Writes, Reach::Pool),
        (O::TagResource, Writes, Reach::Resource),
        (O::UnlinkDeveloperIdentity, Writes, Reach::Pool),
        (O::UntagResource, Writes, Reach::Resource),
        (O::UpdateIdentityPool, Writes, Reach::Pool),
    ]
};

/// Decides whether a signed operation of Cognito Identity may be called: by developers only.
/// `exists` tells whether an identity is in a pool now.
///
/// # Errors
/// `AccessDeniedException` for an identity, and for a developer's key beyond what it is held to;
/// `SerializationException` if that cannot be told of the body.
pub fn permit_identity(
    operation: IdentityOperation,
    caller: &Caller,
    body: &[u8],
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let Some((_, effect, reach)) = SIGNED.iter().find(|(row, ..)| *row == operation) else {
        return Err(ApiError::bug("a signed operation that no row allows"));
    };
    let principal = match caller {
        Caller::Developer(developer) => {
            if may(developer, *effect) && reaches(developer, *reach, body, exists)? {
                return Ok(());
            }
            user(developer, realm)
        }
        Caller::Identity { authenticated, .. } => session(*authenticated, realm),
    };
    let action = format!("cognito-identity:{}", operation.name());
    let Realm { region, account } = realm;
    let resource = format!("arn:aws:cognito-identity:{region}:{account}:identitypool/*");
    Err(denied(&principal, &action, &resource))
}

/// An identity that does not exist is beyond a key that is held, so that the key learns nothing.
fn reaches(
    developer: &Developer,
    reach: Reach,
    body: &[u8],
    exists: impl Fn(&str, &str) -> bool,
) -> Result<bool, ApiError> {
    if developer.pools.is_empty() {
        return Ok(true);
    }
    let named: Reached = json::read(body)?;
    let in_its_pools = |identity: &String| {
        let mut pools = developer.pools.iter();
        pools.any(|pool| exists(pool, identity))
    };
    let within = match reach {
        // Some of these name an identity as well.
        Reach::Pool => {
            let pool = named.identity_pool_id;
            pool.is_some_and(|pool| developer.reaches(&pool))
                && named.identity_id.as_ref().is_none_or(in_its_pools)
        }
        Reach::Identity => named.identity_id.as_ref().is_some_and(in_its_pools),
        Reach::Identities => named
            .identity_ids_to_delete
            .is_some_and(|identities| identities.iter().all(in_its_pools)),
        Reach::Resource => named
            .resource_pool()
            .is_some_and(|pool| developer.reaches(pool)),
        Reach::Everything => false,
    };
    Ok(within)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const REALM: Realm<'_> = Realm {
        region: "us-east-1",
        account: "000000000000",
    };

    fn ask(operation: IdentityOperation, caller: &Caller, body: &str) -> Result<(), ApiError> {
        permit_identity(
            operation,
            caller,
            body.as_bytes(),
            REALM,
            |pool, identity| {
                (pool, identity) == ("r:1", "r:11") || (pool, identity) == ("r:2", "r:22")
            },
        )
    }

    fn held(pools: &[&str], read_only: bool) -> Caller {
        Caller::Developer(Arc::new(Developer {
            pools: pools.iter().map(|&pool| pool.to_owned()).collect(),
            read_only,
            ..Developer::unrestricted("AKIAONE")
        }))
    }

    /// A body that names a pool or an identity of it in the way of a row.
    fn body(reach: Reach, pool: u8) -> String {
        match reach {
            Reach::Pool => format!(r#"{{"IdentityPoolId":"r:{pool}"}}"#),
            Reach::Identity => format!(r#"{{"IdentityId":"r:{pool}{pool}"}}"#),
            Reach::Identities => format!(r#"{{"IdentityIdsToDelete":["r:11","r:{pool}{pool}"]}}"#),
            Reach::Resource => {
                format!(r#"{{"ResourceArn":"arn:aws:cognito-identity:r:0:identitypool/r:{pool}"}}"#)
            }
            Reach::Everything => "{}".to_owned(),
        }
    }

    #[test]
    fn every_signed_operation_has_one_row() {
        for operation in IdentityOperation::ALL {
            let rows = SIGNED.iter().filter(|(row, ..)| row == operation).count();
            assert_eq!(
                rows,
                usize::from(operation.is_signed()),
                "{}",
                operation.name()
            );
        }
    }

    #[test]
    fn pools_are_the_developers() {
        let identity = Caller::Identity {
            pool: "r:1".to_owned(),
            identity: "r:11".to_owned(),
            authenticated: true,
        };
        for (operation, effect, reach) in SIGNED {
            let name = operation.name();
            let own = body(reach, 1);
            assert_eq!(
                ask(operation, &Caller::root("AKIAROOT"), "not read"),
                Ok(()),
                "{name}"
            );
            let error = ask(operation, &identity, &own).unwrap_err();
            assert_eq!(error.kind.name(), "AccessDeniedException", "{name}");
            let reads = effect == Effect::Reads;
            assert_eq!(
                ask(operation, &held(&[], true), &own).is_ok(),
                reads,
                "{name}"
            );
        }
    }

    #[test]
    fn its_own_pool_does_not_open_an_identity_of_another() {
        let one = held(&["r:1"], false);
        let operation = IdentityOperation::UnlinkDeveloperIdentity;
        let own = r#"{"IdentityPoolId":"r:1","IdentityId":"r:11"}"#;
        assert_eq!(ask(operation, &one, own), Ok(()));
        let foreign = r#"{"IdentityPoolId":"r:1","IdentityId":"r:22"}"#;
        let error = ask(operation, &one, foreign).unwrap_err();
        assert_eq!(error.kind.name(), "AccessDeniedException");
    }

    #[test]
    fn a_key_is_held_to_its_pools() {
        let one = held(&["r:1"], false);
        for (operation, _, reach) in SIGNED {
            let name = operation.name();
            let within = ask(operation, &one, &body(reach, 1)).is_ok();
            assert_eq!(within, reach != Reach::Everything, "{name}");
            for beyond in [body(reach, 2), body(reach, 3), "{}".to_owned()] {
                let error = ask(operation, &one, &beyond).unwrap_err();
                assert_eq!(
                    error.kind.name(),
                    "AccessDeniedException",
                    "{name} {beyond}"
                );
            }
            let both = held(&["r:1", "r:2"], false);
            let within = ask(operation, &both, &body(reach, 2)).is_ok();
            assert_eq!(within, reach != Reach::Everything, "{name}");
            let doubled = r#"{"IdentityPoolId":"r:1","IdentityPoolId":"r:2"}"#;
            let error = ask(operation, &one, doubled).unwrap_err();
            assert_eq!(error.kind.name(), "SerializationException", "{name}");
        }
    }
}
