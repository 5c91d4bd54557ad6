//! The built-in stream: the read side of Kinesis, straight from the change feed, so that whatever
//! reads Cognito Streams from Kinesis reads them here.
//!
//! A stream is the pools whose configurations name it, if the server's configuration does not name
//! it as a sink. It has one shard. Nothing is copied: it reaches back as far as the feed does.

mod get_records;
mod named;
mod sequence_number;
mod shard_iterator;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::access::{self, Caller};
use crate::error::{ApiError, ErrorKind};
use crate::routes::KinesisOperation;
use crate::site::Site;
use crate::wire::{Form, Violations};

/// Answers one operation: its output, in the form that the body has.
///
/// # Errors
/// Whatever the operation refuses.
pub async fn answer(
    site: &Arc<Site>,
    caller: &Caller,
    operation: KinesisOperation,
    form: Form,
    body: &[u8],
) -> Result<Vec<u8>, ApiError> {
    use KinesisOperation as O;
    refuse_identities(site, caller, operation)?;
    match operation {
        O::ListStreams => form.write(&streams::list(site, caller, form.read(body)?).await?),
        O::DescribeStream => form.write(&streams::describe(site, caller, form.read(body)?).await?),
        O::DescribeStreamSummary => {
            form.write(&streams::summarize(site, caller, form.read(body)?).await?)
        }
        O::ListShards => form.write(&streams::list_shards(site, caller, form.read(body)?).await?),
        O::GetShardIterator => {
            form.write(&shard_iterator::get(site, caller, form.read(body)?).await?)
        }
        O::GetRecords => get_records::get(site, caller, form, form.read(body)?).await,
    }
}

/// Streams are the developers', whatever else is right or wrong about a request.
fn refuse_identities(
    site: &Site,
    caller: &Caller,
    operation: KinesisOperation,
) -> Result<(), ApiError> {
    if let Caller::Developer(_) = caller {
        return Ok(());
    }
    let action = format!("kinesis:{}", operation.name());
    let exists = |pool: &str, identity: &str| site.has_identity(pool, identity);
    access::permit_stream(&action, "*", caller, None, site.realm(), exists)
}

/// The answer to violations, by the name that Kinesis has for it.
fn finish(violations: Violations) -> Result<(), ApiError> {
    violations
        .finish()
        .map_err(|error| ApiError::new(ErrorKind::Validation, error.message))
}

/// What must be there.
fn required<T>(value: Option<T>, at: &str) -> Result<T, ApiError> {
    let mut violations = Violations::new();
    violations.required(at, value.as_ref());
    finish(violations)?;
    value.ok_or_else(|| ApiError::bug("a violation without an answer"))
}

/// How many a page may have: what was asked for, which must be within 1 and `max`.
fn limit(at: &str, asked: Option<i64>, default: usize, max: usize) -> Result<usize, ApiError> {
    let Some(asked) = asked else {
        return Ok(default);
    };
    let mut violations = Violations::new();
    violations.at_least(at, asked, 1);
    violations.at_most(at, asked, i64::try_from(max).unwrap_or(i64::MAX));
    finish(violations)?;
    Ok(usize::try_from(asked).unwrap_or(max))
}
