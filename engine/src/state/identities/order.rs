//! An order of slots: lists of bounded length, one behind the other.

use std::cmp::Ordering;

/// Most slots in a list; a longer one is split.
const LIST_MAX: usize = 256;

/// Numbers of slots in an order that the caller knows: it says of each how it compares to what is
/// looked for.
#[derive(Clone, Default)]
pub(super) struct Order {
    /// None of them is empty.
    lists: Vec<Vec<u32>>,
}

impl Order {
    /// Of slots that lie in order.
    pub(super) fn of_sorted(slots: u32) -> Self {
        let all: Vec<u32> = (0..slots).collect();
        Self {
            lists: all.chunks(LIST_MAX).map(<[u32]>::to_vec).collect(),
        }
    }

    pub(super) fn last(&self) -> Option<u32> {
        self.lists.last()?.last().copied()
    }

    /// All slots behind those that are passed, which come first.
    pub(super) fn skipping(&self, passed: impl Fn(u32) -> bool) -> impl Iterator<Item = u32> {
        let (list, at) = self.find(passed);
        let (first, rest) = match self.lists.get(list..) {
            Some([first, rest @ ..]) => (&first[at..], rest),
            _ => (&[][..], &[][..]),
        };
        first.iter().chain(rest.iter().flatten()).copied()
    }

    /// Takes a slot in before the first that is greater.
    pub(super) fn insert(&mut self, slot: u32, compare: impl Fn(u32) -> Ordering) {
        let (list, at) = self.find(|other| compare(other).is_lt());
        let Some(found) = self.lists.get_mut(list) else {
            self.lists.push(vec![slot]);
            return;
        };
        found.insert(at, slot);
        if found.len() > LIST_MAX {
            // What comes in order fills the lists.
            let half = if at == LIST_MAX { at } else { LIST_MAX / 2 };
            let rest = found.split_off(half);
            self.lists.insert(list + 1, rest);
        }
    }

    /// Takes out the slot that is equal, if there is one.
    pub(super) fn remove(&mut self, compare: impl Fn(u32) -> Ordering) {
        let (list, at) = self.find(|other| compare(other).is_lt());
        let list = self
            .lists
            .get(list)
            .filter(|found| found.get(at).is_some_and(|slot| compare(*slot).is_eq()))
            .map(|_| list);
        if let Some(list) = list {
            self.lists[list].remove(at);
            if self.lists[list].is_empty() {
                self.lists.remove(list);
            }
        }
    }

    /// The list and the place in it of the first slot that is not passed: behind the last slot of
    /// the last list if all are, and there need be no list.
    fn find(&self, passed: impl Fn(u32) -> bool) -> (usize, usize) {
        let lists = &self.lists;
        let list = lists.partition_point(|list| list.last().is_some_and(|last| passed(*last)));
        let list = list.min(lists.len().saturating_sub(1));
        let at = lists
            .get(list)
            .map_or(0, |list| list.partition_point(|slot| passed(*slot)));
        (list, at)
    }
}
