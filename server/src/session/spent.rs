//! The sessions that have done their update: a bounded map in memory.
//!
//! An update [claims](Spent::claim) its session first. While it runs, another update with the same
//! session waits for it; when it succeeded the session is spent, and when it failed in any way the
//! session is free again. Of a spent session the commit is known, so that a repeated request can be
//! answered again. The map forgets sessions whose tokens have expired, and when it is full
//! the oldest: that is safe, since the compare of each record still decides.
//!
//! Sessions are forgotten by generations, each with maps of its own. In one map from which they
//! were removed one by one, places of removed ones would count until it is made anew, twice as
//! large. Small maps are made anew in no time, and leave to the next generation just the memory it
//! needs.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
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
    /// In the order of spending.
    generations: VecDeque<Generation>,
    /// As many as requests that run. The channel, made for the first one that waits, closes when
    /// the claim ends.
    claimed: HashMap<Uuid, Option<watch::Sender<()>>>,
}

/// Sessions that were spent about the same time.
#[derive(Debug)]
struct Generation {
    began_ms: u64,
    /// When the last token has surely expired.
    leaves_ms: u64,
    len: usize,
    /// With the commit that spent each, in the part that its last byte says.
    parts: [HashMap<Uuid, Sequence>; PARTS],
    /// One of the parts would have to be made anew, larger than any.
    full: bool,
}

/// Generations in the life of a token, and in a full map: so much more is remembered than need be,
/// or so much is forgotten at a time.
const GENERATIONS: usize = 8;
/// Updates that may wait for one with the same session: more than a client that repeats itself
/// makes.
const WAITING_MAX: usize = 8;
/// Maps of a generation.
const PARTS: usize = 64;
/// Sessions of a part: as many as fit before it is made anew, twice as large.
const OF_A_PART: usize = 2048 / 8 * 7;

impl Generation {
    fn new(began_ms: u64) -> Self {
        Self {
            began_ms,
            leaves_ms: 0,
            len: 0,
            parts: std::array::from_fn(|_| HashMap::new()),
            full: false,
        }
    }

    fn part(session: Uuid) -> usize {
        usize::from(session.as_bytes()[15]) % PARTS
    }

    fn commit_of(&self, session: Uuid) -> Option<Sequence> {
        self.parts[Self::part(session)].get(&session).copied()
    }

    fn insert(&mut self, session: Uuid, commit: Sequence) {
        let part = &mut self.parts[Self::part(session)];
        part.insert(session, commit);
        self.full = part.len() >= OF_A_PART;
        self.len += 1;
    }
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

    /// Claims a session for an update, waiting for one that runs. Only some may wait, since
    /// who waits holds what it wants to write.
    ///
    /// # Errors
    /// [`Unclaimed`].
    pub async fn claim(self: &Arc<Self>, session: Uuid) -> Result<Claim, Unclaimed> {
        loop {
            let mut running = match self.try_claim(session) {
                Tried::Claimed(claim) => return Ok(claim),
                Tried::Spent(commit) => return Err(Unclaimed::Spent(commit)),
                Tried::Crowded => return Err(Unclaimed::Crowded),
                Tried::Running(running) => running,
            };
            // An error, always: nobody sends, the claim's end closes the channel.
            let _ = running.changed().await;
        }
    }

    fn try_claim(self: &Arc<Self>, session: Uuid) -> Tried {
        let mut state = self.lock();
        if let Some(commit) = state.commit_of(session) {
            return Tried::Spent(commit);
        }
        match state.claimed.entry(session) {
            Entry::Occupied(mut running) => {
                let ended = running.get_mut();
                let ended = ended.get_or_insert_with(|| watch::channel(()).0);
                if ended.receiver_count() >= WAITING_MAX {
                    return Tried::Crowded;
                }
                Tried::Running(ended.subscribe())
            }
            Entry::Vacant(place) => {
                place.insert(None);
                Tried::Claimed(Claim {
                    sessions: Arc::clone(self),
                    session,
                })
            }
        }
    }

    /// Whether an update with this session succeeded.
    #[must_use]
    pub fn contains(&self, session: Uuid) -> bool {
        self.lock().commit_of(session).is_some()
    }

    /// Remembers a session that a commit made at `time_ms` has spent, in the order of the commits.
    pub fn insert(&self, session: Uuid, commit: Sequence, time_ms: u64) {
        self.lock().insert(session, commit, time_ms, self.capacity);
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
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
    fn len(&self) -> usize {
        self.generations.iter().map(|known| known.len).sum()
    }

    /// The commit that spent a session.
    fn commit_of(&self, session: Uuid) -> Option<Sequence> {
        let mut generations = self.generations.iter().rev();
        generations.find_map(|known| known.commit_of(session))
    }

    fn insert(&mut self, session: Uuid, commit: Sequence, time_ms: u64, capacity: usize) {
        while let Some(oldest) = self.generations.front() {
            if oldest.leaves_ms > time_ms && self.len() < capacity {
                break;
            }
            self.generations.pop_front();
        }
        if self.commit_of(session).is_some() {
            return;
        }
        let is_full = |newest: &Generation| {
            newest.full
                || newest.len >= (capacity / GENERATIONS).max(1)
                || time_ms >= newest.began_ms + LIFE_MS / GENERATIONS as u64
        };
        if self.generations.back().is_none_or(is_full) {
            self.generations.push_back(Generation::new(time_ms));
        }
        if let Some(newest) = self.generations.back_mut() {
            newest.leaves_ms = newest.leaves_ms.max(time_ms + LIFE_MS);
            newest.insert(session, commit);
        }
    }
}

/// Why a session cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclaimed {
    /// The commit that spent it.
    Spent(Sequence),
    /// An update with it runs, and as many wait as may.
    Crowded,
}

/// How a claim went.
enum Tried {
    Claimed(Claim),
    Spent(Sequence),
    Crowded,
    /// An update runs; its end closes the channel.
    Running(watch::Receiver<()>),
}

/// A session in use. Dropped without [`Claim::spend`], the session is free again.
#[derive(Debug)]
#[must_use]
pub struct Claim {
    sessions: Arc<Spent>,
    session: Uuid,
}

impl Claim {
    /// The update was committed at `time_ms`.
    pub fn spend(self, commit: Sequence, time_ms: u64) {
        self.sessions.insert(self.session, commit, time_ms);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ended = self.sessions.lock().claimed.remove(&self.session);
        // The channel closes now, so that whoever waited finds the claim gone.
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
        let refused = sessions.claim(id(1)).await.unwrap_err();
        assert_eq!(refused, Unclaimed::Spent(COMMIT));
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
                assert_eq!(second.await.unwrap_err(), Unclaimed::Spent(COMMIT));
                assert_eq!(third.await.unwrap_err(), Unclaimed::Spent(COMMIT));
            } else {
                drop(first);
                let second = second.await.unwrap();
                assert!(poll(third.as_mut()).is_pending());
                drop(second);
                drop(third.await.unwrap());
            }
        }
    }

    #[tokio::test]
    async fn only_some_wait_for_a_session() {
        let sessions = Spent::new(10);
        let claim = sessions.claim(id(1)).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..WAITING_MAX {
            waiting.push(Box::pin(sessions.claim(id(1))));
            let last = waiting.last_mut().unwrap();
            assert!(poll(last.as_mut()).is_pending());
        }
        let refused = sessions.claim(id(1)).await;
        assert_eq!(refused.unwrap_err(), Unclaimed::Crowded);
        // One who goes away makes room.
        waiting.pop();
        let mut another = pin!(sessions.claim(id(1)));
        assert!(poll(another.as_mut()).is_pending());
        drop(claim);
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
        assert_eq!(sessions.lock().commit_of(id(5)), Some(COMMIT));
        assert_eq!(sessions.len(), 1);
        assert!(!sessions.is_empty());
    }

    #[test]
    fn none_leaves_before_its_token_and_all_leave_soon_after() {
        let sessions = Spent::new(1 << 20);
        let step = LIFE_MS / 1000;
        for number in 0..20_000_u64 {
            let now = number * step;
            sessions.insert(id(number.into()), COMMIT, now);
            let eldest = number.saturating_sub(999);
            assert!(sessions.contains(id(eldest.into())), "{number}");
            assert!(sessions.len() <= 1000 + 1000 / GENERATIONS + 1, "{number}");
        }
        let state = sessions.lock();
        assert!(state.generations.len() <= GENERATIONS + 1);
        // What they take follows what they hold, however many came and went.
        let parts = state.generations.iter().flat_map(|known| &known.parts);
        let places: usize = parts.map(HashMap::capacity).sum();
        assert!(places <= 4 * state.len(), "{places}");
    }

    #[test]
    fn no_map_grows_large_however_many_come_at_once() {
        let sessions = Spent::new(1 << 20);
        for number in 0..300_000 {
            sessions.insert(id(number), COMMIT, 1000);
        }
        assert_eq!(sessions.len(), 300_000);
        assert!(sessions.contains(id(0)) && sessions.contains(id(299_999)));
        let state = sessions.lock();
        let parts = state.generations.iter().flat_map(|known| &known.parts);
        assert_eq!(parts.map(HashMap::capacity).max(), Some(OF_A_PART));
    }
}
