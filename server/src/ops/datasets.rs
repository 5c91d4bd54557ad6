//! DescribeDataset, ListDatasets and DeleteDataset.

use syncline_engine::{DatasetName, Error, Outcome, Proposal, Refusal, Wish};

use super::update_records::modified_by;
use super::{Target, dataset_shape, page, page_limit};
use crate::access::Caller;
use crate::error::ApiError;
use crate::site::Site;
use crate::wire::{Query, sync as wire};

/// Datasets of a page, and most that may be asked for.
const PAGE: usize = 64;

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

/// Deletes a dataset, which must exist; its count goes on.
pub(super) async fn delete_dataset(
    site: &Site,
    caller: &Caller,
    target: &Target,
) -> Result<wire::DatasetOutput, ApiError> {
    let dataset = target.dataset()?;
    let (identity, name) = (dataset.identity, dataset.name.clone());
    let proposal = Proposal {
        expect: target.still_there()?,
        wishes: vec![Wish::DeleteDataset {
            dataset,
            modified_by: modified_by(site, caller, None)?,
        }],
        ..Proposal::default()
    };
    let receipt = site
        .store
        .commit(proposal)
        .await
        .map_err(|error| match error {
            Error::Refusal(Refusal::NoSuch(_)) => no_dataset(&name),
            error => target.refused(caller, error),
        })?;
    match receipt.outcomes.first() {
        Some(Outcome::DeletedDataset(info)) => Ok(wire::DatasetOutput {
            dataset: dataset_shape(&identity, info),
        }),
        _ => Err(ApiError::bug("a deletion without its outcome")),
    }
}

fn no_dataset(name: &DatasetName) -> ApiError {
    ApiError::not_found(format!("Dataset '{name}' not found"))
}
