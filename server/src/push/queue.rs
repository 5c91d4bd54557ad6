//! Messages that wait for one application: one for each device and dataset, in order, bounded.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use syncline_engine::Sequence;
use tokio::sync::Notify;

use super::message::Message;

/// Most messages that wait: some 20 MiB. While a service is down for long the oldest go, since
/// devices synchronize sooner or later without a message, too.
const WAITING_MAX: usize = 65_536;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Message, Waiting>,
    order: BTreeMap<u64, Message>,
    next: u64,
    /// The oldest of those that are being delivered.
    delivering: Option<Sequence>,
}

/// What is known of a message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The newest count of its dataset.
    pub(super) sync_count: u64,
    /// The first commit that it is of.
    since: Sequence,
    order: u64,
}

impl Queue {
    /// Puts a message behind the others, or its count to the one that waits already. Returns
    /// whether another had to make room. Nobody is woken before [`Queue::announce`].
    pub(super) fn add(&self, message: Message, sync_count: u64, since: Sequence) -> bool {
        let mut state = self.lock();
        state.put(message, sync_count, since);
        let dropped = state.waiting.len() > WAITING_MAX;
        if dropped && let Some((_, oldest)) = state.order.pop_first() {
            state.waiting.remove(&oldest);
        }
        dropped
    }

    /// Messages may have come: several commits may have made one of them.
    pub(super) fn announce(&self) {
        self.came.notify_one();
    }

    /// Waits for messages and takes at most so many. They count as waiting until [`Queue::settle`].
    pub(super) async fn take(&self, most: usize) -> Vec<(Message, Waiting)> {
        loop {
            let came = self.came.notified();
            let batch = self.lock().take(most);
            if !batch.is_empty() {
                return batch;
            }
            came.await;
        }
    }

    /// The messages that were taken last are done, but for those that are to be tried again.
    pub(super) fn settle(&self, again: Vec<(Message, Waiting)>) {
        let mut state = self.lock();
        state.delivering = None;
        for (message, waiting) in again {
            state.put(message, waiting.sync_count, waiting.since);
        }
    }

    /// The first commit of which something is not delivered.
    pub(super) fn oldest(&self) -> Option<Sequence> {
        let state = self.lock();
        let waiting = state.waiting.values().map(|waiting| waiting.since);
        waiting.chain(state.delivering).min()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, message: Message, sync_count: u64, since: Sequence) {
        if let Some(waiting) = self.waiting.get_mut(&message) {
            waiting.sync_count = waiting.sync_count.max(sync_count);
            waiting.since = waiting.since.min(since);
            return;
        }
        let order = self.next;
        self.next += 1;
        self.order.insert(order, message.clone());
        let waiting = Waiting {
            sync_count,
            since,
            order,
        };
        self.waiting.insert(message, waiting);
    }

    fn take(&mut self, most: usize) -> Vec<(Message, Waiting)> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some((_, message)) = self.order.pop_first()
        {
            if let Some(waiting) = self.waiting.remove(&message) {
                batch.push((message, waiting));
            }
        }
        self.delivering = batch.iter().map(|(_, waiting)| waiting.since).min();
        batch
    }
}

#[cfg(test)]
mod tests {
    use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId};
    use uuid::Uuid;

    use super::*;

    fn message(device: u128, dataset: &str) -> Message {
        Message {
            dataset: DatasetId {
                pool: PoolId::parse("r:1").unwrap(),
                identity: IdentityId::parse("r:2").unwrap(),
                name: DatasetName::parse(dataset).unwrap(),
            },
            device: Uuid::from_u128(device),
        }
    }

    fn at(sequence: u64) -> Sequence {
        Sequence::new(sequence)
    }

    #[tokio::test]
    async fn messages_of_a_device_and_dataset_become_one() {
        let queue = Queue::default();
        for (device, dataset, count, sequence) in [
            (1, "a", 5, 10),
            (2, "a", 5, 10),
            (1, "b", 1, 11),
            (1, "a", 6, 12),
        ] {
            assert!(!queue.add(message(device, dataset), count, at(sequence)));
        }
        assert_eq!((queue.len(), queue.oldest()), (3, Some(at(10))));
        let batch = queue.take(2).await;
        let told: Vec<_> = batch
            .iter()
            .map(|(m, w)| (m.clone(), w.sync_count))
            .collect();
        assert_eq!(told, [(message(1, "a"), 6), (message(2, "a"), 5)]);
        // Those on their way are not done.
        assert_eq!((queue.len(), queue.oldest()), (1, Some(at(10))));
        queue.add(message(1, "a"), 7, at(13));
        // One that comes back is the same as the one that came meanwhile.
        queue.settle(vec![batch[0].clone()]);
        assert_eq!((queue.len(), queue.oldest()), (2, Some(at(10))));
        let batch = queue.take(10).await;
        let counts: Vec<_> = batch
            .iter()
            .map(|(_, waiting)| waiting.sync_count)
            .collect();
        assert_eq!(counts, [1, 7]);
        queue.settle(Vec::new());
        assert_eq!((queue.len(), queue.oldest()), (0, None));
    }

    #[test]
    fn beyond_the_bound_the_oldest_goes() {
        let queue = Queue::default();
        for device in 0..WAITING_MAX {
            assert!(!queue.add(message(device as u128, "a"), 1, at(device as u64)));
        }
        assert!(queue.add(message(1 << 100, "a"), 1, at(1 << 20)));
        assert_eq!((queue.len(), queue.oldest()), (WAITING_MAX, Some(at(1))));
    }
}
