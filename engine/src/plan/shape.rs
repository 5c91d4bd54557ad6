//! Whether a proposal is well-formed, whatever the state.

use std::collections::HashSet;

use crate::error::Refusal;
use crate::limits::CHANGES_PER_COMMIT_MAX;
use crate::proposal::Wish;
use crate::types::{IdentityId, PoolId, invalid};

/// Wishes of one proposal must not touch each other, so that their order does not matter.
pub(super) fn check_shape(wishes: &[Wish]) -> Result<(), Refusal> {
    if wishes.is_empty() || wishes.len() > CHANGES_PER_COMMIT_MAX {
        return Err(invalid("wishes", "must be 1 to 65000").into());
    }
    for wish in wishes {
        if let Wish::Update { modified_by, .. } | Wish::DeleteDataset { modified_by, .. } = wish {
            modified_by.check()?;
        }
    }
    if wishes.len() == 1 {
        return Ok(());
    }
    let twice = |what: &str| Err(invalid("wishes", format!("{what} is touched twice")).into());
    let (mut pools, mut identities) = (HashSet::new(), HashSet::new());
    for wish in wishes {
        let fresh = match wish {
            Wish::DeletePool { pool } => pools.insert(pool),
            Wish::DeleteIdentity { pool, identity } => identities.insert((pool, identity)),
            _ => true,
        };
        if !fresh {
            return twice("a deleted pool or identity");
        }
    }
    if identities.iter().any(|(pool, _)| pools.contains(pool)) {
        return twice("a deleted pool");
    }
    let beside: HashSet<_> = wishes.iter().filter_map(beside).collect();
    let (mut datasets, mut keys) = (HashSet::new(), HashSet::new());
    for wish in wishes {
        match wish {
            Wish::Update { dataset, .. }
            | Wish::DeleteDataset { dataset, .. }
            | Wish::Rewrite { dataset }
            | Wish::Republish { dataset }
            | Wish::Import { dataset, .. }
            | Wish::CopyDataset { to: dataset, .. } => {
                if pools.contains(&dataset.pool)
                    || identities.contains(&(&dataset.pool, &dataset.identity))
                    || beside.contains(&(&dataset.pool, &dataset.identity))
                    || !datasets.insert(dataset)
                {
                    return twice(&format!("dataset {dataset}"));
                }
            }
            Wish::PutMetadata { key, .. } | Wish::DeleteMetadata { key, .. } => {
                if !keys.insert(key) {
                    return twice(&format!("metadata {key}"));
                }
            }
            Wish::ImportPool { pool, .. } if pools.contains(pool) => {
                return twice(&format!("pool {pool}"));
            }
            Wish::ImportIdentity { pool, identity, .. }
                if pools.contains(pool) || identities.contains(&(pool, identity)) =>
            {
                return twice(&format!("identity {identity}"));
            }
            Wish::DeleteIdentity { .. }
            | Wish::DeletePool { .. }
            | Wish::ImportIdentity { .. }
            | Wish::ImportPool { .. } => {}
        }
    }
    Ok(())
}

/// The identity of which a wish changes what holds for names that are not known.
fn beside(wish: &Wish) -> Option<(&PoolId, &IdentityId)> {
    match wish {
        Wish::ImportIdentity { pool, identity, .. } => Some((pool, identity)),
        _ => None,
    }
}
