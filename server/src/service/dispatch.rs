//! From an operation's name to its function.

use super::reply::Reply;
use crate::error::ApiError;
use crate::routes::{IdentityOperation, Labels, SyncOperation};

pub(super) async fn sync(
    operation: SyncOperation,
    _labels: &Labels,
    _query: &str,
    _body: &[u8],
) -> Result<Reply, ApiError> {
    Err(not_implemented(operation.name()))
}

pub(super) async fn identity(
    operation: IdentityOperation,
    _body: &[u8],
) -> Result<Reply, ApiError> {
    Err(not_implemented(operation.name()))
}

pub(super) fn well_known(_path: &str) -> Option<Reply> {
    None
}

fn not_implemented(operation: &str) -> ApiError {
    ApiError::not_implemented(format!("{operation} is not implemented in this version."))
}
