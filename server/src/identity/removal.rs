//! DeleteIdentities and DeleteIdentityPool: what is deleted is unreachable with the answer.

use syncline_engine::{
    Error, Expected, IdentityId, MetadataValue, PoolId, Proposal, Refusal, Wish,
};
use uuid::Uuid;

use super::owner::{self, is_stale};
use super::{TRIES, home, no_pool, pool, required_id};
use crate::error::{ApiError, Chain};
use crate::site::stored::{self, Id, IdentityRecord};
use crate::site::{Site, Store};
use crate::wire::{Violations, identity::DescribeIdentityPoolInput, linking as wire};

/// Most identities of one call.
const IDENTITIES_MAX: usize = 60;

/// Deletes identities with all that they have. One that does not exist is no failure.
pub(super) async fn delete_identities(
    site: &Site,
    input: wire::DeleteIdentitiesInput,
) -> Result<wire::DeleteIdentitiesOutput, ApiError> {
    let mut violations = Violations::new();
    let v = &mut violations;
    let ids = input.identity_ids_to_delete;
    v.required("identityIdsToDelete", ids.as_ref());
    if ids.as_ref().is_some_and(Vec::is_empty) {
        let rule = "Member must have length greater than or equal to 1";
        v.add("identityIdsToDelete", Some("[]"), rule);
    }
    let ids = ids.unwrap_or_default();
    super::pools::at_most(v, "identityIdsToDelete", ids.len(), IDENTITIES_MAX);
    for (place, id) in ids.iter().enumerate() {
        v.id(&format!("identityIdsToDelete.{}.member", place + 1), id);
    }
    violations.finish()?;
    let mut unprocessed_identity_ids = Vec::new();
    for identity_id in ids {
        if delete_identity(site, &identity_id).await.is_err() {
            unprocessed_identity_ids.push(wire::UnprocessedIdentityId {
                identity_id,
                error_code: "InternalServerError",
            });
        }
    }
    Ok(wire::DeleteIdentitiesOutput {
        unprocessed_identity_ids,
    })
}

async fn delete_identity(site: &Site, identity_id: &str) -> Result<(), ApiError> {
    for _ in 0..TRIES {
        let Some((identity, pool, _)) = home(site, identity_id).await? else {
            return Ok(());
        };
        let found = owner::load(site, &pool, identity.clone()).await?;
        let lives = found.is_some();
        let proposal = match found {
            Some(found) => deletion(site, &pool, &identity, &found.record, found.version)?,
            None => forgetting(&pool, identity.uuid),
        };
        match commit(site, proposal, (pool.uuid, identity.uuid), lives).await {
            Ok(()) => return Ok(()),
            Err(error) if is_stale(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(owner::busy())
}

/// The task goes on when the caller hangs up, so that what is gone is no longer counted.
async fn commit(
    site: &Site,
    proposal: Proposal,
    (pool, identity): (Uuid, Uuid),
    lives: bool,
) -> Result<(), Error> {
    let (store, guests) = (site.store.clone(), std::sync::Arc::clone(&site.guests));
    let task = tokio::spawn(async move {
        store.commit(proposal).await?;
        if lives {
            guests.gone(pool);
            sweep(&store, pool, identity).await;
        }
        Ok(())
    });
    match task.await {
        Ok(answer) => answer,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Deletes what came to be beside an identity between the moment that its keys were listed and the
/// commit that ended it: a device that was registered meanwhile, say. Nothing can come after it.
pub(super) async fn sweep(store: &Store, pool: Uuid, identity: Uuid) {
    let reader = store.engine().resident_reader();
    let keys = stored::keys_behind_identity(&reader, pool, identity);
    if keys.is_empty() {
        return;
    }
    let wishes = keys.into_iter().map(|key| Wish::DeleteMetadata {
        key,
        expected: Expected::Anything,
    });
    let proposal = Proposal {
        wishes: wishes.collect(),
        ..Proposal::default()
    };
    if let Err(error) = store.commit(proposal).await {
        // Nobody can reach it; it goes with the pool.
        tracing::warn!("deleting what an identity left: {}", Chain(&error));
    }
}

/// What deletes an identity that exists.
fn deletion(
    site: &Site,
    pool: &Id,
    identity: &Id,
    record: &IdentityRecord,
    version: syncline_engine::Sequence,
) -> Result<Proposal, ApiError> {
    let own = stored::identity_key(pool.uuid, identity.uuid);
    let reader = site.store.engine().resident_reader();
    let mut keys = stored::keys_of_identity(&reader, pool.uuid, identity.uuid);
    keys.retain(|key| *key != own);
    keys.extend(
        record
            .logins
            .iter()
            .map(|login| stored::login_key(pool.uuid, login)),
    );
    let mut wishes = vec![
        Wish::DeleteIdentity {
            pool: PoolId::parse(&pool.to_string()).map_err(Error::from)?,
            identity: IdentityId::parse(&identity.to_string()).map_err(Error::from)?,
        },
        Wish::DeleteMetadata {
            key: own,
            expected: Expected::Version(version),
        },
    ];
    wishes.extend(keys.into_iter().map(|key| Wish::DeleteMetadata {
        key,
        expected: Expected::Anything,
    }));
    Ok(Proposal {
        wishes,
        ..Proposal::default()
    })
}

/// What deletes the memory of an identity that was merged into another one.
fn forgetting(pool: &Id, identity: Uuid) -> Proposal {
    let keys = [
        stored::former_key(pool.uuid, identity),
        stored::home_key(identity),
    ];
    let delete = |key| Wish::DeleteMetadata {
        key,
        expected: Expected::Something,
    };
    Proposal {
        wishes: keys.into_iter().map(delete).collect(),
        ..Proposal::default()
    }
}

/// Deletes a pool. With the answer nothing of it can be reached; what is left takes space until it
/// is deleted as well, soon and in steps.
pub(super) async fn delete_pool(
    site: &Site,
    input: DescribeIdentityPoolInput,
) -> Result<crate::wire::roles::Empty, ApiError> {
    let mut violations = Violations::new();
    let pool_id = input.identity_pool_id;
    required_id(&mut violations, "identityPoolId", pool_id.as_ref());
    violations.finish()?;
    let (id, _) = pool(site, &pool_id.unwrap_or_default()).await?;
    let nothing = MetadataValue::new(Vec::new()).map_err(Error::from)?;
    let wishes = vec![
        Wish::DeletePool {
            pool: PoolId::parse(&id.to_string()).map_err(Error::from)?,
        },
        Wish::DeleteMetadata {
            key: stored::pool_key(&id),
            expected: Expected::Something,
        },
        Wish::PutMetadata {
            key: stored::doomed_key(id.uuid),
            value: nothing,
            expected: Expected::Nothing,
        },
    ];
    let proposal = Proposal {
        wishes,
        ..Proposal::default()
    };
    match site.store.commit(proposal).await {
        Ok(_) => {}
        Err(Error::Refusal(Refusal::Unexpected { .. })) => return Err(no_pool(&id.to_string())),
        Err(error) => return Err(error.into()),
    }
    site.guests.forget(id.uuid);
    site.counts.forget(id.uuid);
    Ok(crate::wire::roles::Empty {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    /// A device registered between the listing of an identity's keys and its deletion once stayed.
    #[tokio::test]
    async fn what_came_in_between_goes_too_and_nothing_else() {
        let fixture = Fixture::new();
        let store = &fixture.site.store;
        let (pool, identity, other) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let keys = [identity, other].map(|of| stored::device_key(pool, of, Uuid::new_v4()));
        let wishes = keys.iter().map(|key| Wish::PutMetadata {
            key: key.clone(),
            value: MetadataValue::new(&b"token"[..]).unwrap(),
            expected: Expected::Nothing,
        });
        let proposal = Proposal {
            wishes: wishes.collect(),
            ..Proposal::default()
        };
        store.commit(proposal).await.unwrap();
        sweep(store, pool, identity).await;
        let reader = store.engine().resident_reader();
        let left = keys.map(|key| reader.metadata_version(&key).is_some());
        assert_eq!(left, [false, true]);
    }
}
