//! What was read or written lately, kept in memory up to a number of bytes: pages by the location
//! of their newest frame, metadata values by their location.
//!
//! A location is never written twice, so what is cached never grows stale. Eviction is by clock:
//! what was used since the hand last passed stays.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use foldhash::{HashMap, fast::RandomState};
use std::hash::BuildHasher;

use crate::page::Page;
use crate::state::Move;
use crate::types::{Location, MetadataValue};

/// Most parts of the cache that lock on their own.
const SHARDS_MAX: usize = 16;
/// Bytes of a part: several of the largest pages, since no page is larger than a part.
const SHARD_BYTES: usize = 64 << 20;
/// Memory of a place in the cache beside what it holds.
const SLOT_BYTES: usize = 96;

/// One cached thing.
#[derive(Clone)]
pub(crate) enum Cached {
    Page(Arc<Page>),
    Value(MetadataValue),
}

impl Cached {
    fn memory(&self) -> usize {
        SLOT_BYTES
            + match self {
                Self::Page(page) => page.memory(),
                Self::Value(value) => value.as_bytes().len(),
            }
    }
}

/// The cache.
pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    shard_bytes: usize,
    hash: RandomState,
}

#[derive(Default)]
struct Shard {
    slots: Vec<Slot>,
    places: HashMap<Location, usize>,
    bytes: usize,
    hand: usize,
}

struct Slot {
    location: Location,
    cached: Cached,
    used: bool,
}

impl Cache {
    pub(crate) fn new(bytes: usize) -> Self {
        let shards = (bytes / SHARD_BYTES).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shard_bytes: bytes / shards,
            hash: RandomState::default(),
        }
    }

    pub(crate) fn page(&self, location: Location) -> Option<Arc<Page>> {
        match self.get(location)? {
            Cached::Page(page) => Some(page),
            Cached::Value(_) => None,
        }
    }

    pub(crate) fn value(&self, location: Location) -> Option<MetadataValue> {
        match self.get(location)? {
            Cached::Value(value) => Some(value),
            Cached::Page(_) => None,
        }
    }

    fn get(&self, location: Location) -> Option<Cached> {
        let mut shard = self.shard(location);
        let &at = shard.places.get(&location)?;
        let slot = &mut shard.slots[at];
        // Written only if need be: many read the same line.
        if !slot.used {
            slot.used = true;
        }
        Some(slot.cached.clone())
    }

    /// Keeps something, in place of what has to go for it, unless it is larger than a part.
    pub(crate) fn insert(&self, location: Location, cached: Cached) {
        let bytes = cached.memory();
        if bytes > self.shard_bytes {
            return;
        }
        let mut shard = self.shard(location);
        shard.remove(location);
        while shard.bytes + bytes > self.shard_bytes {
            shard.evict();
        }
        let at = shard.slots.len();
        shard.slots.push(Slot {
            location,
            cached,
            used: false,
        });
        shard.places.insert(location, at);
        shard.bytes += bytes;
    }

    pub(crate) fn remove(&self, location: Location) {
        self.shard(location).remove(location);
    }

    pub(crate) fn holds(&self, location: Location) -> bool {
        self.shard(location).places.contains_key(&location)
    }

    /// Keeps what is kept of a place that moved in its new place, too.
    pub(crate) fn follow(&self, moved: &Move, page: Option<&Arc<Page>>) {
        let cached = match (self.get(moved.from), page) {
            (Some(Cached::Page(_)), Some(page)) => Cached::Page(Arc::clone(page)),
            (Some(Cached::Value(value)), _) => Cached::Value(value),
            _ => return,
        };
        self.insert(moved.to.location, cached);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).bytes).sum()
    }

    fn shard(&self, location: Location) -> MutexGuard<'_, Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let hash = self.hash.hash_one(location) as usize;
        lock(&self.shards[hash % self.shards.len()])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// Takes out the first slot behind the hand that was not used since it last passed.
    fn evict(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            let slot = &mut self.slots[self.hand];
            if !std::mem::take(&mut slot.used) {
                let location = slot.location;
                self.remove(location);
                return;
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, location: Location) {
        let Some(at) = self.places.remove(&location) else {
            return;
        };
        let slot = self.slots.swap_remove(at);
        self.bytes -= slot.cached.memory();
        if let Some(moved) = self.slots.get(at) {
            self.places.insert(moved.location, at);
        }
    }
}
