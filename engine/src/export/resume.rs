//! Going on with an export where it was left.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Export, ExportPosition, taken};
use crate::error::{Error, Refusal};
use crate::feed::Feed;
use crate::snapshot::{Scope, Told, Walk};
use crate::store::Store;
use crate::types::Cursor;

impl Export {
    /// Goes on from a position: with the snapshot if it is kept, or with the present if that is the
    /// same as far as the scope goes.
    pub(crate) fn resume(store: Arc<Store>, position: &ExportPosition) -> Result<Self, Error> {
        let ExportPosition {
            cursor,
            scope,
            told,
            done,
        } = position;
        let durable = store.watermark.get().sequence;
        if cursor.store != store.log.root.uuid || cursor.sequence > durable {
            return Err(Refusal::ForeignCursor.into());
        }
        let is_it = |walk: &Walk| {
            let snapshot = &walk.snapshot;
            (snapshot.sequence, snapshot.scope, &walk.told) == (cursor.sequence, *scope, told)
        };
        if let Some(walk) = store.snapshots.resume(is_it) {
            return Ok(Self {
                store,
                walk: Some(walk),
                failed: false,
            });
        }
        let (snapshot, pieces) =
            taken(&store, *scope, Some((cursor.sequence, told))).map_err(|error| match error {
                Error::Refusal(Refusal::NoSuch(_)) => gone("it was deleted since").into(),
                error => error,
            })?;
        let pieces = if *told == Told::All {
            VecDeque::new()
        } else {
            pieces
        };
        // Dropping it lets go of the snapshot again.
        let export = Self::new(store, snapshot, pieces, told.clone(), *done);
        if changed(&export.store, *cursor, *scope)? {
            return Err(gone("what it tells of has changed since").into());
        }
        Ok(export)
    }
}

/// Whether something of a scope changed since a commit.
fn changed(store: &Arc<Store>, cursor: Cursor, scope: Scope) -> Result<bool, Error> {
    let mut feed = Feed::new(Arc::clone(store), cursor)?;
    let mut changed = false;
    let over = feed.go_over(u64::MAX, |_, commit| {
        changed |= commit.changes.iter().any(|change| scope.is_touched(change));
        changed
    });
    match over {
        Ok(()) => Ok(changed),
        Err(Error::Refusal(Refusal::CursorTooOld { .. })) => {
            Err(gone("the log no longer tells what has changed since").into())
        }
        Err(error) => Err(error),
    }
}

fn gone(why: &'static str) -> Refusal {
    Refusal::ExportGone { why }
}
