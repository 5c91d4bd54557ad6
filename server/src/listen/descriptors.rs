//! How many connections this process may hold: every one is a file descriptor, of which a
//! process starts with few unless it asks.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not connections: log segments, their directories, standard streams,
/// the runtime's own; with room for reads of cold segments.
const OTHERS: u64 = 256;

/// Asks for enough descriptors. Returns how many connections there may be, at least one.
pub(super) fn reserve(connections: usize) -> usize {
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHERS);
    let limit = getrlimit(Resource::Nofile);
    // No number means no limit.
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return connections;
    }
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let asked = Rlimit {
        current: Some(raised),
        maximum: limit.maximum,
    };
    let granted = match setrlimit(Resource::Nofile, asked) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!("cannot raise the number of open files to {raised}: {error}");
            current
        }
    };
    let possible = granted.saturating_sub(OTHERS).max(1);
    let possible = usize::try_from(possible)
        .unwrap_or(usize::MAX)
        .min(connections);
    if possible < connections {
        tracing::warn!(
            "{granted} open files leave room for {possible} connections, not {connections}; \
             raise the limit (ulimit -n) or lower limits.connections"
        );
    }
    possible
}
