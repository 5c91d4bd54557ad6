//! The sessions that have done their update: a bounded map in memory.
//!
//! An update [claims](Spent::claim) its session first. While it runs, another update with the same
//! session waits for it; when it succeeded the session is spent, and when it failed in any way the
//! session is free again. Of a spent session the commit is known, so that a repeated request can be
//! answered again. The map forgets sessions whose tokens have expired, and when it is full
//! the oldest: that is safe, since the compare of each record still decides.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use syncline_engine::Sequence;
use tokio::sync::watch;
use uuid::Uuid;

use super::LIFE_MS;

/// The sessions that cannot be used again, and those in use.
#[derive(Debug)]
pub struct Spent {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    /// With the commit that spent it.
    spent: HashMap<Uuid, Sequence>,
    /// In the order of spending, with the time when the token has surely expired.
    order: VecDeque<(u64, Uuid)>,
    /// As many as requests that run. The channel closes when the claim ends.
    claimed: HashMap<Uuid, watch::Receiver<()>>,
}

impl Spent {
    /// An empty map that remembers at most `capacity` sessions.
    #[must_use]
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            capacity,
        })
    }

    /// Claims a session for an update, waiting for one that runs.
    ///
    /// # Errors
    /// The commit that spent the session.
    pub async fn claim(self: &Arc<Self>, session: Uuid) -> Result<Claim, Sequence> {
        loop {
            let mut running = match self.try_claim(session) {
                Tried::Claimed(claim) => return Ok(claim),
                Tried::Spent(commit) => return Err(commit),
                Tried::Running(running) => running,
            };
            // An error, always: nobody sends, the claim's end closes the channel.
            let _ = running.changed().await;
        }
    }

    fn try_claim(self: &Arc<Self>, session: Uuid) -> Tried {
        let mut state = self.lock();
        if let Some(commit) = state.spent.get(&session) {
            return Tried::Spent(*commit);
        }
        if let Some(running) = state.claimed.get(&session) {
            return Tried::Running(running.clone());
        }
        let (ended, running) = watch::channel(());
        state.claimed.insert(session, running);
        Tried::Claimed(Claim {
            sessions: Arc::clone(self),
            session,
            _ended: ended,
        })
    }

    /// Whether an update with this session succeeded.
    #[must_use]
    pub fn contains(&self, session: Uuid) -> bool {
        self.lock().spent.contains_key(&session)
    }

    /// Remembers a session that a commit made at `time_ms` has spent, in the order of the commits.
    pub fn insert(&self, session: Uuid, commit: Sequence, time_ms: u64) {
        self.lock().insert(session, commit, time_ms, self.capacity);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().spent.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn insert(&mut self, session: Uuid, commit: Sequence, time_ms: u64, capacity: usize) {
        while let Some(&(leaves_ms, oldest)) = self.order.front() {
            if leaves_ms > time_ms && self.order.len() < capacity {
                break;
            }
            self.order.pop_front();
            self.spent.remove(&oldest);
        }
        if let Entry::Vacant(place) = self.spent.entry(session) {
            place.insert(commit);
            self.order.push_back((time_ms + LIFE_MS, session));
        }
    }
}

/// How a claim went.
enum Tried {
    Claimed(Claim),
    Spent(Sequence),
    /// An update runs; its end closes the channel.
    Running(watch::Receiver<()>),
}

/// A session in use. Dropped without [`Claim::spend`], the session is free again.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    sessions: Arc<Spent>,
    session: Uuid,
    _ended: watch::Sender<()>,
}

impl Claim {
    /// The update was committed at `time_ms`.
    pub fn spend(self, commit: Sequence, time_ms: u64) {
        self.sessions.insert(self.session, commit, time_ms);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Before the channel closes, so that whoever waited finds it gone.
        self.sessions.lock().claimed.remove(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context as PollArguments, Poll, Waker};

    use super::*;

    const COMMIT: Sequence = Sequence::new(7);

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut PollArguments::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn a_session_is_spent_by_success_only() {
        let sessions = Spent::new(10);
        drop(sessions.claim(id(1)).await.unwrap());
        assert!(!sessions.contains(id(1)));
        sessions.claim(id(1)).await.unwrap().spend(COMMIT, 0);
        assert!(sessions.contains(id(1)));
        assert_eq!(sessions.claim(id(1)).await.unwrap_err(), COMMIT);
        assert!(sessions.lock().claimed.is_empty());
    }

    #[tokio::test]
    async fn a_second_claim_waits_for_the_first() {
        for succeeds in [true, false] {
            let sessions = Spent::new(10);
            let first = sessions.claim(id(1)).await.unwrap();
            let mut second = pin!(sessions.claim(id(1)));
            assert!(poll(second.as_mut()).is_pending());
            let mut third = pin!(sessions.claim(id(1)));
            assert!(poll(third.as_mut()).is_pending());
            drop(sessions.claim(id(2)).await.unwrap());
            if succeeds {
                first.spend(COMMIT, 0);
                assert_eq!(second.await.unwrap_err(), COMMIT);
                assert_eq!(third.await.unwrap_err(), COMMIT);
            } else {
                drop(first);
                let second = second.await.unwrap();
                assert!(poll(third.as_mut()).is_pending());
                drop(second);
                drop(third.await.unwrap());
            }
        }
    }

    #[test]
    fn the_oldest_leave_first() {
        let sessions = Spent::new(3);
        for number in 0..5 {
            sessions.insert(id(number), COMMIT, 1000);
        }
        assert_eq!(sessions.len(), 3);
        assert!(!sessions.contains(id(1)) && sessions.contains(id(2)) && sessions.contains(id(4)));
        sessions.insert(id(5), COMMIT, 1000 + LIFE_MS);
        assert_eq!(sessions.len(), 1);
        sessions.insert(id(5), Sequence::ZERO, 1000 + LIFE_MS);
        assert_eq!(sessions.lock().spent[&id(5)], COMMIT);
        assert_eq!(sessions.lock().order.len(), 1);
        assert!(!sessions.is_empty());
    }
}
