//! Who a signer is, and who may call what.
//!
//! The rules are one table over each API. Beyond the table an identity reaches only its own pool
//! and identity, and only while both exist: deleting either acts at once on every credential that
//! was given out for it.

mod credentials;
mod developer;
mod identity_rules;
mod own_rules;
mod stream_rules;

use std::sync::Arc;

use crate::error::ApiError;
use crate::realm::Realm;
use crate::routes::{Labels, SyncOperation};

pub use credentials::{CREDENTIALS_LIFE_MS, Resolved, Temporary, give, resolve};
pub use developer::{Developer, DeveloperKeys, KEYS_MAX, new_key_id};
pub use identity_rules::permit_identity;
pub use own_rules::permit_own;
pub use stream_rules::{permit_stream, reaches};

/// A verified signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever has a developer's key: the root key, which may act for every identity, or one that
    /// is held to less.
    Developer(Arc<Developer>),
    /// A user with temporary credentials.
    Identity {
        /// The pool.
        pool: String,
        /// The identity.
        identity: String,
        /// Whether a login was proved, or it is a guest.
        authenticated: bool,
    },
}

impl Caller {
    /// A developer whom nothing holds.
    #[must_use]
    pub fn root(key: impl Into<String>) -> Self {
        Self::Developer(Arc::new(Developer::unrestricted(key)))
    }

    /// A developer's access key id, or the identity.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Developer(developer) => &developer.key,
            Self::Identity { identity, .. } => identity,
        }
    }
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Developer,
    Identity,
    Both,
}

/// Whether an operation changes anything that is stored. A session that a listing opens is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

/// Cognito Sync, row by row, as the original allows it.
const SYNC: [(SyncOperation, Who, Effect); 17] = {
    use Effect::{Reads, Writes};
    use SyncOperation as O;
    [
        (O::BulkPublish, Who::Developer, Writes),
        (O::GetBulkPublishDetails, Who::Developer, Reads),
        (O::GetCognitoEvents, Who::Developer, Reads),
        (O::SetCognitoEvents, Who::Developer, Writes),
        (O::GetIdentityPoolConfiguration, Who::Developer, Reads),
        (O::SetIdentityPoolConfiguration, Who::Developer, Writes),
        (O::DescribeIdentityPoolUsage, Who::Developer, Reads),
        (O::ListIdentityPoolUsage, Who::Developer, Reads),
        (O::RegisterDevice, Who::Identity, Writes),
        (O::SubscribeToDataset, Who::Identity, Writes),
        (O::UnsubscribeFromDataset, Who::Identity, Writes),
        (O::ListDatasets, Who::Both, Reads),
        (O::ListRecords, Who::Both, Reads),
        (O::DescribeDataset, Who::Both, Reads),
        (O::DeleteDataset, Who::Both, Writes),
        (O::DescribeIdentityUsage, Who::Both, Reads),
        (O::UpdateRecords, Who::Both, Writes),
    ]
};

/// Decides whether a caller may call an operation of Cognito Sync on what the path names.
/// `exists` tells whether an identity is in a pool now.
///
/// # Errors
/// `NotAuthorizedException` for an identity that is gone and for a developer where only an
/// identity makes sense; `AccessDeniedException` for an identity beyond its own, and for a
/// developer's key beyond what it is held to.
pub fn permit(
    operation: SyncOperation,
    caller: &Caller,
    labels: &Labels,
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let row = SYNC.iter().find(|(row, ..)| *row == operation);
    let Some((_, who, effect)) = row else {
        return Err(ApiError::bug("an operation that no row allows"));
    };
    let denied = |principal: &str| {
        let action = format!("cognito-sync:{}", operation.name());
        denied(principal, &action, &resource(operation, labels, realm))
    };
    match caller {
        Caller::Developer(_) if *who == Who::Identity => Err(ApiError::not_authorized(
            "These credentials are not valid for accessing this resource",
        )),
        Caller::Developer(developer) => {
            if developer.reaches(&labels.pool) && may(developer, *effect) {
                return Ok(());
            }
            Err(denied(&user(developer, realm)))
        }
        Caller::Identity {
            pool,
            identity,
            authenticated,
        } => {
            if !exists(pool, identity) {
                return Err(forbidden(identity));
            }
            let own = labels.pool == *pool && labels.identity == *identity;
            if own && matches!(who, Who::Identity | Who::Both) {
                return Ok(());
            }
            Err(denied(&session(*authenticated, realm)))
        }
    }
}

fn may(developer: &Developer, effect: Effect) -> bool {
    !developer.read_only || effect == Effect::Reads
}

/// The answer to an identity that does not exist, or no longer.
#[must_use]
pub fn forbidden(identity: &str) -> ApiError {
    ApiError::not_authorized(format!("Access to Identity '{identity}' is forbidden."))
}

fn denied(principal: &str, action: &str, resource: &str) -> ApiError {
    ApiError::access_denied(format!(
        "User: {principal} is not authorized to perform: {action} on resource: {resource}"
    ))
}

/// How an identity is called.
fn session(authenticated: bool, realm: Realm<'_>) -> String {
    let role = if authenticated {
        "Cognito_Auth_Role"
    } else {
        "Cognito_Unauth_Role"
    };
    let account = realm.account;
    format!("arn:aws:sts::{account}:assumed-role/{role}/CognitoIdentityCredentials")
}

/// How a developer's key is called.
fn user(developer: &Developer, realm: Realm<'_>) -> String {
    format!("arn:aws:iam::{}:user/{}", realm.account, developer.key)
}

/// The name of what a path names. Of a listing of datasets the dataset is the literal `null`, as
/// the service has it.
fn resource(operation: SyncOperation, labels: &Labels, realm: Realm<'_>) -> String {
    let pool = if labels.pool.is_empty() {
        "*"
    } else {
        &labels.pool
    };
    let mut arn = format!(
        "arn:aws:cognito-sync:{}:{}:identitypool/{pool}",
        realm.region, realm.account
    );
    if !labels.identity.is_empty() {
        arn = format!("{arn}/identity/{}", labels.identity);
    }
    if operation == SyncOperation::ListDatasets {
        arn.push_str("/dataset/null");
    } else if !labels.dataset.is_empty() {
        arn = format!("{arn}/dataset/{}", labels.dataset);
    }
    arn
}

#[cfg(test)]
mod tests {
    use super::*;

    const REALM: Realm<'_> = Realm {
        region: "us-east-1",
        account: "000000000000",
    };

    fn labels() -> Labels {
        Labels {
            pool: "us-east-1:aa".to_owned(),
            identity: "us-east-1:bb".to_owned(),
            dataset: "saves".to_owned(),
            device: String::new(),
        }
    }

    fn identity() -> Caller {
        Caller::Identity {
            pool: "us-east-1:aa".to_owned(),
            identity: "us-east-1:bb".to_owned(),
            authenticated: true,
        }
    }

    fn ask(operation: SyncOperation, caller: &Caller, labels: &Labels) -> Result<(), ApiError> {
        permit(operation, caller, labels, REALM, |_, _| true)
    }

    #[test]
    fn every_operation_has_one_row() {
        for operation in SyncOperation::ALL {
            let rows = SYNC.iter().filter(|(row, ..)| row == operation).count();
            assert_eq!(rows, 1, "{}", operation.name());
        }
    }

    #[test]
    fn the_table_is_kept() {
        for (operation, who, _) in SYNC {
            let developer = ask(operation, &Caller::root("AKIAROOT"), &labels());
            let own = ask(operation, &identity(), &labels());
            assert_eq!(
                developer.is_ok(),
                who != Who::Identity,
                "{}",
                operation.name()
            );
            assert_eq!(own.is_ok(), who != Who::Developer, "{}", operation.name());
            if let Err(error) = developer {
                assert_eq!(error.kind.name(), "NotAuthorizedException");
            }
            if let Err(error) = own {
                assert_eq!(error.kind.name(), "AccessDeniedException");
            }
        }
    }

    #[test]
    fn an_identity_reaches_only_its_own() {
        for operation in SyncOperation::ALL {
            for other in [
                Labels {
                    pool: "us-east-1:cc".to_owned(),
                    ..labels()
                },
                Labels {
                    identity: "us-east-1:cc".to_owned(),
                    ..labels()
                },
                Labels {
                    identity: String::new(),
                    ..labels()
                },
            ] {
                let error = ask(*operation, &identity(), &other).unwrap_err();
                assert_eq!(
                    error.kind.name(),
                    "AccessDeniedException",
                    "{}",
                    operation.name()
                );
            }
        }
        let other = Labels {
            identity: "us-east-1:cc".to_owned(),
            ..labels()
        };
        let error = ask(SyncOperation::UpdateRecords, &identity(), &other).unwrap_err();
        assert_eq!(
            error.message,
            "User: arn:aws:sts::000000000000:assumed-role/Cognito_Auth_Role/\
             CognitoIdentityCredentials is not authorized to perform: cognito-sync:UpdateRecords \
             on resource: arn:aws:cognito-sync:us-east-1:000000000000:identitypool/us-east-1:aa/\
             identity/us-east-1:cc/dataset/saves"
        );
        let other = Labels {
            dataset: String::new(),
            ..other
        };
        let error = ask(SyncOperation::ListDatasets, &identity(), &other).unwrap_err();
        assert!(
            error
                .message
                .ends_with("/identity/us-east-1:cc/dataset/null")
        );
    }

    #[test]
    fn a_deleted_identity_is_refused_everything() {
        for operation in SyncOperation::ALL {
            let answer = permit(*operation, &identity(), &labels(), REALM, |_, _| false);
            let error = answer.unwrap_err();
            assert_eq!(error.kind.name(), "NotAuthorizedException");
            assert_eq!(
                error.message,
                "Access to Identity 'us-east-1:bb' is forbidden."
            );
        }
    }

    #[test]
    fn a_key_is_held_to_its_pools_and_to_reading() {
        let held = |pools: &[&str], read_only| {
            Caller::Developer(Arc::new(Developer {
                pools: pools.iter().map(|&pool| pool.to_owned()).collect(),
                read_only,
                ..Developer::unrestricted("AKIAONE")
            }))
        };
        let nowhere = Labels::default();
        for (operation, who, effect) in SYNC {
            let ok = |caller: &Caller, labels: &Labels| match ask(operation, caller, labels) {
                Ok(()) => true,
                Err(error) => {
                    let denied = error.kind.name() == "AccessDeniedException";
                    assert_eq!(denied, who != Who::Identity, "{}", operation.name());
                    false
                }
            };
            let (developers, reads) = (who != Who::Identity, effect == Effect::Reads);
            let name = operation.name();
            assert_eq!(
                ok(&held(&["us-east-1:aa"], false), &labels()),
                developers,
                "{name}"
            );
            assert!(!ok(&held(&["us-east-1:cc"], false), &labels()), "{name}");
            assert!(!ok(&held(&["us-east-1:aa"], false), &nowhere), "{name}");
            assert_eq!(
                ok(&held(&[], true), &labels()),
                developers && reads,
                "{name}"
            );
        }
        let pool = Labels {
            pool: labels().pool,
            ..Labels::default()
        };
        let error = ask(SyncOperation::BulkPublish, &held(&[], true), &pool).unwrap_err();
        assert_eq!(
            error.message,
            "User: arn:aws:iam::000000000000:user/AKIAONE is not authorized to perform: \
             cognito-sync:BulkPublish on resource: arn:aws:cognito-sync:us-east-1:000000000000:\
             identitypool/us-east-1:aa"
        );
    }
}
