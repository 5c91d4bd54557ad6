//! Reads each commit once and tells the listeners whom it concerns.

use std::sync::Weak;

use syncline_engine::{Error, Feed, FeedChange, FeedCommit, Refusal};

use super::listener::{Change, Listener};
use super::{Registry, Shared};
use crate::error::Chain;

/// Follows the feed for as long as somebody listens.
pub(super) async fn follow(shared: Weak<Shared>, mut feed: Feed) {
    loop {
        feed.changed().await;
        let read = tokio::task::spawn_blocking(move || {
            let commits = feed.read();
            (feed, commits)
        });
        let Ok((back, commits)) = read.await else {
            // It panicked, which the log has; whoever listens is to come again.
            lose(&shared);
            return;
        };
        feed = back;
        let Some(shared_now) = shared.upgrade() else {
            return;
        };
        match commits {
            Ok(commits) => {
                let mut registry = shared_now.lock();
                let changes = commits
                    .iter()
                    .flat_map(|commit: &FeedCommit| &commit.changes);
                for change in changes {
                    registry.tell(change);
                    registry.ring(change);
                }
                registry.followed = Some(feed.cursor());
                if registry.by_identity.is_empty() && registry.pools.is_empty() {
                    registry.followed = None;
                    return;
                }
            }
            Err(error) => {
                if !matches!(error, Error::Refusal(Refusal::CursorTooOld { .. })) {
                    tracing::debug!("following the feed for listeners: {}", Chain(&error));
                }
                drop(shared_now);
                lose(&shared);
                return;
            }
        }
    }
}

/// Everybody who listens is to come again, and the next one to come begins anew.
fn lose(shared: &Weak<Shared>) {
    if let Some(shared) = shared.upgrade() {
        let mut registry = shared.lock();
        registry.followed = None;
        registry.ring_all();
        registry.all().for_each(Listener::end);
    }
}

impl Registry {
    fn tell(&mut self, change: &FeedChange) {
        match change {
            FeedChange::Updated {
                dataset,
                sync_count,
                ..
            }
            | FeedChange::Whole {
                dataset,
                sync_count,
                ..
            } => {
                let change = Change {
                    sync_count: sync_count.get(),
                    exists: true,
                };
                let listeners = self.of(dataset.pool, dataset.identity);
                listeners.for_each(|listener| listener.tell(&dataset.name, change));
            }
            FeedChange::DeletedDataset {
                dataset,
                sync_count,
                ..
            } => {
                let change = Change {
                    sync_count: sync_count.get(),
                    exists: false,
                };
                let listeners = self.of(dataset.pool, dataset.identity);
                listeners.for_each(|listener| listener.tell(&dataset.name, change));
            }
            FeedChange::DeletedIdentity { pool, identity, .. } => {
                self.of(*pool, *identity).for_each(Listener::look);
            }
            FeedChange::DeletedPool { pool } => {
                let of_pool = self.by_identity.iter();
                let of_pool = of_pool.filter(|((known, _), _)| known == pool);
                of_pool
                    .flat_map(|(_, listeners)| listeners)
                    .for_each(|listener| listener.look());
            }
        }
    }
}
