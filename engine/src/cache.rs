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

/// A table with more buckets than this is made smaller when fewer than one in so many is in use.
const BUCKETS_MIN: usize = 1024;
const SPARSE: usize = 16;

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
        // A hand that walks over empty buckets keeps everybody waiting.
        let slots = &mut shard.slots;
        if slots.num_buckets() > BUCKETS_MIN && slots.num_buckets() / SPARSE > slots.len() {
            slots.shrink_to(2 * slots.len(), of);
        }
        slots.insert_unique(hash, slot, of);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn at(offset: u32) -> Location {
        Location {
            segment: 1,
            offset,
            change: 0,
        }
    }

    fn value(bytes: usize) -> Cached {
        let value = MetadataValue::new(Bytes::from(vec![7; bytes]));
        Cached::Value(value.expect("it is short enough"))
    }

    #[test]
    fn what_is_used_stays_and_the_rest_makes_room() {
        let cache = Cache::new(100 * (SLOT_BYTES + 32));
        for offset in 0..100 {
            cache.insert(at(offset), value(32));
        }
        assert_eq!(cache.bytes(), 100 * (SLOT_BYTES + 32));
        for offset in 100..150 {
            for used in 0..20 {
                assert!(cache.value(at(used)).is_some(), "{used} is used");
            }
            cache.insert(at(offset), value(32));
            assert!(cache.holds(at(offset)));
        }
        assert_eq!(cache.bytes(), 100 * (SLOT_BYTES + 32));
        cache.remove(at(0));
        assert!(!cache.holds(at(0)));
        cache.insert(at(0), value(20_000));
        assert!(!cache.holds(at(0)), "it is larger than the cache");
        assert_eq!(cache.bytes(), 99 * (SLOT_BYTES + 32));
    }

    #[test]
    fn a_table_is_not_larger_than_what_it_is_for() {
        let cache = Cache::new(8 << 20);
        for offset in 0..60_000 {
            cache.insert(at(offset), value(32));
        }
        let buckets = || lock(&cache.shards[0]).slots.num_buckets();
        assert!(buckets() > 60_000);
        for offset in 0..2000 {
            cache.insert(at(100_000 + offset), value(60_000));
        }
        assert!(buckets() <= 2 * BUCKETS_MIN, "{}", buckets());
        assert!(cache.holds(at(101_999)));
    }
}
