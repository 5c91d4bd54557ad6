//! Push synchronization: tells devices that a dataset which they follow was changed by another.
//!
//! One reader of the feed finds out who is to be told; each application of the configuration has a
//! queue and delivers at its own pace. What is stored is the place up to which everything was
//! delivered: after a crash some is told again, and nothing is forgotten. A message only says that
//! there is something to synchronize, so of several for one device and dataset the last suffices.

mod apns;
mod audience;
mod delivery;
mod each;
mod fcm;
#[cfg(test)]
mod fixture;
mod message;
mod pace;
mod place;
mod proof;
mod queue;
mod sns;
mod transport;
mod webhook;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use syncline_engine::{Error, Fault, Feed, FeedChange, FeedCommit, Refusal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::error::Chain;
use crate::site::Site;

use message::Message;
use place::Progress;
use queue::Queue;
use transport::Transport;

/// How often the place is stored at most.
const STORING: Duration = Duration::from_secs(1);
/// Time until something that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The queues, by application.
type Queues = BTreeMap<String, Arc<Queue>>;
/// How each application's messages are sent. They are made once, since they know what a service
/// has said so far.
type Transports = BTreeMap<String, Arc<Transport>>;

/// Pushes until told to stop. Does nothing if no application is configured.
pub async fn run(site: Arc<Site>, stop: watch::Receiver<bool>) {
    if site.config.push.is_empty() {
        return;
    }
    let applications = site.config.push.keys();
    let queues: Queues = applications
        .map(|application| (application.clone(), Arc::default()))
        .collect();
    let queues = Arc::new(queues);
    let transports = site.config.push.iter();
    let transports: Transports = transports
        .map(|(name, config)| (name.clone(), Arc::new(Transport::new(name, config))))
        .collect();
    let deliveries = deliver(&site, &queues, &transports, &stop);
    let reading = once_more("reading what is to be pushed", || {
        read_from_stored(Arc::clone(&site), Arc::clone(&queues), stop.clone())
    });
    let ((), progress) = tokio::join!(deliveries, reading);
    if let Some(mut progress) = progress {
        progress.store(&site, &queues).await;
    }
}

/// Runs a task to its end, and from the beginning if it panics, which the log has: it would be
/// missed by nobody else.
async fn once_more<Run>(what: &str, begin: impl Fn() -> Run) -> Run::Output
where
    Run: Future<Output: Send> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        tasks.spawn(begin());
        match tasks.join_next().await {
            Some(Ok(output)) => return output,
            _ => tracing::error!("{what} broke down; it begins again"),
        }
        sleep(PAUSE).await;
    }
}

/// Reads the feed into the queues from the stored place on until told to stop; then how far it
/// came. What was in them already is not there twice.
async fn read_from_stored(
    site: Arc<Site>,
    queues: Arc<Queues>,
    mut stop: watch::Receiver<bool>,
) -> Option<Progress> {
    let opened = tokio::select! {
        opened = open(&site) => opened,
        _ = stop.wait_for(|stop| *stop) => return None,
    };
    let (feed, mut progress) = opened;
    // Where nothing was pushed yet, this is the place that a crash goes back to.
    progress.store(&site, &queues).await;
    read(&site, feed, &queues, &mut progress, stop).await;
    Some(progress)
}

/// Delivers by all applications until told to stop.
async fn deliver(
    site: &Arc<Site>,
    queues: &Queues,
    transports: &Transports,
    stop: &watch::Receiver<bool>,
) {
    let mut deliveries = JoinSet::new();
    for (application, transport) in transports {
        let (site, stop, application) = (Arc::clone(site), stop.clone(), application.clone());
        let (queue, transport) = (Arc::clone(&queues[&application]), Arc::clone(transport));
        let what = format!("delivering by {application}");
        let begin = move || {
            // What one had taken that broke down.
            queue.recover();
            let delivery = delivery::Delivery {
                site: Arc::clone(&site),
                application: application.clone(),
                transport: Arc::clone(&transport),
                queue: Arc::clone(&queue),
            };
            delivery.run(stop.clone())
        };
        deliveries.spawn(async move { once_more(&what, begin).await });
    }
    while deliveries.join_next().await.is_some() {}
}

/// The feed where the last one stopped.
async fn open(site: &Site) -> (Feed, Progress) {
    loop {
        match place::feed(site).await {
            Ok(feed) => {
                // One reads, and another stays where what was pushed is stored.
                match place::feed_at(site, feed.cursor().sequence) {
                    Ok(held) => return (feed, Progress::at(held)),
                    Err(error) => tracing::error!("cannot begin to push: {}", Chain(&error)),
                }
            }
            Err(error) => {
                tracing::error!("cannot begin to push: {error}");
            }
        }
        sleep(PAUSE).await;
    }
}

/// Reads the feed into the queues until told to stop.
async fn read(
    site: &Site,
    mut feed: Feed,
    queues: &Queues,
    progress: &mut Progress,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let commits;
        (feed, commits) = read_some(feed).await;
        match commits {
            Ok(commits) if commits.is_empty() => {
                progress.passed(feed.cursor());
                tokio::select! {
                    () = feed.changed() => {}
                    () = sleep(STORING) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
            Ok(commits) => {
                for commit in &commits {
                    tokio::select! {
                        () = tell(site, queues, commit) => progress.told(commit.cursor),
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                }
                queues.values().for_each(|queue| queue.announce());
            }
            Err(Error::Refusal(Refusal::CursorTooOld { floor })) => {
                tracing::warn!(
                    "push was too far behind: what changed before sequence {floor} is not pushed"
                );
                match place::feed_at(site, floor) {
                    Ok(again) => feed = again,
                    Err(error) => tracing::error!("cannot go on to push: {}", Chain(&error)),
                }
            }
            Err(Error::Fault(Fault::Closed)) => return,
            Err(error) => {
                tracing::error!("reading the feed to push: {}", Chain(&error));
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
            }
        }
        progress.store_if_due(site, queues).await;
    }
}

/// Reading may block, so it leaves the async threads.
async fn read_some(mut feed: Feed) -> (Feed, Result<Vec<FeedCommit>, Error>) {
    let read = tokio::task::spawn_blocking(move || {
        let commits = feed.read();
        (feed, commits)
    });
    match read.await {
        Ok(read) => read,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

/// Puts what a commit is to tell into the queues, however often that takes.
async fn tell(site: &Site, queues: &Queues, commit: &FeedCommit) {
    while let Err(error) = try_to_tell(site, queues, commit).await {
        tracing::warn!("finding out whom to push to: {}", Chain(&error));
        sleep(PAUSE).await;
    }
}

async fn try_to_tell(site: &Site, queues: &Queues, commit: &FeedCommit) -> Result<(), Error> {
    let mut found = Vec::new();
    for change in &commit.changes {
        // A deletion ends all subscriptions, and what is published again has not changed.
        let FeedChange::Updated {
            dataset,
            sync_count,
            modified_by,
            ..
        } = change
        else {
            continue;
        };
        for (application, device) in audience::of(site, dataset, modified_by).await? {
            let message = Message {
                dataset: dataset.clone(),
                device,
            };
            found.push((application, message, sync_count.get()));
        }
    }
    // Only when all are known, since what fails before is tried again from the start.
    for (application, message, sync_count) in found {
        let Some(queue) = queues.get(&application) else {
            continue;
        };
        let dropped = queue.add(message, sync_count, commit.cursor.sequence);
        site.push.waiting(&application, queue.len());
        if dropped {
            site.push.told(&application, "dropped", 1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_breaks_down_begins_again() {
        let tries = Arc::new(AtomicU32::new(0));
        let end = once_more("counting", || {
            let tries = Arc::clone(&tries);
            async move {
                let before = tries.fetch_add(1, Ordering::Relaxed);
                assert!(before == 1, "as it should");
                before
            }
        });
        assert_eq!(end.await, 1);
    }
}
