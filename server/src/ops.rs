//! The operations of Cognito Sync, one function each, and what is common to them.
//!
//! [`answer`] is the way in: it checks who asks and what is named, calls the operation and lays
//! out its answer. An operation gets a `Target` whose pool and identity exist.

mod bulk_publish;
mod change;
mod configuration;
mod datasets;
mod devices;
mod events;
mod finishing;
mod first_answer;
mod list_records;
mod page;
mod triggered;
mod update_records;
mod usage;

use serde::Serialize;
use syncline_engine::{
    DatasetId, DatasetInfo, DatasetName, Error, Expected, IdentityId, MetadataKey, PoolId, Refusal,
};

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::routes::{Labels, SyncOperation};
use crate::site::{Site, stored};
use crate::wire::{EpochSeconds, Query, Violations, sync as wire};

/// Answers one operation: the JSON of its output. The body is dropped as soon as what waits for
/// others needs no more of it than was read.
///
/// # Errors
/// Whatever the operation refuses.
pub async fn answer(
    site: &Site,
    caller: &Caller,
    operation: SyncOperation,
    labels: &Labels,
    raw_query: &str,
    body: impl AsRef<[u8]>,
) -> Result<Vec<u8>, ApiError> {
    use SyncOperation as O;
    access::permit(operation, caller, labels, site.realm(), |pool, identity| {
        site.has_identity(pool, identity)
    })?;
    let target = Target::find(site, labels)?;
    match operation {
        O::UpdateRecords => update_records::update_records(site, caller, &target, body).await,
        O::ListRecords => {
            let query = Query::parse(raw_query)?;
            list_records::list_records(site, caller, &target, &query).await
        }
        O::ListDatasets => {
            let query = Query::parse(raw_query)?;
            json(&datasets::list_datasets(site, &target, &query).await?)
        }
        O::DescribeDataset => json(&datasets::describe_dataset(site, &target).await?),
        O::DeleteDataset => json(&datasets::delete_dataset(site, caller, &target).await?),
        O::DescribeIdentityUsage => json(&usage::describe_identity_usage(site, &target).await?),
        O::DescribeIdentityPoolUsage => {
            json(&usage::describe_identity_pool_usage(site, &target).await?)
        }
        O::ListIdentityPoolUsage => {
            let query = Query::parse(raw_query)?;
            json(&usage::list_identity_pool_usage(site, &query).await?)
        }
        O::BulkPublish => json(&bulk_publish::start(site, &target).await?),
        O::GetBulkPublishDetails => json(&bulk_publish::details(site, &target).await?),
        O::GetCognitoEvents => json(&events::get(site, &target).await?),
        O::SetCognitoEvents => json(&events::set(site, &target, body.as_ref()).await?),
        O::GetIdentityPoolConfiguration => json(&configuration::get(site, &target).await?),
        O::SetIdentityPoolConfiguration => {
            json(&configuration::set(site, &target, body.as_ref()).await?)
        }
        O::RegisterDevice => {
            let body = body.as_ref();
            json(&devices::register_device(site, caller, &target, body).await?)
        }
        O::SubscribeToDataset => {
            json(&devices::subscribe(site, caller, &target, &labels.device).await?)
        }
        O::UnsubscribeFromDataset => {
            json(&devices::unsubscribe(site, caller, &target, &labels.device).await?)
        }
    }
}

fn json<T: Serialize>(output: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(output).map_err(|error| ApiError::fault("laying out an answer", &error))
}

/// What a path names: well-formed, and pool and identity exist.
#[derive(Debug)]
struct Target {
    pool: Option<(PoolId, stored::Id)>,
    identity: Option<(IdentityId, stored::Id)>,
    dataset: Option<DatasetName>,
}

impl Target {
    fn find(site: &Site, labels: &Labels) -> Result<Self, ApiError> {
        let Labels {
            pool,
            identity,
            dataset,
            device,
        } = labels;
        let mut violations = Violations::new();
        if !pool.is_empty() {
            violations.id("identityPoolId", pool);
        }
        if !identity.is_empty() {
            violations.id("identityId", identity);
        }
        if !dataset.is_empty() {
            violations.text(
                "datasetName",
                dataset,
                128,
                &crate::wire::constraint::DATASET_NAME,
            );
        }
        violations.length("deviceId", device, 0, 256);
        violations.finish()?;
        let mut target = Self {
            pool: None,
            identity: None,
            dataset: None,
        };
        if !pool.is_empty() {
            let id = stored::Id::parse(pool).filter(|_| site.has_pool(pool));
            let id = id.ok_or_else(|| no_pool(pool))?;
            target.pool = Some((PoolId::parse(pool).map_err(invalid)?, id));
        }
        if !identity.is_empty() {
            let id = stored::Id::parse(identity).filter(|_| site.has_identity(pool, identity));
            let id = id.ok_or_else(|| no_identity(identity))?;
            target.identity = Some((IdentityId::parse(identity).map_err(invalid)?, id));
        }
        if !dataset.is_empty() {
            target.dataset = Some(DatasetName::parse(dataset).map_err(invalid)?);
        }
        Ok(target)
    }

    fn pool(&self) -> Result<&(PoolId, stored::Id), ApiError> {
        self.pool.as_ref().ok_or_else(|| missing("identityPoolId"))
    }

    fn identity(&self) -> Result<&(IdentityId, stored::Id), ApiError> {
        self.identity.as_ref().ok_or_else(|| missing("identityId"))
    }

    fn dataset(&self) -> Result<DatasetId, ApiError> {
        let name = self.dataset.clone().ok_or_else(|| missing("datasetName"))?;
        Ok(DatasetId {
            pool: self.pool()?.0,
            identity: self.identity()?.0,
            name,
        })
    }

    /// What a proposal expects, so that a deletion in between is never undone by it.
    fn still_there(&self) -> Result<Vec<(MetadataKey, Expected)>, ApiError> {
        let (pool, identity) = (&self.pool()?.1, &self.identity()?.1);
        Ok(vec![
            (stored::pool_key(pool), Expected::Something),
            (
                stored::identity_key(pool.uuid, identity.uuid),
                Expected::Something,
            ),
        ])
    }

    /// The answer to a refused proposal: what [`Target::still_there`] expects is gone, or a refusal
    /// that says it itself.
    fn refused(&self, caller: &Caller, error: Error) -> ApiError {
        match error {
            Error::Refusal(Refusal::Unexpected { .. }) => self.gone(caller),
            error => error.into(),
        }
    }

    /// The answer when pool or identity went away meanwhile.
    fn gone(&self, caller: &Caller) -> ApiError {
        let identity = self
            .identity
            .as_ref()
            .map_or("", |(identity, _)| identity.as_str());
        match caller {
            Caller::Developer(_) => no_identity(identity),
            Caller::Identity { .. } => access::forbidden(identity),
        }
    }
}

/// A label that the route lacks, or that came empty.
fn missing(at: &str) -> ApiError {
    let mut violations = Violations::new();
    violations.length(at, "", 1, 1);
    violations
        .finish()
        .err()
        .unwrap_or_else(|| ApiError::bug("a violation without an answer"))
}

fn invalid(invalid: syncline_engine::Invalid) -> ApiError {
    Error::from(invalid).into()
}

fn no_pool(pool: &str) -> ApiError {
    ApiError::not_found(format!("IdentityPool '{pool}' not found"))
}

fn no_identity(identity: &str) -> ApiError {
    ApiError::not_found(format!("Identity '{identity}' not found"))
}

fn dataset_shape(identity: &IdentityId, info: &DatasetInfo) -> wire::Dataset {
    wire::Dataset {
        identity_id: identity.to_string(),
        dataset_name: info.name.to_string(),
        creation_date: EpochSeconds::from_ms(info.created.get()),
        last_modified_date: EpochSeconds::from_ms(info.modified.get()),
        last_modified_by: info.modified_by.name(identity).to_owned(),
        data_storage: info.bytes,
        num_records: info.records,
    }
}

/// How many a page may have: what was asked for, at most `max`, else `default`.
fn page_limit(query: &Query, default: usize, max: usize) -> Result<usize, ApiError> {
    let Some(asked) = query.max_results else {
        return Ok(default);
    };
    let mut violations = Violations::new();
    violations.at_least("maxResults", asked, 1);
    violations.finish()?;
    Ok(usize::try_from(asked).unwrap_or(max).min(max))
}

#[cfg(test)]
mod tests;
