//! Who a signer is, and who may call what.
//!
//! The rules are one table over each API. Beyond the table an identity reaches only its own pool
//! and identity, and only while both exist: deleting either acts at once on every credential that
//! was given out for it.

mod credentials;

use crate::error::ApiError;
use crate::realm::Realm;
use crate::routes::{IdentityOperation, Labels, SyncOperation};

pub use credentials::{CREDENTIALS_LIFE_MS, Resolved, Temporary, give, resolve};

/// A verified signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Whoever has the root key; may act for every identity.
    Developer,
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

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Developer,
    Identity,
    Both,
}

/// Cognito Sync, row by row as section 3 of the reference has it.
const SYNC: [(SyncOperation, Who); 17] = {
    use SyncOperation as O;
    [
        (O::BulkPublish, Who::Developer),
        (O::GetBulkPublishDetails, Who::Developer),
        (O::GetCognitoEvents, Who::Developer),
        (O::SetCognitoEvents, Who::Developer),
        (O::GetIdentityPoolConfiguration, Who::Developer),
        (O::SetIdentityPoolConfiguration, Who::Developer),
        (O::DescribeIdentityPoolUsage, Who::Developer),
        (O::ListIdentityPoolUsage, Who::Developer),
        (O::RegisterDevice, Who::Identity),
        (O::SubscribeToDataset, Who::Identity),
        (O::UnsubscribeFromDataset, Who::Identity),
        (O::ListDatasets, Who::Both),
        (O::ListRecords, Who::Both),
        (O::DescribeDataset, Who::Both),
        (O::DeleteDataset, Who::Both),
        (O::DescribeIdentityUsage, Who::Both),
        (O::UpdateRecords, Who::Both),
    ]
};

/// Decides whether a caller may call an operation of Cognito Sync on what the path names.
/// `exists` tells whether an identity is in a pool now.
///
/// # Errors
/// `NotAuthorizedException` for an identity that is gone and for a developer where only an
/// identity makes sense; `AccessDeniedException` for an identity beyond its own.
pub fn permit(
    operation: SyncOperation,
    caller: &Caller,
    labels: &Labels,
    realm: Realm<'_>,
    exists: impl Fn(&str, &str) -> bool,
) -> Result<(), ApiError> {
    let who = SYNC
        .iter()
        .find(|(row, _)| *row == operation)
        .map(|(_, who)| *who);
    match caller {
        Caller::Developer if who == Some(Who::Identity) => Err(ApiError::not_authorized(
            "These credentials are not valid for accessing this resource",
        )),
        Caller::Developer => Ok(()),
        Caller::Identity {
            pool,
            identity,
            authenticated,
        } => {
            if !exists(pool, identity) {
                return Err(forbidden(identity));
            }
            let own = labels.pool == *pool && labels.identity == *identity;
            if own && matches!(who, Some(Who::Identity | Who::Both)) {
                return Ok(());
            }
            let action = format!("cognito-sync:{}", operation.name());
            let resource = resource(operation, labels, realm);
            Err(denied(*authenticated, realm, &action, &resource))
        }
    }
}

/// Decides whether a signed operation of Cognito Identity may be called: by the developer only.
///
/// # Errors
/// `AccessDeniedException` for an identity.
pub fn permit_identity(
    operation: IdentityOperation,
    caller: &Caller,
    realm: Realm<'_>,
) -> Result<(), ApiError> {
    match caller {
        Caller::Developer => Ok(()),
        Caller::Identity { authenticated, .. } => {
            let action = format!("cognito-identity:{}", operation.name());
            let Realm { region, account } = realm;
            let resource = format!("arn:aws:cognito-identity:{region}:{account}:identitypool/*");
            Err(denied(*authenticated, realm, &action, &resource))
        }
    }
}

/// The answer to an identity that does not exist, or no longer.
#[must_use]
pub fn forbidden(identity: &str) -> ApiError {
    ApiError::not_authorized(format!("Access to Identity '{identity}' is forbidden."))
}

fn denied(authenticated: bool, realm: Realm<'_>, action: &str, resource: &str) -> ApiError {
    let role = if authenticated {
        "Cognito_Auth_Role"
    } else {
        "Cognito_Unauth_Role"
    };
    let account = realm.account;
    ApiError::access_denied(format!(
        "User: arn:aws:sts::{account}:assumed-role/{role}/CognitoIdentityCredentials is not \
         authorized to perform: {action} on resource: {resource}"
    ))
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
            let rows = SYNC.iter().filter(|(row, _)| row == operation).count();
            assert_eq!(rows, 1, "{}", operation.name());
        }
    }

    #[test]
    fn the_table_is_kept() {
        for (operation, who) in SYNC {
            let developer = ask(operation, &Caller::Developer, &labels());
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
    fn pools_are_the_developers() {
        let operation = IdentityOperation::CreateIdentityPool;
        assert_eq!(
            permit_identity(operation, &Caller::Developer, REALM),
            Ok(())
        );
        let error = permit_identity(operation, &identity(), REALM).unwrap_err();
        assert_eq!(error.kind.name(), "AccessDeniedException");
    }
}
