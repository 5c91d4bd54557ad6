//! The stream that a request names.

use syncline_engine::Cursor;

use crate::access::{self, Caller};
use crate::error::ApiError;
use crate::routes::KinesisOperation;
use crate::site::{Site, StreamingPool};
use crate::stream::Place;
use crate::wire::{Violations, constraint::Pattern};

use super::{finish, required};

/// Names of streams.
const NAME: Pattern = Pattern {
    text: "[a-zA-Z0-9_.-]+",
    matches: |text| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    },
};
/// Longest name.
pub(super) const NAME_CHARS_MAX: usize = 128;
/// The one shard of every stream.
pub(super) const SHARD: &str = "shardId-000000000000";

/// A built-in stream that the caller may read.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    /// At least one.
    pub(super) pools: Vec<StreamingPool>,
}

impl Named {
    /// Finds the stream by its name or its resource name, and checks who asks.
    pub(super) async fn find(
        site: &Site,
        caller: &Caller,
        operation: KinesisOperation,
        name: Option<String>,
        arn: Option<&str>,
    ) -> Result<Self, ApiError> {
        let named = match (name, arn) {
            (Some(name), None) => name,
            (name, Some(arn)) => {
                let named = of_arn(site, arn)?;
                if name.is_some_and(|name| name != named) {
                    return Err(ApiError::invalid_argument(
                        "StreamName and StreamARN name two streams; one of them suffices.",
                    ));
                }
                named
            }
            (None, None) => required(None, "streamName")?,
        };
        let mut violations = Violations::new();
        violations.text("streamName", &named, NAME_CHARS_MAX, &NAME);
        finish(violations)?;
        Self::open(site, caller, operation, named).await
    }

    /// The stream of a name that was checked.
    pub(super) async fn open(
        site: &Site,
        caller: &Caller,
        operation: KinesisOperation,
        name: String,
    ) -> Result<Self, ApiError> {
        let mut pools = pools_of(site, caller, &name);
        if pools.is_empty() {
            site.find_streams().await?;
            pools = pools_of(site, caller, &name);
        }
        let action = format!("kinesis:{}", operation.name());
        let ids = pools.iter().map(|pool| pool.pool.as_str());
        let exists = |pool: &str, identity: &str| site.has_identity(pool, identity);
        access::permit_stream(
            &action,
            &arn(site, &name),
            caller,
            ids,
            site.realm(),
            exists,
        )?;
        if pools.is_empty() {
            return Err(not_found(site, &name));
        }
        Ok(Self { name, pools })
    }

    /// Where the stream begins, which the feed may not reach any more.
    pub(super) fn begins(&self, site: &Site) -> Place {
        let since = self.pools.iter().map(|pool| pool.since);
        Place::behind(Cursor {
            store: site.store.engine().head().store,
            sequence: since.min().unwrap_or_default(),
        })
    }
}

/// Whether a stream is read here: its name is one of Kinesis, and no sink's.
pub(super) fn is_built_in(site: &Site, name: &str) -> bool {
    let well_formed = !name.is_empty() && name.len() <= NAME_CHARS_MAX && (NAME.matches)(name);
    well_formed && !site.config.streams.contains_key(name)
}

/// The resource name of a stream.
pub(super) fn arn(site: &Site, name: &str) -> String {
    let realm = site.realm();
    format!(
        "arn:aws:kinesis:{}:{}:stream/{name}",
        realm.region, realm.account
    )
}

/// The pools of a stream, for a developer's key those that it reaches: whoever else names the
/// stream for a pool of his own takes nothing from it.
fn pools_of(site: &Site, caller: &Caller, name: &str) -> Vec<StreamingPool> {
    let mut pools = match is_built_in(site, name) {
        true => site.pools_of_stream(name),
        false => Vec::new(),
    };
    keep_reached(caller, &mut pools);
    pools
}

/// Leaves the pools that a developer's key reaches.
pub(super) fn keep_reached(caller: &Caller, pools: &mut Vec<StreamingPool>) {
    if let Caller::Developer(developer) = caller {
        pools.retain(|pool| developer.reaches(pool.pool.as_str()));
    }
}

/// The name in a resource name, of whatever region: one address serves them all.
fn of_arn(site: &Site, arn: &str) -> Result<String, ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "kinesis", _, account, resource] = parts[..] else {
        return Err(wrong_arn());
    };
    let name = resource.strip_prefix("stream/").ok_or_else(wrong_arn)?;
    if account != site.realm().account {
        return Err(not_found_in(name, account));
    }
    Ok(name.to_owned())
}

fn wrong_arn() -> ApiError {
    ApiError::invalid_argument(
        "StreamARN must be of the form arn:aws:kinesis:<region>:<account>:stream/<name>.",
    )
}

fn not_found(site: &Site, name: &str) -> ApiError {
    if site.config.streams.contains_key(name) {
        return ApiError::not_found(format!(
            "Stream {name} is a sink that the server's configuration names: what it gets is not \
             to be read here."
        ));
    }
    not_found_in(name, site.realm().account)
}

fn not_found_in(name: &str, account: &str) -> ApiError {
    ApiError::not_found(format!(
        "Stream {name} under account {account} not found. A stream is there as long as an \
         identity pool names it in CognitoStreams with StreamingStatus ENABLED."
    ))
}
