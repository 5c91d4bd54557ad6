//! DescribeDataset, ListDatasets and DeleteDataset.

use syncline_engine::{DatasetName, Error, Expected, Outcome, Proposal, Refusal, Wish};

use super::update_records::modified_by;
use super::{Target, dataset_shape, page, page_limit};
use crate::access::Caller;
use crate::error::ApiError;
use crate::site::{Site, merged, stored};
use crate::wire::{Query, sync as wire};

/// Datasets of a page, and most that may be asked for.
const PAGE: usize = 64;
/// Times that a deletion is tried while others change what goes with the dataset.
const TRIES: usize = 8;

/// Tells about one dataset.
pub(super) async fn describe_dataset(
    site: &Site,
    target: &Target,
) -> Result<wire::DatasetOutput, ApiError> {
    let dataset = target.dataset()?;
    let wanted = dataset.clone();
    let found = site
        .store
        .read(move |reader| reader.dataset(&wanted))
        .await?;
    let info = found.ok_or_else(|| no_dataset(&dataset.name))?;
    Ok(wire::DatasetOutput {
        dataset: dataset_shape(&dataset.identity, &info),
    })
}

/// Lists the datasets of an identity by name.
pub(super) async fn list_datasets(
    site: &Site,
    target: &Target,
    query: &Query,
) -> Result<wire::ListDatasetsOutput, ApiError> {
    let limit = page_limit(query, PAGE, PAGE)?;
    let (pool, identity) = (target.pool()?.0, target.identity()?.0);
    let name = ["ListDatasets", pool.as_str(), identity.as_str()];
    let after = match &query.next_token {
        None => None,
        Some(token) => {
            let last = page::open(&site.keys, &name, token)?;
            let last = std::str::from_utf8(&last)
                .ok()
                .and_then(|last| DatasetName::parse(last).ok());
            Some(last.ok_or_else(page::not_valid)?)
        }
    };
    // One more than the page, to know whether there is another.
    let read = site
        .store
        .read(move |reader| reader.datasets(&pool, &identity, after.as_ref(), limit + 1));
    let mut found = read.await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_token = last.map(|last| page::seal(&site.keys, &name, last.name.as_str().as_bytes()));
    let datasets: Vec<_> = found
        .iter()
        .map(|info| dataset_shape(&identity, info))
        .collect();
    Ok(wire::ListDatasetsOutput {
        count: datasets.len(),
        datasets,
        next_token,
    })
}

/// Deletes a dataset, which must exist; its count goes on. Its subscriptions go with it, and so
/// does the report that it came from a merge.
pub(super) async fn delete_dataset(
    site: &Site,
    caller: &Caller,
    target: &Target,
) -> Result<wire::DatasetOutput, ApiError> {
    let (identity, name) = (target.identity()?.0, target.dataset()?.name);
    for _ in 0..TRIES {
        let proposal = deletion(site, caller, target)?;
        let receipt = match site.store.commit(proposal).await {
            Err(Error::Refusal(Refusal::NoSuch(_))) => return Err(no_dataset(&name)),
            Err(Error::Refusal(Refusal::Unexpected { .. })) if is_there(site, target) => continue,
            committed => committed.map_err(|error| target.refused(caller, error))?,
        };
        let Some(Outcome::DeletedDataset(info)) = receipt.outcomes.first() else {
            return Err(ApiError::bug("a deletion without its outcome"));
        };
        return Ok(wire::DatasetOutput {
            dataset: dataset_shape(&identity, info),
        });
    }
    Err(ApiError::too_many_requests("Rate exceeded"))
}

fn is_there(site: &Site, target: &Target) -> bool {
    match (&target.pool, &target.identity) {
        (Some((pool, _)), Some((identity, _))) => {
            site.has_identity(pool.as_str(), identity.as_str())
        }
        _ => false,
    }
}

/// What deletes a dataset and all that goes with it, on the versions of now: a subscription that
/// comes in between changes that of the subscribers, and a merge that of the identity.
fn deletion(site: &Site, caller: &Caller, target: &Target) -> Result<Proposal, ApiError> {
    let dataset = target.dataset()?;
    let ((_, pool), (_, identity)) = (target.pool()?, target.identity()?);
    let reader = site.store.engine().resident_reader();
    let identity_key = stored::identity_key(pool.uuid, identity.uuid);
    let version = reader.metadata_version(&identity_key);
    let identity_version = version.map_or(Expected::Something, Expected::Version);
    let report = merged::report_of(&reader, pool.uuid, identity.uuid, &dataset.name);
    let subscribers = stored::subscribers_key(pool.uuid, identity.uuid, &dataset.name);
    let mut expect = vec![
        (stored::pool_key(pool), Expected::Something),
        (identity_key, identity_version),
    ];
    let mut wishes = vec![Wish::DeleteDataset {
        dataset,
        modified_by: modified_by(site, caller, None)?,
    }];
    match reader.metadata_version(&subscribers) {
        None => expect.push((subscribers, Expected::Nothing)),
        Some(version) => wishes.push(Wish::DeleteMetadata {
            key: subscribers,
            expected: Expected::Version(version),
        }),
    }
    wishes.extend(report.map(|key| Wish::DeleteMetadata {
        key,
        expected: Expected::Something,
    }));
    Ok(Proposal {
        expect,
        wishes,
        ..Proposal::default()
    })
}

pub(super) fn no_dataset(name: &DatasetName) -> ApiError {
    ApiError::not_found(format!("Dataset '{name}' not found"))
}
