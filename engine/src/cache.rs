//! What was read or written lately, kept in memory up to a number of bytes: pages by the location
//! of their newest frame, metadata values by their location.
//!
//! A location is never written twice, so what is cached never grows stale. Eviction is by clock:
//! what was used since the hand last passed stays.

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
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
    /// By the hash of their location, so that a look-up goes straight to them.
    slots: HashTable<Slot>,
    bytes: usize,
    /// The bucket of the table at which the clock's hand stands.
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
        let hash = self.hash(location);
        let mut shard = self.shard(hash);
        let slot = shard
            .slots
            .find_mut(hash, |slot| slot.location == location)?;
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
        let hash = self.hash(location);
        let mut shard = self.shard(hash);
        shard.remove(hash, location);
        while shard.bytes + bytes > self.shard_bytes {
            shard.evict();
        }
        let slot = Slot {
            location,
            cached,
            used: false,
        };
        let of = |slot: &Slot| self.hash(slot.location);
        shard.slots.insert_unique(hash, slot, of);
        shard.bytes += bytes;
    }

    pub(crate) fn remove(&self, location: Location) {
        let hash = self.hash(location);
        self.shard(hash).remove(hash, location);
    }

    pub(crate) fn holds(&self, location: Location) -> bool {
        let hash = self.hash(location);
        let shard = self.shard(hash);
        let found = shard.slots.find(hash, |slot| slot.location == location);
        found.is_some()
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

    fn hash(&self, location: Location) -> u64 {
        self.hash.hash_one(location)
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // Other bits than those by which a table goes.
        let bits = (hash >> 32) as usize & 0xff_ffff;
        lock(&self.shards[bits % self.shards.len()])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// Takes out the first slot behind the hand that was not used since it last passed.
    fn evict(&mut self) {
        loop {
            if self.hand >= self.slots.num_buckets() {
                self.hand = 0;
            }
            if let Some(slot) = self.slots.get_bucket_mut(self.hand)
                && !std::mem::take(&mut slot.used)
                && let Ok(slot) = self.slots.get_bucket_entry(self.hand)
            {
                let (slot, _) = slot.remove();
                self.bytes -= slot.cached.memory();
                return;
            }
            self.hand += 1;
        }
    }

    fn remove(&mut self, hash: u64, location: Location) {
        let found = self
            .slots
            .find_entry(hash, |slot| slot.location == location);
        if let Ok(slot) = found {
            let (slot, _) = slot.remove();
            self.bytes -= slot.cached.memory();
        }
    }
}
