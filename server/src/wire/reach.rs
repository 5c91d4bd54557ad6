//! What a body of Cognito Identity names, whatever the operation: enough to tell whether a key
//! that is held to some pools may send it.

use serde::Deserialize;

/// The members that name pools or identities. All others are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Reached {
    /// A pool.
    pub identity_pool_id: Option<String>,
    /// An identity.
    pub identity_id: Option<String>,
    /// Identities.
    #[serde(default, deserialize_with = "crate::wire::json::at_most::<1000, _, _>")]
    pub identity_ids_to_delete: Option<Vec<String>>,
    /// A pool, as a resource.
    pub resource_arn: Option<String>,
}

impl Reached {
    /// The pool of the resource.
    #[must_use]
    pub fn resource_pool(&self) -> Option<&str> {
        let (_, pool) = self.resource_arn.as_deref()?.split_once(":identitypool/")?;
        Some(pool)
    }
}
