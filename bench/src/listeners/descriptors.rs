//! How many sockets this process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::{Result, fail};

/// Descriptors that are no listeners.
const OTHERS: u64 = 256;

/// Asks for enough of them; the server that is started later inherits that.
pub fn reserve(listeners: usize) -> Result<()> {
    let wanted = listeners as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    // No number means no limit.
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        return fail(format!(
            "{listeners} listeners take {wanted} open files: raise the limit (ulimit -Hn), or \
             ask for fewer with --listeners"
        ));
    }
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        },
    )?)
}
