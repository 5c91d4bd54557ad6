//! Delivers the messages of one application, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use syncline_engine::{Expected, MetadataKey, Proposal, Sequence, Wish};
use tokio::sync::watch;
use tokio::time::sleep;

use super::message::{Message, Parcel, Verdict};
use super::queue::{Queue, Waiting};
use super::transport::Transport;
use crate::error::{ApiError, Chain};
use crate::site::Site;
use crate::site::stored::{self, DeviceRecord};

/// Messages of one batch: with the longest tokens half a megabyte.
const BATCH: usize = 100;
/// First and longest pause after a failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));

/// See the module.
pub(super) struct Delivery {
    pub(super) site: Arc<Site>,
    pub(super) application: String,
    pub(super) transport: Transport,
    pub(super) queue: Arc<Queue>,
}

/// A message that was taken, and how its device is stored.
struct Taken {
    parcel: Parcel,
    waiting: Waiting,
    key: MetadataKey,
    version: Sequence,
}

impl Delivery {
    /// Delivers until told to stop.
    pub(super) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut pause = BACK_OFF.0;
        loop {
            let batch = tokio::select! {
                batch = self.queue.take(BATCH) => batch,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let again = tokio::select! {
                again = self.deliver(&batch) => again,
                // Whatever of it has arrived arrives once more.
                _ = stop.wait_for(|stop| *stop) => batch,
            };
            let failed = !again.is_empty();
            self.queue.settle(again);
            self.site.push.waiting(&self.application, self.queue.len());
            if !failed {
                pause = BACK_OFF.0;
                continue;
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            pause = (pause * 2).min(BACK_OFF.1);
        }
    }

    /// Returns what is to be tried again.
    async fn deliver(&self, batch: &[(Message, Waiting)]) -> Vec<(Message, Waiting)> {
        let taken = match self.addressed(batch).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!("reading devices to push to: {error}");
                return batch.to_vec();
            }
        };
        let parcels: Vec<Parcel> = taken.iter().map(|taken| taken.parcel.clone()).collect();
        let seconds = self.site.now().get() / 1000;
        let verdicts = self.transport.send(&parcels, seconds).await;
        let mut again = Vec::new();
        for (taken, verdict) in taken.into_iter().zip(verdicts) {
            let outcome = match verdict {
                Verdict::Delivered => "delivered",
                Verdict::Dead => {
                    self.forget(taken).await;
                    "dead"
                }
                Verdict::Retry => {
                    again.push((taken.parcel.message, taken.waiting));
                    "retried"
                }
            };
            self.site.push.told(&self.application, outcome, 1);
        }
        again
    }

    /// The devices of messages as they are registered now. Those that are not any more want no
    /// message.
    async fn addressed(&self, batch: &[(Message, Waiting)]) -> Result<Vec<Taken>, ApiError> {
        let mut taken = Vec::with_capacity(batch.len());
        for (message, waiting) in batch {
            let dataset = &message.dataset;
            let ids = (
                stored::Id::parse(dataset.pool.as_str()),
                stored::Id::parse(dataset.identity.as_str()),
            );
            let (Some(pool), Some(identity)) = ids else {
                continue;
            };
            let key = stored::device_key(pool.uuid, identity.uuid, message.device);
            let found = self.site.load::<DeviceRecord>(key.clone()).await?;
            let Some((device, version)) = found else {
                continue;
            };
            taken.push(Taken {
                parcel: Parcel {
                    message: message.clone(),
                    sync_count: waiting.sync_count,
                    device,
                },
                waiting: *waiting,
                key,
                version,
            });
        }
        Ok(taken)
    }

    /// Drops a device whose token is of nobody any more, unless it was registered anew meanwhile.
    async fn forget(&self, taken: Taken) {
        let device = taken.parcel.message.device;
        tracing::info!("the device {device} is dropped: its token is not good any more");
        let proposal = Proposal::from(Wish::DeleteMetadata {
            key: taken.key,
            expected: Expected::Version(taken.version),
        });
        if let Err(error) = self.site.store.commit(proposal).await {
            tracing::warn!("dropping the device {device}: {}", Chain(&error));
        }
    }
}
