//! Delivers the messages of one application, batch by batch.

use std::sync::Arc;
use std::time::Duration;

use syncline_engine::{Error, Expected, MetadataKey, Proposal, Refusal, Sequence, Wish};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::audience::legible;
use super::message::{Message, Parcel, Verdict};
use super::pace::{Heard, Pace};
use super::queue::{Queue, Waiting};
use super::transport::Transport;
use crate::error::Chain;
use crate::site::Site;
use crate::site::stored::{self, DeviceRecord};

/// Messages of one batch: with the longest tokens half a megabyte.
const BATCH: usize = 100;
/// See the module.
pub(super) struct Delivery {
    pub(super) site: Arc<Site>,
    pub(super) application: String,
    pub(super) transport: Arc<Transport>,
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
        let mut pace = Pace::new();
        loop {
            let batch = tokio::select! {
                batch = self.queue.take(BATCH) => batch,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let (again, heard) = tokio::select! {
                again = self.deliver(&batch) => again,
                // Whatever of it has arrived arrives once more.
                _ = stop.wait_for(|stop| *stop) => (batch, Heard::Nothing),
            };
            let dropped = self.queue.settle(again, Instant::now());
            let figures = &self.site.push;
            figures.waiting(&self.application, self.queue.len());
            figures.told(&self.application, "dropped", dropped as u64);
            let Some(pause) = pace.after(heard) else {
                continue;
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Returns what is to be tried again, and what the service made of it.
    async fn deliver(&self, batch: &[(Message, Waiting)]) -> (Vec<(Message, Waiting)>, Heard) {
        let taken = match self.addressed(batch).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!("reading devices to push to: {}", Chain(&error));
                return (batch.to_vec(), Heard::Away(Duration::ZERO));
            }
        };
        let parcels: Vec<Parcel> = taken.iter().map(|taken| taken.parcel.clone()).collect();
        let seconds = self.site.now().get() / 1000;
        let verdicts = self.transport.send(&parcels, seconds).await;
        let heard = Heard::of(&verdicts);
        let is_away = verdicts.iter().all(|verdict| verdict.is_away());
        let (mut again, mut dead, now) = (Vec::new(), Vec::new(), Instant::now());
        let mut outcomes = Vec::with_capacity(taken.len());
        for (taken, verdict) in taken.into_iter().zip(verdicts) {
            let outcome = match verdict {
                Verdict::Delivered => "delivered",
                Verdict::Dead => {
                    dead.push(taken);
                    "dead"
                }
                Verdict::Refused => {
                    let device = taken.parcel.message.device;
                    tracing::warn!("a message for the device {device} is refused and dropped");
                    "refused"
                }
                Verdict::Away | Verdict::AwayFor(_) if is_away => {
                    again.push((taken.parcel.message, taken.waiting));
                    "retried"
                }
                Verdict::Failed | Verdict::FailedFor(_) | Verdict::Away | Verdict::AwayFor(_) => {
                    let waiting = taken.waiting.failed(now, verdict.wait());
                    again.push((taken.parcel.message, waiting));
                    "retried"
                }
            };
            outcomes.push(outcome);
        }
        // Counted when the devices are gone.
        self.forget(dead).await;
        for outcome in outcomes {
            self.site.push.told(&self.application, outcome, 1);
        }
        (again, heard)
    }

    /// The devices of messages as they are registered now. Those that are not any more want no
    /// message.
    async fn addressed(&self, batch: &[(Message, Waiting)]) -> Result<Vec<Taken>, Error> {
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
            let found = legible::<DeviceRecord>(&self.site, key.clone()).await?;
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

    /// Drops devices whose tokens are of nobody any more, unless they were registered anew
    /// meanwhile. All together, since an app that is given up leaves many at once.
    async fn forget(&self, dead: Vec<Taken>) {
        if dead.is_empty() {
            return;
        }
        let mut proposals = Vec::with_capacity(dead.len());
        for taken in dead {
            let device = taken.parcel.message.device;
            tracing::info!("the device {device} is dropped: its token is not good any more");
            proposals.push(Proposal::from(Wish::DeleteMetadata {
                key: taken.key,
                expected: Expected::Version(taken.version),
            }));
        }
        let answers = match self.site.store.commit_all(proposals).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error)],
        };
        for error in answers.into_iter().filter_map(Result::err) {
            // Whoever has several messages is dropped by the first of them.
            if !matches!(error, Error::Refusal(Refusal::Unexpected { .. })) {
                tracing::warn!("dropping a device: {}", Chain(&error));
            }
        }
    }
}
