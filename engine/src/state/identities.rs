//! The identities of a pool: found by hash, told of in order.
//!
//! Every commit and every listing finds an identity, and among many the nodes of a tree are seldom
//! in the processor's caches: a hash table finds it with two reads of memory, however many there
//! are. Only listings of identities, checkpoints and exports ask for their order, which is kept as
//! four bytes for each.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::Identity;
use crate::types::IdentityId;

mod order;

use order::Order;

/// When more slots than this are there, and fewer than one in so many is in use, they close up.
const SLOTS_MIN: usize = 256;
const SPARSE: usize = 8;

/// Identities by their ids.
#[derive(Clone, Default)]
pub(crate) struct Identities {
    /// Where they lie, in no order. What was taken out stays until its slot is used again.
    slots: Vec<(IdentityId, Identity)>,
    /// Slots that hold nothing.
    free: Vec<u32>,
    places: HashTable<Place>,
    order: Order,
    hash: RandomState,
}

/// A place in the hash table. It has the hash, so that a table that grows reads no slots.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    slot: u32,
}

impl Place {
    /// The whole hash. The table chooses by its lowest bits and compares its highest.
    fn spread(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

impl Identities {
    /// Of identities that are in order, each once.
    pub(crate) fn of_sorted(slots: Vec<(IdentityId, Identity)>) -> Self {
        let mut identities = Self {
            places: HashTable::with_capacity(slots.len()),
            order: Order::of_sorted(count(slots.len())),
            slots,
            ..Self::default()
        };
        for slot in 0..count(identities.slots.len()) {
            let hash = identities.hash(&identities.slots[slot as usize].0);
            let place = Place { hash, slot };
            let places = &mut identities.places;
            places.insert_unique(Place::spread(hash), place, |place| {
                Place::spread(place.hash)
            });
        }
        identities
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn contains(&self, id: &IdentityId) -> bool {
        self.find(id).is_some()
    }

    pub(crate) fn get(&self, id: &IdentityId) -> Option<&Identity> {
        self.find(id).map(|slot| &self.slots[slot as usize].1)
    }

    pub(crate) fn get_mut(&mut self, id: &IdentityId) -> Option<&mut Identity> {
        self.find(id).map(|slot| &mut self.slots[slot as usize].1)
    }

    /// The identity with this id, a new one if there is none.
    pub(crate) fn or_default(&mut self, id: IdentityId) -> &mut Identity {
        let hash = self.hash(&id);
        let entry = self.places.entry(
            Place::spread(hash),
            |place| place.hash == hash && self.slots[place.slot as usize].0 == id,
            |place| Place::spread(place.hash),
        );
        let slot = match entry {
            Entry::Occupied(found) => found.get().slot,
            Entry::Vacant(vacant) => {
                let new = (id, Identity::default());
                let slot = if let Some(slot) = self.free.pop() {
                    self.slots[slot as usize] = new;
                    slot
                } else {
                    self.slots.push(new);
                    count(self.slots.len()) - 1
                };
                vacant.insert(Place { hash, slot });
                let slots = &self.slots;
                self.order
                    .insert(slot, |other| slots[other as usize].0.cmp(&id));
                slot
            }
        };
        &mut self.slots[slot as usize].1
    }

    pub(crate) fn insert(&mut self, id: IdentityId, identity: Identity) {
        *self.or_default(id) = identity;
    }

    pub(crate) fn remove(&mut self, id: &IdentityId) -> Option<Identity> {
        let hash = self.hash(id);
        let slots = &self.slots;
        let found = self.places.find_entry(Place::spread(hash), |place| {
            place.hash == hash && slots[place.slot as usize].0 == *id
        });
        let (Place { slot, .. }, _) = found.ok()?.remove();
        self.order.remove(|other| slots[other as usize].0.cmp(id));
        self.free.push(slot);
        let identity = std::mem::take(&mut self.slots[slot as usize].1);
        if self.slots.len() > SLOTS_MIN && self.slots.len() / SPARSE > self.len() {
            self.close_up();
        }
        Some(identity)
    }

    /// Gives the memory of free slots back.
    fn close_up(&mut self) {
        let mut sorted = Vec::with_capacity(self.len());
        for slot in self.order.skipping(|_| false) {
            let (id, identity) = &mut self.slots[slot as usize];
            sorted.push((*id, std::mem::take(identity)));
        }
        *self = Self::of_sorted(sorted);
    }

    /// Takes out any one of them.
    pub(crate) fn pop(&mut self) -> Option<Identity> {
        let slot = self.order.last()?;
        let id = self.slots[slot as usize].0;
        self.remove(&id)
    }

    /// In order, behind one, which need not be among them.
    pub(crate) fn behind(
        &self,
        after: Option<&IdentityId>,
    ) -> impl Iterator<Item = (&IdentityId, &Identity)> {
        let passed =
            move |slot: u32| after.is_some_and(|after| self.slots[slot as usize].0 <= *after);
        self.order.skipping(passed).map(|slot| {
            let (id, identity) = &self.slots[slot as usize];
            (id, identity)
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&IdentityId, &Identity)> {
        self.behind(None)
    }

    fn hash(&self, id: &IdentityId) -> u32 {
        (self.hash.hash_one(id) >> 32) as u32
    }

    fn find(&self, id: &IdentityId) -> Option<u32> {
        let hash = self.hash(id);
        let found = self.places.find(Place::spread(hash), |place| {
            place.hash == hash && self.slots[place.slot as usize].0 == *id
        });
        found.map(|place| place.slot)
    }
}

/// A number of slots, or of one of them.
fn count(slots: usize) -> u32 {
    u32::try_from(slots).expect("identities take hundreds of bytes each")
}

impl PartialEq for Identities {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Identities {}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::types::SyncCount;

    /// Ids that are not made in their order.
    fn id(number: u32) -> IdentityId {
        let text = format!("local:{:08x}", number.wrapping_mul(0x9e37_79b1));
        IdentityId::parse(&text).expect("it is well-formed")
    }

    fn identity(number: u64) -> Identity {
        Identity {
            floor: SyncCount::believed(number),
            ..Identity::default()
        }
    }

    fn check(identities: &Identities, model: &BTreeMap<IdentityId, Identity>) {
        assert_eq!(identities.len(), model.len());
        assert!(identities.iter().eq(model.iter()));
        for (id, identity) in model {
            assert_eq!(identities.get(id), Some(identity));
        }
    }

    proptest! {
        /// They behave as an ordered map does, also when slots are used again and lists are split.
        #[test]
        fn they_are_a_map_in_order(
            steps in prop::collection::vec((0..8_u8, 0..900_u32), 0..3000),
        ) {
            let (mut identities, mut model) = (Identities::default(), BTreeMap::new());
            for (n, (step, number)) in (1..).zip(steps) {
                let id = id(number);
                match step {
                    0 => prop_assert_eq!(identities.remove(&id), model.remove(&id)),
                    1 => {
                        let after = model.range(id..).next().map(|(id, _)| *id);
                        prop_assert_eq!(identities.contains(&id), after == Some(id));
                        let behind = identities.behind(Some(&id)).next();
                        prop_assert_eq!(behind, model.range(id..).find(|(other, _)| **other > id));
                    }
                    2 => {
                        let found = identities.get_mut(&id).map(|found| *found = identity(n));
                        prop_assert_eq!(found, model.get_mut(&id).map(|it| *it = identity(n)));
                    }
                    _ => {
                        identities.insert(id, identity(n));
                        model.insert(id, identity(n));
                    }
                }
            }
            check(&identities, &model);
            let sorted = Identities::of_sorted(model.clone().into_iter().collect());
            check(&sorted, &model);
            prop_assert_eq!(&sorted, &identities);
            while let Some(last) = identities.pop() {
                prop_assert_eq!(Some(last), model.pop_last().map(|(_, last)| last));
                prop_assert!(identities.slots.len() <= SLOTS_MIN.max(SPARSE * (model.len() + 1)));
            }
            check(&identities, &model);
        }
    }

    #[test]
    fn ids_with_the_same_hash_are_told_apart() {
        // So many that some of 32 bits are equal.
        let numbers = 0..500_000;
        let mut identities = Identities::default();
        for number in numbers.clone() {
            identities.insert(id(number), identity(number.into()));
        }
        let mut hashes: Vec<_> = numbers.clone().map(|n| identities.hash(&id(n))).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert!(hashes.len() < 500_000, "the test is too small");
        for number in numbers {
            assert_eq!(identities.get(&id(number)), Some(&identity(number.into())));
        }
        assert_eq!(identities.get(&id(500_000)), None);
    }
}
