//! The operation that tells of changes of an identity's datasets as they come: server-sent events.
//!
//! A stream begins with where each dataset is, so nothing is ever missed, whenever a client comes
//! back. The id of an event stands for the state of all datasets that the stream tells of: a client
//! that comes back with it is told of the datasets only if something has changed since. A stream of
//! all datasets closes its beginning with their names: what is not among them does not exist.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId, SyncCount};

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::live::Change;
use crate::routes::{Labels, OwnOperation};
use crate::site::Site;
use crate::wire::{Violations, constraint};

pub use stream::EventStream;

/// Most datasets that a stream may name.
const NAMES_MAX: usize = 100;

/// What a caller asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What the path names.
    pub labels: &'a Labels,
    /// The query as sent.
    pub query: &'a str,
    /// The header `Last-Event-ID`; empty if it did not come.
    pub last_event: &'a str,
    /// When the caller's credentials end, in milliseconds since 1970, if they do.
    pub expires_ms: Option<u64>,
}

/// Opens a stream.
///
/// # Errors
/// Who may not, a pool or identity that does not exist, names that are none, and
/// `TooManyRequestsException` if too many listen.
pub fn open(site: &Arc<Site>, caller: &Caller, asked: Asked<'_>) -> Result<EventStream, ApiError> {
    let labels = asked.labels;
    access::permit_own(
        OwnOperation::Events,
        caller,
        labels,
        site.realm(),
        |pool, identity| site.has_identity(pool, identity),
    )?;
    let mut violations = Violations::new();
    violations.id("identityPoolId", &labels.pool);
    violations.id("identityId", &labels.identity);
    let names = names(asked.query, &mut violations)?;
    violations.finish()?;
    if !site.has_identity(&labels.pool, &labels.identity) {
        let message = format!("Identity '{}' not found", labels.identity);
        return Err(ApiError::not_found(message));
    }
    let invalid = |error| ApiError::from(syncline_engine::Error::from(error));
    let pool = PoolId::parse(&labels.pool).map_err(invalid)?;
    let identity = IdentityId::parse(&labels.identity).map_err(invalid)?;
    // In this order: what changes while the state is read is heard as well.
    let ears = site.live.listen(pool, identity, names.clone())?;
    let is_all = names.is_none();
    let state = state(site, pool, identity, names);
    let site = Arc::clone(site);
    Ok(EventStream::new(site, ears, state, is_all, &asked))
}

/// The datasets that a query names; `None`: all.
fn names(query: &str, violations: &mut Violations) -> Result<Option<Vec<DatasetName>>, ApiError> {
    let sent = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("datasets="));
    let Some(sent) = sent.filter(|sent| !sent.is_empty()) else {
        return Ok(None);
    };
    let decoded = percent_decode_str(sent)
        .decode_utf8()
        .map_err(|_| ApiError::serialization("The query is not percent-encoded UTF-8"))?;
    let parts: Vec<&str> = decoded.split(',').collect();
    if parts.len() > NAMES_MAX {
        let rule = format!("Member must have length less than or equal to {NAMES_MAX}");
        violations.add("datasets", Some("..."), &rule);
        return Ok(None);
    }
    for part in &parts {
        violations.text("datasets", part, 128, &constraint::DATASET_NAME);
    }
    let parsed = parts.iter().map(|part| DatasetName::parse(part));
    // What cannot be a name is among the violations.
    Ok(Some(parsed.filter_map(Result::ok).collect()))
}

/// Where the datasets are now: those named, whether they exist or not, or all that exist. The
/// directory knows that, so a thousand who come back at once cost no read.
fn state(
    site: &Site,
    pool: PoolId,
    identity: IdentityId,
    names: Option<Vec<DatasetName>>,
) -> BTreeMap<DatasetName, Change> {
    let reader = site.store.engine().resident_reader();
    let change = |sync_count: SyncCount, exists| Change {
        sync_count: sync_count.get(),
        exists,
    };
    let Some(names) = names else {
        let heads = reader.heads(&pool, &identity).into_iter();
        return heads
            .map(|(name, sync_count)| (name, change(sync_count, true)))
            .collect();
    };
    let of_name = |name: DatasetName| {
        let head = reader.head(&DatasetId {
            pool,
            identity,
            name: name.clone(),
        });
        (name, change(head.sync_count, head.exists))
    };
    names.into_iter().map(of_name).collect()
}

#[cfg(test)]
mod tests;
