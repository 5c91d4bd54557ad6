//! DescribeIdentityUsage, DescribeIdentityPoolUsage and ListIdentityPoolUsage: exact figures, kept
//! by the engine and never counted here.

use syncline_engine::{Metadata, MetadataKey, PoolId};

use super::{Target, invalid, no_identity, no_pool, page, page_limit};
use crate::error::ApiError;
use crate::site::Site;
use crate::site::stored::{self, Id, IdentityRecord, PoolRecord};
use crate::wire::{EpochSeconds, Query, sync as wire};

/// Pools of a page, unless asked otherwise, and most that may be asked for.
const PAGE: usize = 10;
const PAGE_MAX: usize = 1000;

/// What one identity stores. An identity that never wrote has zeros and its date of birth.
pub(super) async fn describe_identity_usage(
    site: &Site,
    target: &Target,
) -> Result<wire::DescribeIdentityUsageOutput, ApiError> {
    let ((pool, pool_id), (identity, id)) = (target.pool()?, target.identity()?);
    let (pool, identity) = (*pool, *identity);
    let usage = site
        .store
        .read(move |reader| Ok(reader.identity(&pool, &identity)))
        .await?;
    let (modified_ms, datasets, bytes) = match usage {
        Some(usage) => (usage.modified.get(), usage.datasets, usage.bytes),
        None => {
            let key = stored::identity_key(pool_id.uuid, id.uuid);
            let found = site.load::<IdentityRecord>(key).await?;
            let (record, _) = found.ok_or_else(|| no_identity(identity.as_str()))?;
            (record.created_ms, 0, 0)
        }
    };
    Ok(wire::DescribeIdentityUsageOutput {
        identity_usage: wire::IdentityUsage {
            identity_id: identity.to_string(),
            identity_pool_id: pool.to_string(),
            last_modified_date: EpochSeconds::from_ms(modified_ms),
            dataset_count: datasets,
            data_storage: bytes,
        },
    })
}

/// What one pool stores.
pub(super) async fn describe_identity_pool_usage(
    site: &Site,
    target: &Target,
) -> Result<wire::DescribeIdentityPoolUsageOutput, ApiError> {
    let (pool, id) = target.pool()?;
    let key = stored::pool_key(id);
    let found = site.store.read(move |reader| reader.metadata(&key)).await?;
    let metadata = found.ok_or_else(|| no_pool(pool.as_str()))?;
    let identity_pool_usage = pool_usage(site, &metadata)?;
    Ok(wire::DescribeIdentityPoolUsageOutput {
        identity_pool_usage,
    })
}

/// What every pool stores, in the order of their ids.
pub(super) async fn list_identity_pool_usage(
    site: &Site,
    query: &Query,
) -> Result<wire::ListIdentityPoolUsageOutput, ApiError> {
    let limit = page_limit(query, PAGE, PAGE_MAX)?;
    let name = ["ListIdentityPoolUsage"];
    let after = match &query.next_token {
        None => None,
        Some(token) => {
            let last = page::open(&site.keys, &name, token)?;
            Some(MetadataKey::new(last).map_err(invalid)?)
        }
    };
    let read = site
        .store
        .read(move |reader| reader.scan(&[stored::POOL], after.as_ref(), limit + 1));
    let mut pools = read.await?;
    let more = pools.len() > limit;
    pools.truncate(limit);
    let last = pools.last().filter(|_| more);
    let next_token = last.map(|last| page::seal(&site.keys, &name, last.key.as_bytes()));
    let usages: Result<Vec<_>, _> = pools.iter().map(|pool| pool_usage(site, pool)).collect();
    let identity_pool_usages = usages?;
    Ok(wire::ListIdentityPoolUsageOutput {
        count: identity_pool_usages.len(),
        identity_pool_usages,
        max_results: limit,
        next_token,
    })
}

fn pool_usage(site: &Site, metadata: &Metadata) -> Result<wire::IdentityPoolUsage, ApiError> {
    let faulty = |error| ApiError::fault("reading a pool", &error);
    let record: PoolRecord = stored::decode(metadata).map_err(faulty)?;
    let form = || faulty(stored::StoredError::Form(metadata.key.clone()));
    let id: Id = stored::pool_of(&metadata.key).ok_or_else(form)?;
    let pool = PoolId::parse(&id.to_string()).map_err(invalid)?;
    // The directory of pools is always in memory.
    let usage = site.store.engine().resident_reader().pool(&pool);
    let modified_ms = usage
        .as_ref()
        .map_or(record.created_ms, |usage| usage.modified.get());
    Ok(wire::IdentityPoolUsage {
        identity_pool_id: pool.to_string(),
        sync_sessions_count: site.counts.opened(id.uuid),
        data_storage: usage.map_or(0, |usage| usage.bytes),
        last_modified_date: EpochSeconds::from_ms(modified_ms),
    })
}
