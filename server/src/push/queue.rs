//! Messages that wait for one application: one for each device and dataset, in order, bounded.
//!
//! What failed waits for a time of its own, so that it holds up nothing else, and comes again in
//! batches that get smaller, so that one that spoils its batch is alone in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use syncline_engine::Sequence;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::message::Message;

/// Most messages that wait: some 20 MiB. While a service is down for long the oldest go, since
/// devices synchronize sooner or later without a message, too.
const WAITING_MAX: usize = 65_536;
/// How long a message is tried: whoever was not told in a day has synchronized, or never will.
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// First and longest time until a message that failed is tried again.
pub(super) const BACK_OFF: (Duration, Duration) =
    (Duration::from_millis(500), Duration::from_secs(60));

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<Message, Waiting>,
    /// Those that may go at once.
    order: BTreeMap<u64, Message>,
    /// Those that failed, by when they may go.
    later: BTreeMap<(Instant, u64), Message>,
    /// The commits of those that wait, and of how many each is the first.
    since: BTreeMap<Sequence, usize>,
    /// Those that are being delivered.
    taken: Vec<(Message, Waiting)>,
    next: u64,
    /// Whether those that failed have their turn.
    failed_next: bool,
}

/// What is known of a message that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The newest count of its dataset.
    pub(super) sync_count: u64,
    /// The first commit that it is of.
    since: Sequence,
    order: u64,
    /// When it was put here first.
    came: Instant,
    /// How often it failed.
    tries: u8,
    /// When it may go, if it failed.
    due: Option<Instant>,
}

impl Waiting {
    /// The same after it failed by itself; it waits for so long at least.
    pub(super) fn failed(self, now: Instant, at_least: Duration) -> Self {
        let wait = BACK_OFF.0 * (1 << self.tries.min(7));
        Self {
            tries: self.tries.saturating_add(1),
            due: Some(now + wait.min(BACK_OFF.1).max(at_least)),
            ..self
        }
    }

    /// The same with what came for the same device and dataset.
    fn with(self, other: Self) -> Self {
        Self {
            sync_count: self.sync_count.max(other.sync_count),
            since: self.since.min(other.since),
            order: self.order,
            came: self.came.min(other.came),
            tries: self.tries.max(other.tries),
            due: self.due.max(other.due),
        }
    }

    /// Of how many its batch may be, if any number up to a most is good for those that are new.
    fn batch(&self, most: usize) -> usize {
        (most >> self.tries.min(16)).max(1)
    }
}

impl Queue {
    /// Puts a message behind the others, or its count to the one that waits already. Returns
    /// whether another had to make room. Nobody is woken before [`Queue::announce`].
    pub(super) fn add(&self, message: Message, sync_count: u64, since: Sequence) -> bool {
        let mut state = self.lock();
        let waiting = Waiting {
            sync_count,
            since,
            order: 0,
            came: Instant::now(),
            tries: 0,
            due: None,
        };
        state.put(message, waiting);
        let dropped = state.waiting.len() > WAITING_MAX;
        if dropped {
            // Those that failed already go first.
            let mut all = state.later.values().chain(state.order.values());
            if let Some(message) = all.next().cloned() {
                state.remove(&message);
            }
        }
        dropped
    }

    /// Messages may have come: several commits may have made one of them.
    pub(super) fn announce(&self) {
        self.came.notify_one();
    }

    /// Waits for messages and takes at most so many. They count as not delivered until
    /// [`Queue::settle`].
    pub(super) async fn take(&self, most: usize) -> Vec<(Message, Waiting)> {
        loop {
            let came = self.came.notified();
            let (batch, due) = {
                let mut state = self.lock();
                let batch = state.take(most, Instant::now());
                (batch, state.later.keys().next().map(|(due, _)| *due))
            };
            if !batch.is_empty() {
                return batch;
            }
            match due {
                // Whichever is first, it is time to look again.
                Some(due) => drop(timeout_at(due, came).await),
                None => came.await,
            }
        }
    }

    /// The messages that were taken last are done, but for those that are to be tried again.
    /// Returns how many of these are too old for that.
    pub(super) fn settle(&self, again: Vec<(Message, Waiting)>, now: Instant) -> usize {
        let mut state = self.lock();
        state.taken.clear();
        let all = again.len();
        let mut kept = 0;
        for (message, waiting) in again {
            if now.saturating_duration_since(waiting.came) < AGE_MAX {
                state.put(message, waiting);
                kept += 1;
            }
        }
        all - kept
    }

    /// Takes back what was taken by one who broke down over it.
    pub(super) fn recover(&self) {
        let taken = std::mem::take(&mut self.lock().taken);
        let now = Instant::now();
        let failed = taken
            .into_iter()
            .map(|(m, waiting)| (m, waiting.failed(now, Duration::ZERO)));
        self.settle(failed.collect(), now);
    }

    /// The first commit of which something is not delivered.
    pub(super) fn oldest(&self) -> Option<Sequence> {
        let state = self.lock();
        let taken = state.taken.iter().map(|(_, waiting)| waiting.since).min();
        let waiting = state.since.keys().next().copied();
        waiting.into_iter().chain(taken).min()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, message: Message, new: Waiting) {
        let waiting = if let Some(known) = self.remove(&message) {
            known.with(new)
        } else {
            self.next += 1;
            Waiting {
                order: self.next,
                ..new
            }
        };
        match waiting.due {
            Some(due) => self.later.insert((due, waiting.order), message.clone()),
            None => self.order.insert(waiting.order, message.clone()),
        };
        *self.since.entry(waiting.since).or_default() += 1;
        self.waiting.insert(message, waiting);
    }

    fn remove(&mut self, message: &Message) -> Option<Waiting> {
        let waiting = self.waiting.remove(message)?;
        match waiting.due {
            Some(due) => self.later.remove(&(due, waiting.order)),
            None => self.order.remove(&waiting.order),
        };
        if let Some(count) = self.since.get_mut(&waiting.since) {
            *count -= 1;
            if *count == 0 {
                self.since.remove(&waiting.since);
            }
        }
        Some(waiting)
    }

    /// Those that are new and those that failed, in turns and never together.
    fn take(&mut self, most: usize, now: Instant) -> Vec<(Message, Waiting)> {
        let due = |state: &Self| {
            let first = state.later.first_key_value();
            first
                .filter(|((due, _), _)| *due <= now)
                .map(|(_, m)| m.clone())
        };
        let failed = due(self).is_some() && (self.failed_next || self.order.is_empty());
        self.failed_next = !failed;
        let (mut batch, mut limit) = (Vec::new(), most);
        while batch.len() < limit {
            let next = match failed {
                true => due(self),
                false => self.order.values().next().cloned(),
            };
            let Some(message) = next else {
                break;
            };
            let allowed = self.waiting.get(&message).map_or(1, |w| w.batch(most));
            limit = limit.min(allowed);
            if batch.len() >= limit {
                break;
            }
            if let Some(waiting) = self.remove(&message) {
                batch.push((message, waiting));
            }
        }
        self.taken.clone_from(&batch);
        batch
    }
}

#[cfg(test)]
mod tests {
    use syncline_engine::{DatasetId, DatasetName, IdentityId, PoolId};
    use uuid::Uuid;

    use super::super::pace::{Heard, Pace};
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
        queue.settle(vec![batch[0].clone()], Instant::now());
        assert_eq!((queue.len(), queue.oldest()), (2, Some(at(10))));
        let batch = queue.take(10).await;
        let counts: Vec<_> = batch
            .iter()
            .map(|(_, waiting)| waiting.sync_count)
            .collect();
        assert_eq!(counts, [1, 7]);
        queue.settle(Vec::new(), Instant::now());
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
    #[test]
    fn what_fails_holds_up_nothing_else_and_is_alone_in_the_end() {
        let queue = Queue::default();
        for device in 1..=8 {
            queue.add(message(device, "a"), 1, at(10));
        }
        let mut now = Instant::now();
        let take = |now| queue.lock().take(8, now);
        let fail = |batch: Vec<(Message, Waiting)>, now| {
            let again = batch
                .into_iter()
                .map(|(m, w)| (m, w.failed(now, Duration::ZERO)));
            queue.settle(again.collect(), now)
        };
        fail(take(now), now);
        // What comes meanwhile does not wait for them, though another count of one of them does.
        queue.add(message(9, "a"), 1, at(11));
        queue.add(message(1, "a"), 2, at(11));
        let fresh = take(now);
        assert_eq!((fresh.len(), &fresh[0].0), (1, &message(9, "a")));
        assert_eq!(queue.oldest(), Some(at(10)));
        queue.settle(Vec::new(), now);
        assert_eq!(take(now), []);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            now += BACK_OFF.1;
            let batch = take(now);
            sizes.push(batch.len());
            fail(batch, now);
        }
        assert_eq!(sizes, [4, 4, 2, 2]);
        assert_eq!(take(now + BACK_OFF.1).len(), 2);
        // One who breaks down over it loses none.
        queue.recover();
        assert_eq!((queue.len(), queue.oldest()), (8, Some(at(10))));
    }

    /// Batches of 1,000 messages in an hour, of which nothing gets through.
    fn batches_in_vain(pause: impl Fn(&mut Pace) -> Duration) -> u32 {
        let queue = Queue::default();
        for device in 0..1000 {
            queue.add(message(device, "a"), 1, at(10));
        }
        let (mut pace, mut batches, mut now) = (Pace::new(), 0, Instant::now());
        let end = now + Duration::from_secs(3600);
        while now < end {
            let batch = queue.lock().take(100, now);
            if batch.is_empty() {
                now = queue.lock().later.keys().next().unwrap().0;
                continue;
            }
            batches += 1;
            let again = batch
                .into_iter()
                .map(|(m, w)| (m, w.failed(now, Duration::ZERO)));
            queue.settle(again.collect(), now);
            now += pause(&mut pace);
        }
        batches
    }

    #[test]
    fn a_service_that_fails_everything_is_asked_once_a_minute_in_the_end() {
        // A thousand messages by themselves, each once a minute.
        assert!(batches_in_vain(|_| Duration::ZERO) > 50_000);
        let paused = batches_in_vain(|pace| pace.after(Heard::None).unwrap_or_default());
        assert!((60..80).contains(&paused), "{paused}");
    }

    #[test]
    fn who_is_told_to_come_later_does() {
        let queue = Queue::default();
        let now = Instant::now();
        let take = |now| queue.lock().take(8, now);
        for (at_least, wait) in [
            (Duration::ZERO, BACK_OFF.0),
            (Duration::from_secs(90), Duration::from_secs(90)),
        ] {
            queue.add(message(1, "a"), 1, at(10));
            let (message, waiting) = take(now).remove(0);
            queue.settle(vec![(message, waiting.failed(now, at_least))], now);
            assert_eq!(take(now + wait - Duration::from_millis(1)), []);
            assert_eq!(take(now + wait).len(), 1);
            queue.settle(Vec::new(), now);
        }
    }

    #[test]
    fn a_message_that_nobody_ever_takes_is_given_up() {
        let queue = Queue::default();
        queue.add(message(1, "a"), 1, at(10));
        let now = Instant::now();
        let batch = queue.lock().take(1, now);
        assert_eq!(queue.settle(batch.clone(), now), 0);
        assert_eq!(queue.lock().take(1, now).len(), 1);
        assert_eq!(queue.settle(batch, Instant::now() + AGE_MAX), 1);
        assert_eq!((queue.len(), queue.oldest()), (0, None));
    }
}
